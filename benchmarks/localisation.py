"""Measure whether the maps of small networks find the object, and what gains are worth to them.

It trains on the drawn shapes, whose masks are known, several modules with several seeds, and
appends one line of JSON for each run to book/results/localisation.jsonl. It goes on where it was:
what has its line is not run again, and a run that was interrupted goes on from its checkpoint in
the folder runs/localisation.

    OMP_NUM_THREADS=1 python benchmarks/localisation.py

With --cifar it trains nothing and takes the gains of finished networks with SimAM away, on the test
images:

    SIMAM_EDU_DATA=FOLDER python benchmarks/localisation.py --cifar runs/simam-0 runs/simam-1
"""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import adaptive_avg_pool2d

import common
import map_measures as measures
from common import part, pictures
from simam_edu.datasets import ImageSet, load
from simam_edu.maps import enlarged, occlusion
from simam_edu.training import TrainConfig, append_record, read_records, train
from simam_edu.training.folder import FINGERPRINT_FILE
from simam_edu.training.loop import new_network

OUT = common.RESULTS / "localisation.jsonl"
# Each where the SimAM authors put it; without a module the place makes no difference.
SLOTS = {"none": "pre_norm", "simam": "pre_norm", "se": "post_norm", "cbam": "post_norm"}
FIGURE = common.BOOK / "_static" / "figures" / "three-maps.js"
SHOWN = {"triangle": 4, "star": 37}  # of the test images: most disagreement, and agreement
COVERED = 200  # images that are covered square by square, zoomed, or shown to randomized networks
EPOCHS = 12


def run(config: TrainConfig, sets: Sequence[ImageSet], folder: Path) -> dict[str, Any]:
    """Train a network, or take the one that is finished, and return its record."""
    train_set, test_set = sets
    result = train(config, train_set, test_set, folder=folder)
    network = result.network.eval()
    kept = part(train_set, slice(result.training_images, None))  # for the choice of the thresholds
    few = part(test_set, slice(COVERED))
    (x, labels), (x_kept, labels_kept), (x_few, labels_few) = map(pictures, (test_set, kept, few))
    fresh = new_network(replace(config, seed=config.seed + 1000), len(test_set.classes)).eval()
    found = measures.measured(
        measures.all_maps(network, x, labels), test_set.masks,
        measures.all_maps(network, x_kept, labels_kept), kept.masks,
    )  # fmt: skip
    found |= measures.measured(
        {"occlusion": occlusion(network, x_few, labels_few)}, few.masks,
        {"occlusion": occlusion(network, x_kept[:COVERED], labels_kept[:COVERED])}, kept.masks[:COVERED],
    )  # fmt: skip
    untrained = measures.measured(
        measures.gain_maps(fresh, x), test_set.masks, measures.gain_maps(fresh, x_kept), kept.masks
    )
    wide = measures.zoomed(few)
    return {
        "kind": "run",
        "attention": config.attention,
        "seed": config.seed,
        "test_accuracy": result.test.accuracy,
        "maps": found,
        "untrained": untrained,
        "by_share": measures.by_share(measures.gain_maps(network, pictures(wide)[0]), wide.masks),
        "randomized": measures.randomized(network, fresh, x_few, labels_few),
        "causal": measures.causal(network, x, labels) if config.attention == "simam" else [],
        "config": config.definition(train_set),
    }


def of_pixels(sets: Sequence[ImageSet]) -> dict[str, Any]:
    """Return the record of the maps that need no network."""
    train_set, test_set = sets
    kept = part(train_set, slice(round(len(train_set.labels) * 0.9), None))
    wide = measures.zoomed(part(test_set, slice(COVERED)))
    shown, chosen = (measures.baselines(images.images) for images in (test_set, kept))
    return {
        "kind": "pixels",
        "maps": measures.measured(shown, test_set.masks, chosen, kept.masks),
        "by_share": measures.by_share(measures.baselines(wide.images), wide.masks),
        "shares": test_set.masks.mean(axis=(1, 2)).tolist(),
    }


