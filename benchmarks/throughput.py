"""Images a second in training with SimAM: the loop of this package beside the usual one.

Run it by hand on two quiet cores; it takes about four minutes:

    OMP_WAIT_POLICY=PASSIVE python benchmarks/throughput.py

The usual loop has a DataLoader whose data set crops and flips each image with Pillow, the ten lines
of the paper as the module, and the default memory layout; it runs without workers and with two, and
the faster counts. This package's loop is simam_edu.training.train, as the command simam-edu train
runs it. Both train ResNet-20 with the recipe "budget" on the same images, each in a process of its
own. After a warm-up they take turns, each round in another order; what counts is the median over
the rounds. Augmentation is timed in the same rounds, as a part of a training step. One line of JSON
is printed and written.
"""

import argparse
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from torch import Tensor

from simam_edu.benchmark import TenLines
from simam_edu.datasets import NAMES, ImageSet, load
from simam_edu.networks import build
from simam_edu.training import RECIPES, DeviceImages, TrainConfig, train
from simam_edu.training.data import PADDING
from simam_edu.training.distributed import keep_freed_memory
from simam_edu.training.record import environment

OUT = Path(__file__).resolve().parent.parent / "book" / "results" / "throughput.jsonl"
CONFIG = TrainConfig(recipe="budget", epochs=1, held_out=0.0, device="cpu")
RECIPE = RECIPES[CONFIG.recipe]


def window(pixels: np.ndarray, top: int, left: int, flip: bool) -> Image.Image:
    """Pad an image of shape (h, w, 3), crop it to its size and mirror it, with Pillow."""
    padded = ImageOps.expand(Image.fromarray(pixels), border=PADDING)
    cropped = padded.crop((left, top, left + pixels.shape[1], top + pixels.shape[0]))
    return cropped.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if flip else cropped


class PillowImages(torch.utils.data.Dataset[tuple[Tensor, int]]):
    """One image at a time, augmented with Pillow, as tutorials do it."""

    def __init__(self, images: ImageSet) -> None:
        self.pixels = np.ascontiguousarray(images.images.transpose(0, 2, 3, 1))
        self.labels = images.labels
        self.mean, self.std = (torch.tensor(v).view(3, 1, 1) for v in (images.mean, images.std))

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        top, left = torch.randint(0, 2 * PADDING + 1, (2,)).tolist()
        picture = window(self.pixels[index], top, left, bool(torch.rand(()) < 0.5))
        values = torch.from_numpy(np.array(picture)).permute(2, 0, 1).contiguous().float() / 255
        return (values - self.mean) / self.std, int(self.labels[index])


