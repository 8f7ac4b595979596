"""Kill a short run at random moments, let it go on, and see whether it ends with the same record.

    python benchmarks/kills.py --kills 10 --signals INT TERM KILL

The run is `simam-edu train --folder`: ResNet-20 with SimAM for three epochs on 128 images that are
drawn by a formula. Each time it begins anew, is sent a signal, and is started again. SIGKILL no
program can catch; for it a checkpoint is kept after each step instead of each minute, so that many
kills hit the run while it writes one. Of SIGINT (Ctrl-C) and SIGTERM it must keep the step at which
they came, and end with the status that a shell expects. The record and the last checkpoint are held
against those of a run that was left alone: everything but times must be equal to the last bit. Exit
status 1 if anything is not.
"""

import argparse
import contextlib
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from simam_edu import cli, cli_study
from simam_edu.datasets import load
from simam_edu.training import folder
from simam_edu.training.checkpoint import newest_checkpoint

IMAGES = 128


def run(place: Path, every: float = 0.0) -> int:
    """Train in a folder by the command, and say when that begins; return its status."""
    torch.set_num_threads(1)
    folder.CHECKPOINT_SECONDS = every
    images = load("shapes", "train")
    few = replace(images, images=images.images[:IMAGES], labels=images.labels[:IMAGES], masks=None)
    cli_study.load = lambda *_, **__: few  # type: ignore[assignment]
    torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))])  # loads, by the way, what torch loads late
    print("begun", flush=True)
    return cli.main(
        ["train", "--dataset", "shapes", "--recipe", "smoke", "--epochs", "3", "--held-out", "0.25",
         "--device", "cpu", "--folder", str(place)]
    )  # fmt: skip


@contextlib.contextmanager
def started(place: Path, every: float = 0.0) -> Iterator["subprocess.Popen[str]"]:
    """Start a run in a process of its own and wait until it begins."""
    command = [sys.executable, __file__, "--run", str(place), "--every", str(every)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        line = process.stdout.readline() if process.stdout else ""
        if line != "begun\n":
            raise RuntimeError(f"the run must say when it begins, got {line!r}")
        yield process


def to_the_end(place: Path) -> float:
    """Let a run come to its end and return its seconds."""
    with started(place) as process:
        start = time.perf_counter()
        _, errors = process.communicate()
        if process.returncode != 0:
            raise RuntimeError(f"the run in {place} must end, got status {process.returncode}: {errors}")
        return time.perf_counter() - start


def outcome(place: Path) -> dict[str, Any]:
    """Return all that must be the same: the record and the newest checkpoint, without times."""
    record = json.loads((place / "record.json").read_text(encoding="utf-8"))
    found = newest_checkpoint(place)
    if found is None:
        raise RuntimeError(f"{place} must hold a checkpoint, got none")
    state = found[1]["state"]
    for part, names in ((record, ("minutes", "finished")), (state, ("epoch_seconds",))):
        for name in names:
            del part[name]
    for epoch in record["history"] + state["history"]:
        del epoch["seconds"]
    return {"record": record, "state": state}


def equal(one: Any, other: Any) -> bool:
    """Compare what dicts and lists hold, tensors to the last bit."""
    if isinstance(one, torch.Tensor):
        return isinstance(other, torch.Tensor) and one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(equal, one, other))
    return bool(one == other)


def kill_one(place: Path, after: float, number: signal.Signals = signal.SIGKILL) -> str:
    """Send a run a signal after some seconds and return what it leaves behind."""
    with started(place, every=0.0 if number == signal.SIGKILL else 1e9) as process:
        time.sleep(after)
        process.send_signal(number)
        _, errors = process.communicate()
    status = process.returncode
    in_one_line = status == 128 + number and errors.splitlines()[-1].startswith("simam-edu: interrupted; ")
    outside = not place.exists() or (place / "record.json").exists()  # before the command began, or after
    if not (in_one_line or status == 0 or (status == -number and (outside or number == signal.SIGKILL))):
        raise RuntimeError(f"{number.name} must end a run in one line, got status {status}: {errors}")
    found = newest_checkpoint(place)
    left = "no checkpoint"
    if found is not None:
        left = f"the checkpoint of step {int(found[0].name.split('-')[1])}"
    unfinished = " and an unfinished file" if list(place.glob("*.tmp")) else ""
    record = " and its record" if (place / "record.json").exists() else ""
    return f"status {status}, {left}{unfinished}{record}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Kill and compare; return 0 if every run ended as the one that was left alone."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--kills", type=int, default=10, metavar="N")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--signals", nargs="+", choices=("INT", "TERM", "KILL"), default=["KILL"])
    parser.add_argument("--run", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--every", type=float, default=0.0, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.run is not None:
        # A shell starts what runs in the background with Ctrl-C ignored, and this is its child.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        return run(options.run, options.every)
    moments, same = random.Random(options.seed), 0
    with tempfile.TemporaryDirectory() as scratch:
        seconds = to_the_end(Path(scratch) / "alone")
        wanted = outcome(Path(scratch) / "alone")
        print(f"left alone: {seconds:.1f} s, test loss {wanted['record']['test_loss']!r}")
        turns = [(name, turn) for name in options.signals for turn in range(1, options.kills + 1)]
        for name, turn in turns:
            place, after = Path(scratch) / f"{name}-{turn}", moments.uniform(0, seconds)
            left = kill_one(place, after, signal.Signals[f"SIG{name}"])
            while (place / "record.json").exists() and after > seconds / 100:  # the signal came too late
                shutil.rmtree(place)
                seconds = after
                after = moments.uniform(0, seconds)
                left = kill_one(place, after, signal.Signals[f"SIG{name}"])
            if name != "KILL" and after > seconds / 2 and "no checkpoint" in left:
                raise RuntimeError(f"SIG{name} must leave a checkpoint, got {left}")
            to_the_end(place)
            found = outcome(place)
            agrees = equal(found, wanted)
            same += agrees
            print(
                f"{name:4} {turn:2} after {after:4.1f} s left {left}: "
                f"test loss {found['record']['test_loss']!r}, "
                + ("the same record and state" if agrees else "NOT THE SAME"),
                flush=True,
            )
    print(f"{same} of {len(turns)} ended as the run that was left alone")
    return 0 if same == len(turns) else 1


if __name__ == "__main__":
    sys.exit(main())