def trained(folder: Path, classes: int) -> tuple[nn.Module, TrainConfig]:
    """Return the network with SimAM of a run's folder and its configuration, or raise ValueError."""
    record, weights = common.finished_run(folder, FINGERPRINT_FILE)
    if record["attention"] != "simam":
        raise ValueError(f"folder must be of a network with SimAM, got {record['attention']}")
    config = common.config_of(record, "recipe", "epochs", "held_out")
    network = new_network(config, classes)
    network.load_state_dict(weights)
    return network, config


def of_cifar(folder: Path, test_set: ImageSet) -> dict[str, Any]:
    """Return what the gains are worth to the network of a finished run's folder."""
    network, config = trained(folder, len(test_set.classes))
    x, labels = pictures(test_set)
    right = measures.answers(network, x, "own", ()) == labels
    return {
        "kind": "cifar",
        "seed": config.seed,
        "test_accuracy": float(right.float().mean()),
        "causal": measures.causal(network, x, labels),
        "config": config.definition(test_set),
    }


def drawn(network: nn.Module, test_set: ImageSet) -> str:
    """Return the maps of two images on a grid of 16 by 16, two hexadecimal digits each, as JSON."""
    found = {}
    for name, index in SHOWN.items():
        one = part(test_set, slice(index, index + 1))
        x, labels = pictures(one)
        maps = {"image": torch.from_numpy(one.images).float().mean(dim=1)}
        maps |= {"mask": torch.from_numpy(one.masks).float()}
        maps |= measures.all_maps(network, x, labels) | {"occlusion": occlusion(network, x, labels)}
        grids = {key: adaptive_avg_pool2d(enlarged(value, (32, 32)), 16) for key, value in maps.items()}
        scaled = {key: 255 * measures.scaled(grid, 16)[0] for key, grid in grids.items()}
        found[name] = {key: v.astype(np.uint8).tobytes().hex() for key, v in scaled.items()}
    return json.dumps(found)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what has no line in the file yet, and append it."""
    parser = common.options_of(__doc__, OUT)
    parser.add_argument("--folder", type=Path, default=Path("runs/localisation"), help="of the checkpoints")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(5)))
    parser.add_argument("--modules", nargs="+", default=list(SLOTS), choices=SLOTS)
    parser.add_argument("--network", default="resnet8")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--figure", type=Path, help="a run's folder, to draw the chapter's figure")
    parser.add_argument("--cifar", type=Path, nargs="+", default=[], help="folders of runs on CIFAR-10")
    options = parser.parse_args(arguments)
    records = list(read_records(options.out)) if options.out.exists() else []
    done = {(r["kind"], r.get("attention"), r.get("seed")) for r in records}

    def keep(record: dict[str, Any], images: ImageSet) -> None:
        about = {"benchmark": "localisation", "dataset": images.name, "source": images.source}
        about |= {"test_images": len(images.labels)}
        append_record(options.out, common.signed(about | record))
        print(*(record.get(name) for name in ("kind", "attention", "seed", "test_accuracy")))

    for folder in options.cifar:
        test_set = load("cifar10", "test")
        found = json.loads(json.dumps(of_cifar(folder, test_set)))
        # The held_out of the first such line is a mistake; see book/results/README.md.
        settings = [{**r["config"], "held_out": None} for r in [*records, found] if r["kind"] == "cifar"]
        if settings[-1] in settings[:-1]:
            print(f"{folder} has its line already")
        else:
            keep(found, test_set)
    if options.cifar:
        return
    sets = load("shapes", "train"), load("shapes", "test")
    if options.figure:
        network = trained(options.figure, len(sets[1].classes))[0].eval()
        maps = f"const MAPS = {drawn(network, sets[1])};"
        source = re.sub(r"(?m)^const MAPS = .*$", maps, FIGURE.read_text("utf-8"))
        FIGURE.write_text(source, encoding="utf-8")
        return
    if ("pixels", None, None) not in done:
        keep(of_pixels(sets), sets[1])
    for seed in options.seeds:
        for name in options.modules:
            if ("run", name, seed) not in done:
                config = TrainConfig(
                    network=options.network, attention=name, slot=SLOTS[name], recipe="smoke",
                    epochs=options.epochs, seed=seed, held_out=0.1, device="cpu",
                )  # fmt: skip
                keep(run(config, sets, options.folder / f"{name}-s{seed}"), sets[1])


if __name__ == "__main__":
    main()