def usual_loop(images: ImageSet, workers: int) -> float:
    """Train on every image once, the usual way, and return the seconds.

    The workers are started before the clock, so that their start does not count.
    """
    network = build(CONFIG.network, num_classes=len(images.classes), attention=lambda _: TenLines())
    optimizer = RECIPE.optimizer(network.parameters())
    loader = torch.utils.data.DataLoader(
        PillowImages(images), batch_size=RECIPE.batch_size, shuffle=True, num_workers=workers
    )
    steps = len(loader)
    batches = iter(loader)
    start = time.perf_counter()
    for step in range(steps):
        x, labels = next(batches)
        for group in optimizer.param_groups:
            group["lr"] = RECIPE.schedule.learning_rate(step, steps=steps)
        loss = F.cross_entropy(network(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return time.perf_counter() - start


def our_loop(images: ImageSet) -> float:
    """Train on every image once with this package and return the seconds."""
    one = replace(images, images=images.images[:1], labels=images.labels[:1], masks=None)
    (epoch,) = train(CONFIG, images, one).epochs
    return epoch.seconds


def augmentation(images: DeviceImages) -> float:
    """Make every training batch once, without training, and return the seconds."""
    generator = torch.Generator().manual_seed(0)
    start = time.perf_counter()
    for _ in images.training_batches(RECIPE.batch_size, generator=generator):
        pass
    return time.perf_counter() - start


def jobs_of(side: str, images: ImageSet, workers: Sequence[int]) -> dict[str, Callable[[], float]]:
    """Return what the process of the package or of the usual loop can be asked to time, by name."""
    if side == "package":
        keep_freed_memory()  # as simam-edu train does
        device_images = DeviceImages.put(images, torch.device("cpu"))
        augmented = partial(augmentation, device_images)
        return {"package": partial(our_loop, images), "augmentation": augmented}
    return {f"usual, {count} workers": partial(usual_loop, images, count) for count in workers}


@contextlib.contextmanager
def process(side: str, arguments: Sequence[str]) -> Iterator[Callable[[str], float]]:
    """Start the process of a side; in the block, a call with a name returns the seconds it took."""
    command = [sys.executable, __file__, *arguments, "--side", side]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None

        def ask(name: str) -> float:
            print(name, file=child.stdin, flush=True)
            return float(child.stdout.readline())

        yield ask
        child.stdin.close()


def measure(arguments: Sequence[str], names: Sequence[str], *, rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each round by the name of what was timed; the first round is not kept.

    Args:
        arguments: Of this script, for the processes that it starts.
        names: What they are asked to time.
        rounds: How many are kept.
    """
    seconds: dict[str, list[float]] = {name: [] for name in names}
    with process("package", arguments) as package, process("usual", arguments) as usual:
        for number in range(rounds + 1):
            # Whoever comes first meets another machine than whoever comes last.
            names = [*names[1:], names[0]]
            for name in names:
                spent = (usual if name.startswith("usual") else package)(name)
                if number > 0:
                    seconds[name].append(spent)
            print(f"round {number} of {rounds}", file=sys.stderr, flush=True)
    return seconds


def summary(seconds: dict[str, list[float]], images: int) -> dict[str, Any]:
    """Return medians with their spread, the ratio of the loops, and the part of augmentation.

    Args:
        seconds: Of each round, by name.
        images: How many each round trained on.
    """
    rates = {name: images / np.array(times) for name, times in seconds.items()}
    others = [name for name in rates if name.startswith("usual")]
    usual = max(others, key=lambda name: np.median(rates[name]))
    ratios = rates["package"] / rates[usual]  # of the same round
    parts = np.array(seconds["augmentation"]) / np.array(seconds["package"])
    return {
        "images_per_second": {name: _spread(rate) for name, rate in rates.items()},
        "usual": usual,
        "ratio": _spread(ratios),
        "augmentation_part": _spread(parts),
    }


def _spread(values: np.ndarray) -> dict[str, float]:
    """Return the median with the least and the largest value."""
    return {"median": float(np.median(values)), "least": float(values.min()), "most": float(values.max())}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and write the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=OUT, help="the file to write")
    parser.add_argument("--dataset", choices=NAMES, default="cifar10")
    parser.add_argument("--data", type=Path, help="folder that holds the data set")
    parser.add_argument("--images", type=int, default=1280, help="a round")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 2], help="of the usual loop")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--side", choices=("package", "usual"), help=argparse.SUPPRESS)
    arguments = sys.argv[1:] if arguments is None else arguments
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    full = load(options.dataset, "train", root=options.data)
    images = replace(
        full, images=full.images[: options.images], labels=full.labels[: options.images], masks=None
    )
    if options.side:
        jobs = jobs_of(options.side, images, options.workers)
        for line in sys.stdin:
            print(jobs[line.strip()](), flush=True)
        return
    start = time.perf_counter()
    names = ["package", "augmentation", *(f"usual, {count} workers" for count in options.workers)]
    seconds = measure(arguments, names, rounds=options.rounds)
    record = {
        "benchmark": "throughput",
        "network": CONFIG.network,
        "attention": CONFIG.attention,
        "recipe": CONFIG.recipe,
        "batch_size": RECIPE.batch_size,
        "dataset": images.name,
        "images": len(images.labels),
        "rounds": options.rounds,
        **summary(seconds, len(images.labels)),
        "seconds": seconds,
        "minutes": (time.perf_counter() - start) / 60,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "environment": environment(),
    }
    options.out.write_text(json.dumps(record) + "\n", encoding="utf-8")
    print(json.dumps(record))


if __name__ == "__main__":
    main()
