"""Measure SimAM in a network of one's own: where, with old weights, resized, padded, tiled.

Run it by hand with CIFAR-10 at hand; it takes about half an hour on one quiet core:

    OMP_NUM_THREADS=1 SIMAM_EDU_DATA=FOLDER python benchmarks/own_network.py

It trains small residual networks on a few thousand images, with SimAM at several places and several
seeds, and asks the trained ones. Each answer is one line of JSON in book/results/own_network.jsonl,
which the chapter "In your own network" shows. A line that is there is not made again, and an
interrupted training goes on from its checkpoint, so that the command may be stopped and called
again. ``--parts cost`` and others make some of the lines only.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import torch

import common
from own_network_cost import cost, counters, long_maps
from own_network_lab import ASKED, EPOCHS, NETWORK, PLACES, RECIPE, SEEDS, TRAIN_IMAGES, Lab
from own_network_questions import Record, lambdas, padding, pretrained, sizes, tiles, where
from simam_edu.training import append_record, read_records

RUNS = common.BOOK.parent / "runs" / "own_network"


Line = tuple[Record, Callable[[Lab], Record]]


def asked(ask: Callable[..., Record], seed: int, places: Sequence[str]) -> Iterator[Line]:
    """Yield what the line of each place is known by, and what makes it."""
    for place in places:
        key = {"part": ask.__name__, "place": place, "seed": seed}
        yield key, partial(ask, seed=seed, place=place)


def planned(parts: Sequence[str]) -> Iterator[Line]:
    """Yield every line; what most questions need comes first."""
    for seed in SEEDS:
        yield from asked(where, seed, ASKED)
        yield from asked(pretrained, seed, ("before the last norm", "after the last norm"))
        yield {"part": "lambdas", "seed": seed}, partial(lambdas, seed=seed)
        for ask in (sizes, padding, tiles):
            yield from asked(ask, seed, ASKED)
        yield from asked(where, seed, [place for place in PLACES if place not in ASKED])
    yield {"part": "long maps"}, lambda _: long_maps()
    yield {"part": "cost"}, lambda _: cost()
    if "counters" in parts:  # needs packages that neither the package nor the book has
        yield {"part": "counters"}, lambda _: counters()


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the lines that are not there yet."""
    parser = common.options_of(__doc__, common.RESULTS / "own_network.jsonl")
    parser.add_argument("--folder", type=Path, default=RUNS, help="of checkpoints")
    parser.add_argument("--dataset", default="cifar10", help="a name of simam_edu.datasets")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--images", type=int, default=TRAIN_IMAGES, help="training images")
    parser.add_argument("--parts", nargs="*", default=[], help="make these lines only")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    lab = Lab(options.dataset, options.epochs, options.images, options.folder)
    there = [] if not options.out.exists() else list(read_records(options.out))
    setting = {
        "network": NETWORK, "recipe": RECIPE, "epochs": options.epochs, "dataset": options.dataset,
        "source": lab.train_set.source, "training_images": len(lab.train_set.labels),
        "test_images": len(lab.test_set.labels),
    }  # fmt: skip
    for key, make in planned(options.parts):
        known = key if key["part"] in ("long maps", "cost", "counters") else key | setting
        if any(known.items() <= line.items() for line in there):
            continue
        if options.parts and key["part"] not in options.parts:
            continue
        print(json.dumps(key), flush=True)
        line = {"benchmark": "own network", **known, **make(lab)}
        there.append(common.signed(line))
        append_record(options.out, there[-1])


if __name__ == "__main__":
    main()
