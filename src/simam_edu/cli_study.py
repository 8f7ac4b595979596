"""The commands of a study: ``simam-edu train``, ``simam-edu sweep`` and ``simam-edu report``."""

import argparse
import contextlib
import json
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

import torch
from tqdm import tqdm

from simam_edu.datasets import NAMES, ImageSet, Split, load
from simam_edu.experiments import GRIDS, grid, make_tables, missing_runs, shard
from simam_edu.experiments.sweep import finished_records, in_processes, in_streams, sweep
from simam_edu.experiments.text import describe
from simam_edu.training import (
    RECIPES,
    Progress,
    TrainConfig,
    append_record,
    finish,
    make_record,
    read_records,
    recorded,
    tensorboard_curves,
    train,
)
from simam_edu.training.config import Device
from simam_edu.training.distributed import World, join, keep_freed_memory
from simam_edu.training.folder import RECORD_FILE, recorded_threads
from simam_edu.training.interruption import signals_wait
from simam_edu.training.record import Record

FILE, FOLDER = ({"type": Path, "metavar": name} for name in ("FILE", "DIR"))
FLAG = {"action": "store_true"}
PARTS: tuple[Split, ...] = get_args(Split)
DATA: dict[str, dict[str, Any]] = {
    "--data": {"type": Path, "metavar": "PLACE", "help": "folder of the data sets, or an archive"},
    "--download": FLAG | {"help": "fetch a data set where it is missing"},
}
OPTIONS: dict[str, dict[str, dict[str, Any]]] = {
    "train": DATA | {
        "--dataset": {"choices": NAMES, "default": "cifar10"},
        "--tensorboard": FLAG | {"help": "write curves to DIR/tensorboard, with --folder DIR"},
        "--folder": FOLDER | {"help": "folder of this run alone: called again after an interruption, the run "
                              "goes on from its last checkpoint there, and DIR/record.json says that it is "
                              "finished"},
        "--record": FILE | {"help": "without --folder, file to which the record is appended (default "
                            "runs/records.jsonl)"},
    },
    "sweep": DATA | {
        "name": {"choices": GRIDS, "metavar": "NAME", "help": f"which grid: {', '.join(GRIDS)}"},
        "--jobs": {"type": int, "default": 1, "metavar": "N", "help": "runs at a time (default 1); on a CPU, "
                   "as many as it has cores get most done, and on a CUDA card they share it by streams"},
        "--seeds": {"type": int, "nargs": "+", "metavar": "S", "help": "in place of the grid's own seeds"},
        "--part": {"metavar": "K/N", "help": "only the K-th of N parts, for a job of an array"},
        "--show": FLAG | {"help": "show what is left and start nothing"},
        "--runs": FOLDER | {"help": "folder of the runs (default runs/NAME)"},
        "--record": FILE | {"help": "file to which each finished record is appended once (default "
                            "runs/NAME/records.jsonl)"},
        "--device": {"choices": get_args(Device), "default": "auto",
                     "help": "where to compute (default auto)"},
    },
    "report": {
        "files": FILE | {"nargs": "*", "help": "records (default: those of the book's study)"},
        "--baseline": {"default": "none", "metavar": "COLUMN", "help": "column that the others are compared "
                       "with, as the tables name it, such as 'simam pre_norm' (default none)"},
        "--grid": {"choices": GRIDS, "help": "say which runs of this grid are missing"},
        "--json": FLAG | {"help": "print the tables as JSON"},
        "--plot": FILE | {"help": "draw them too, as .png, .pdf or .svg"},
    },
}  # fmt: skip


