"""All of SimAM that needs a CUDA card: right? how fast? how fast does it learn? and the study.

    python -m benchmarks.card --minutes 9 --out runs/card

One JSON line for each case goes to OUT/card.jsonl as soon as it is known, and the records of the
study to OUT/records.jsonl. Started again with the same folder, it goes on where it was stopped or
killed. Without a card it says so and ends with status 2; --rehearse runs the same program on the
CPU, on tiny sizes.
"""

import argparse
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import torch
from benchmarks.card import fast, rates, right
from benchmarks.card.log import Log

from simam_edu.datasets import ImageSet, load
from simam_edu.experiments import GRIDS, grid
from simam_edu.experiments.sweep import in_streams, sweep
from simam_edu.training.record import commit

PARTS = ("right", "fast", "rates", "study")
REHEARSED = 16
"""Images of a rehearsal."""


def environment(device: str) -> dict[str, str | int | None]:
    """Return the card, its driver, and the versions that a result was made with."""
    found: dict[str, str | int | None] = {
        "commit": commit(), "python": platform.python_version(), "torch": torch.__version__,
        "cores": os.cpu_count(), "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }  # fmt: skip
    if device == "cuda":
        import triton

        query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        driver = subprocess.run(query, capture_output=True, text=True, check=False).stdout.split("\n")[0]
        found |= {"card": torch.cuda.get_device_name(), "driver": driver, "cuda": torch.version.cuda,
                  "triton": triton.__version__}  # fmt: skip
    return found


def images_of(name: str, data: Path | None, rehearse: bool) -> tuple[ImageSet, ImageSet]:
    """Return a data set; in a rehearsal a few drawn images."""
    both = (load("shapes" if rehearse else name, part, root=data) for part in ("train", "test"))
    if not rehearse:
        return tuple(both)
    few = (
        replace(one, images=one.images[:REHEARSED], labels=one.labels[:REHEARSED], masks=None) for one in both
    )
    return tuple(few)


def study(log: Log, options: argparse.Namespace, device: str) -> bool:
    """Train the runs of the grids that the time allows, several side by side; return whether none failed."""
    names, seeds = (["smoke"], [0]) if options.rehearse else (options.grids, options.seeds)
    runs = {run.id: run for name in names for run in grid(name, seeds=seeds)}
    images = {
        name: images_of(name, options.data, options.rehearse)
        for name in {run.dataset for run in runs.values()}
    }
    outcome = sweep(
        list(runs.values()), folder=options.out / "runs", records=options.out / "records.jsonl",
        work=in_streams(images, device), jobs=options.jobs, say=lambda text: print(text, flush=True),
        enough=lambda: log.seconds_left < options.reserve,
    )  # fmt: skip
    for name, reason in outcome.failures.items():
        print(f"{name} failed: {reason}", flush=True)
    return not outcome.failures


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command."""
    made = argparse.ArgumentParser(
        prog="python -m benchmarks.card", description=(__doc__ or "").split("\n")[0]
    )
    made.add_argument("--minutes", type=float, required=True, help="time to keep to")
    made.add_argument("--out", type=Path, required=True, help="folder of what is found")
    made.add_argument("--data", type=Path, help="folder of the data sets")
    made.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    made.add_argument("--grids", nargs="+", choices=GRIDS, default=["ablation", "study"], help="of the study")
    made.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4], help="of the study")
    made.add_argument("--jobs", type=int, default=8, help="runs of the study at a time")
    made.add_argument("--processes", type=int, default=8, help="that check and compile at a time")
    made.add_argument("--workers", type=int, nargs="+", default=[8, 15], help="of the usual loop")
    made.add_argument("--reserve", type=float, default=10.0, help="seconds before the end to stop runs")
    made.add_argument("--rehearse", action="store_true", help="the same on the CPU, on tiny sizes")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts in order; return 1 if anything was wrong or failed, 2 without a card or a fit folder."""
    options = parser().parse_args(arguments)
    if not (options.rehearse or torch.cuda.is_available()):
        print("there must be a CUDA card, and torch sees none; --rehearse runs on the CPU", file=sys.stderr)
        return 2
    device = "cpu" if options.rehearse else "cuda"
    log = Log(options.out / "card.jsonl", options.minutes)
    others = {line["case"] for line in log.lines("environment")} - {device}
    if others:  # the cases have the same names on both, and would not be checked again
        print(
            f"--out must be a folder of runs on {device}, got one of runs on {', '.join(others)}; "
            "take another folder", file=sys.stderr,
        )  # fmt: skip
        return 2
    if log.wants("environment", device):
        log.add("environment", device, **environment(device))
    processes = 1 if options.rehearse else options.processes
    if "right" in options.parts:
        right.run(log, device, rehearse=options.rehearse, processes=processes)
    if "fast" in options.parts:
        fast.run(log, device, rehearse=options.rehearse, processes=processes)
    if "rates" in options.parts:
        jobs, workers = ([2], [0]) if options.rehearse else ([options.jobs], options.workers)
        images, _ = images_of("cifar10", options.data, options.rehearse)
        rates.run(log, device, images, jobs=jobs, workers=workers)
    trained = "study" not in options.parts or study(log, options, device)
    wrong = [line["case"] for line in log.lines("right") if not line["ok"]]
    print(f"{len(log.lines('right'))} checks, wrong: {wrong or 'none'}; {log.seconds_left:.0f} s left")
    return 1 if wrong or not trained else 0


if __name__ == "__main__":
    sys.exit(main())
