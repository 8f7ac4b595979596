"""The commands of a study: ``simam-edu sweep`` and ``simam-edu report``."""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TypeAlias, get_args

from simam_edu.datasets import Split, load
from simam_edu.experiments import GRIDS, Run, grid, make_tables, missing_runs
from simam_edu.experiments import shard as part
from simam_edu.experiments.sweep import Outcome, finished_records, sweep
from simam_edu.experiments.text import describe
from simam_edu.training import read_records, recorded
from simam_edu.training.config import Device

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_commands(commands: Commands) -> None:
    """Add the two commands to the parser of the command line."""
    _add_sweep(
        commands.add_parser("sweep", help="run a grid of networks, modules and seeds, and go on with it")
    )
    _add_report(commands.add_parser("report", help="turn records into tables and plots"))


def _add_sweep(command: argparse.ArgumentParser) -> None:
    goes_on = "the same command goes on from where the runs were"
    command.set_defaults(command=_sweep, interrupted=lambda _options: goes_on)
    command.add_argument("name", choices=GRIDS, metavar="NAME", help=f"which grid: {', '.join(GRIDS)}")
    command.add_argument(
        "--jobs", type=int, default=1, metavar="N",
        help="runs at a time (default 1); on a CPU, as many as it has cores get most done",
    )  # fmt: skip
    command.add_argument("--seeds", type=int, nargs="+", metavar="S", help="in place of the grid's own seeds")
    command.add_argument("--part", metavar="K/N", help="only the K-th of N parts, for a job of an array")
    command.add_argument("--show", action="store_true", help="show what is left and start nothing")
    command.add_argument("--runs", type=Path, metavar="DIR", help="folder of the runs (default runs/NAME)")
    command.add_argument(
        "--record", type=Path, metavar="FILE",
        help="file to which each finished record is appended once (default runs/NAME/records.jsonl)",
    )  # fmt: skip
    command.add_argument("--data", type=Path, metavar="DIR", help="folder that holds the data sets")
    command.add_argument("--download", action="store_true", help="fetch a data set where it is missing")
    command.add_argument("--device", choices=get_args(Device), default="auto")


def _add_report(command: argparse.ArgumentParser) -> None:
    command.set_defaults(command=_report)
    command.add_argument(
        "files", type=Path, nargs="*", metavar="FILE", help="records (default: those of the book's study)"
    )
    command.add_argument(
        "--baseline", default="none", metavar="COLUMN", help="what the others are compared with"
    )
    command.add_argument("--grid", choices=GRIDS, help="say which runs of this grid are missing")
    command.add_argument("--json", action="store_true", help="print the tables as JSON")
    command.add_argument("--plot", type=Path, metavar="FILE", help="draw them too, as .png, .pdf or .svg")


def _sweep(options: argparse.Namespace) -> int:
    runs = grid(options.name, seeds=options.seeds)
    if options.part is not None:
        runs = part(runs, options.part)
    folder: Path = options.runs or Path("runs") / options.name
    if options.show:
        done = finished_records(runs, folder)
        for run in runs:
            print(f"{'done' if run.id in done else 'left'}  {run.id}")
        _say(f"runs: {len(runs)}, done: {len(done)}, left: {len(runs) - len(done)}")
        return 0
    for run in runs:
        run.check()
    _check_images(runs, options)
    records: Path = options.record or folder / "records.jsonl"
    command = [sys.executable, "-m", "simam_edu.cli", "train", "--device", options.device]
    command += ["--data", str(options.data)] if options.data else []
    outcome = sweep(runs, folder=folder, records=records, command=command, jobs=options.jobs, say=_say)
    return _conclude(outcome, records)


def _check_images(runs: list[Run], options: argparse.Namespace) -> None:
    """Find, or fetch, the images before the first run: once, and not in each run."""
    for name in dict.fromkeys(run.dataset for run in runs):
        for split in get_args(Split):
            images = load(name, split, root=options.data, download=options.download)
        _say(f"{name}: {images.source}")


def _conclude(outcome: Outcome, records: Path) -> int:
    for failure in outcome.failures:
        _say(f"\n{failure.run} {failure.reason}. The last lines of its log:\n{failure.log}")
    failed = {failure.run for failure in outcome.failures}
    elsewhere = [name for name in outcome.left if name not in failed]
    if elsewhere:
        _say(f"left to other sweeps, which have their locks: {', '.join(elsewhere)}")
    _say(f"done: {outcome.done}, left: {len(outcome.left)}; `simam-edu report {records}` shows the results")
    return 1 if outcome.failures else 0


def _report(options: argparse.Namespace) -> int:
    files: list[Path] = options.files
    records = [record for file in files for record in read_records(file)] if files else recorded("study")
    tables = make_tables(records, baseline=options.baseline)
    if options.json:
        print(json.dumps([asdict(table) for table in tables], indent=1))
    else:
        print("\n".join(describe(table) for table in tables), end="")
    if options.grid:
        runs = grid(options.grid)
        missing = missing_runs(records, runs)
        names = f": {', '.join(missing)}" if missing else ""
        _say(f"{len(missing)} of the {len(runs)} runs of the grid {options.grid} are missing{names}")
    if options.plot:
        from simam_edu.plots.study import report_figure  # no other command draws

        report_figure(tables).savefig(options.plot)
        _say(f"drawn to {options.plot}")
    return 0


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