def add_options(name: str, command: argparse.ArgumentParser) -> None:
    """Add the options of a command to its parser, and the function that runs it."""
    if name == "train":
        TrainConfig.add_options(command)
        recipes = [textwrap.fill(f"{name}: {recipe.expected}", 78) for name, recipe in RECIPES.items()]
        command.epilog = "\n\n".join(["recipes", *recipes])
    for option, takes in OPTIONS[name].items():
        command.add_argument(option, **takes)
    command.set_defaults(run={"train": _train, "sweep": _sweep, "report": _report}[name])


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _train(options: argparse.Namespace) -> None:
    folder: Path | None = options.folder
    file: Path = options.record or Path("runs/records.jsonl")
    if folder is None:
        options.kept = "nothing is kept; with --folder DIR a run keeps checkpoints and goes on from them"
        if options.tensorboard:
            raise ValueError("--tensorboard must come with --folder, got none; its curves are kept there")
    else:
        options.kept = f"the same command goes on from what is in {folder}"
        if options.record:
            raise ValueError("--record must come without --folder, got both; DIR/record.json is the record")
    config = TrainConfig.from_options(options)
    keep_freed_memory()
    world = join(config.device)
    _take_recorded_threads(folder)
    if world.local_rank:  # the first process of a machine fetches the images, and the others wait for it
        world.gather(None)
    images = _load(options, options.dataset)
    if not world.local_rank:
        world.gather(None)

    def run(on_step: Callable[[Progress], None] | None) -> Record:
        if folder is not None:
            return finish(config, *images, folder=folder, on_step=on_step, world=world)
        # A record that cannot be written is better known before the training than after it.
        file.parent.mkdir(parents=True, exist_ok=True)
        file.open("a").close()
        return make_record(config, images[0], train(config, *images, on_step=on_step, world=world))

    if world.rank:
        run(None)
        return
    if folder is not None and (folder / RECORD_FILE).exists():
        run(None)  # says whether it is this run's
        _say(f"{folder} holds this run, and it is finished")
        return
    _say(f"{options.dataset}: {images[0].source}")
    learned = len(images[0].labels) - round(config.held_out * len(images[0].labels))
    with _shown(options, config.total_epochs * learned) as on_step:
        record = run(on_step)
    with signals_wait():
        print(json.dumps(record), flush=True)
        if folder is None:
            append_record(file, record)
        options.kept = "the run was finished, and its record is kept"
    _say(
        f"test accuracy {record['test_accuracy']:.4f} after {record['epochs']} epochs and "
        f"{record['minutes']:.1f} minutes; record {f'in {folder}' if folder else f'appended to {file}'}"
    )


def _take_recorded_threads(folder: Path | None) -> None:
    """Go on with as many threads as the run began with: another number gives other digits."""
    threads, before = folder and recorded_threads(folder), torch.get_num_threads()
    if threads and threads != before:
        torch.set_num_threads(threads)
        _say(f"{folder} began with {threads} threads and goes on so, not with {before}")


def _load(options: argparse.Namespace, name: str) -> tuple[ImageSet, ImageSet]:
    train_set, test_set = (load(name, part, root=options.data, download=options.download) for part in PARTS)
    return train_set, test_set


@contextlib.contextmanager
def _shown(options: argparse.Namespace, images: int) -> Iterator[Callable[[Progress], None]]:
    """Yield what shows the progress of a run: a bar, and the curves that were asked for."""
    curves: contextlib.AbstractContextManager[Callable[[Progress], None]] = contextlib.nullcontext(
        lambda _: None
    )
    if options.tensorboard:
        curves = tensorboard_curves(options.folder / "tensorboard")
    with curves as draw, tqdm(total=images, unit=" images", smoothing=0.05) as bar:

        def on_step(progress: Progress) -> None:
            _show(bar, progress)
            draw(progress)

        yield on_step


def _show(bar: "tqdm[None]", progress: Progress) -> None:
    if bar.n == 0:  # a run that goes on: what was seen before counts, but not for the speed
        bar.n = bar.initial = progress.seen - progress.images
    bar.set_description(f"epoch {progress.epoch}/{progress.epochs}", refresh=False)
    metrics = progress.metrics
    bar.set_postfix(loss=f"{metrics.loss:.3f}", accuracy=f"{metrics.accuracy:.3f}", refresh=False)
    bar.update(progress.images)


def _sweep(options: argparse.Namespace) -> int:
    options.kept = "the same command goes on from where the runs were"
    runs = grid(options.name, seeds=options.seeds)
    if options.part is not None:
        runs = shard(runs, options.part)
    folder: Path = options.runs or Path("runs") / options.name
    if options.show:
        done = finished_records(runs, folder)
        for run in runs:
            print(f"{'done' if run.id in done else 'left'}  {run.id}")
        _say(f"runs: {len(runs)}, done: {len(done)}, left: {len(runs) - len(done)}")
        return 0
    # Found or fetched here once; processes load their own again.
    images = {name: _load(options, name) for name in dict.fromkeys(run.dataset for run in runs)}
    for name, (train_set, _) in images.items():
        _say(f"{name}: {train_set.source}")
    if World().device(options.device).type == "cuda":
        work = in_streams(images, options.device)
    else:
        images.clear()
        command = [sys.executable, "-m", "simam_edu.cli", "train", "--device", options.device]
        work = in_processes(
            [*command, *(["--data", str(options.data)] if options.data else [])], options.jobs
        )
    records: Path = options.record or folder / "records.jsonl"
    end = sweep(runs, folder=folder, records=records, work=work, jobs=options.jobs, say=_say)
    for name, reason in end.failures.items():
        _say(f"\n{name} failed: {reason}")
    if elsewhere := [name for name in end.left if name not in end.failures]:
        _say(f"left to other sweeps, which have their locks: {', '.join(elsewhere)}")
    _say(f"done: {end.done}, left: {len(end.left)}; `simam-edu report {records}` shows the results")
    return 1 if end.failures else 0


def _report(options: argparse.Namespace) -> None:
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
