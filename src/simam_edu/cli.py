"""The command line: ``simam-edu train``, and what :mod:`~simam_edu.cli_study` and ``cli_bench`` add."""

import argparse
import contextlib
import json
import os
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from tqdm import tqdm

from simam_edu import cli_bench, cli_study
from simam_edu.datasets import NAMES, ImageSet, load
from simam_edu.training import RECIPES, Progress, TrainConfig, append_record, finish, make_record, train
from simam_edu.training.distributed import World, join, keep_freed_memory, read_world
from simam_edu.training.folder import RECORD_FILE, recorded_threads
from simam_edu.training.interruption import signal_of, signals_interrupt, signals_wait
from simam_edu.training.record import Record
from simam_edu.training.tensorboard import tensorboard_curves


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status.

    It is 0, 1 if runs failed, 2 for a mistake that is named, and as in a shell 128 and the number of the
    signal that ended it: 130 for Ctrl-C, 143 for SIGTERM.
    """
    options = None
    try:
        options = _parser().parse_args(arguments)
        # Of several processes torchrun ends all; each by itself could only wait for the others.
        with contextlib.nullcontext() if read_world(os.environ).size > 1 else signals_interrupt():
            # A command that can fail in part returns its status, the others return nothing.
            return int(options.command(options) or 0)
    except KeyboardInterrupt as interruption:
        kept = options.interrupted(options) if options else "nothing was begun"
        print(f"simam-edu: interrupted; {kept}", file=sys.stderr)
        return 128 + signal_of(interruption)
    except (ValueError, OSError, FloatingPointError, ModuleNotFoundError) as error:
        print(f"simam-edu: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="simam-edu", description="Train networks with and without SimAM.")
    parser.set_defaults(interrupted=lambda _options: "nothing is kept")
    commands = parser.add_subparsers(required=True, metavar="command")
    cli_study.add_commands(commands)
    cli_bench.add_commands(commands)
    command = commands.add_parser(
        "train", help="train one network and test it once", epilog=_recipes(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    command.set_defaults(command=_train, interrupted=_after_interruption)
    TrainConfig.add_options(command)
    command.add_argument("--dataset", choices=NAMES, default="cifar10")
    command.add_argument(
        "--data", type=Path, metavar="PLACE", help="folder that holds the data set, or its archive"
    )
    command.add_argument("--download", action="store_true", help="fetch the data set where it is missing")
    command.add_argument(
        "--tensorboard", action="store_true", help="write curves to DIR/tensorboard, with --folder DIR"
    )
    where = command.add_mutually_exclusive_group()
    where.add_argument(
        "--folder", type=Path, metavar="DIR",
        help="folder of this run alone: called again after an interruption, the run goes on from its last "
        "checkpoint there, and DIR/record.json says that it is finished",
    )  # fmt: skip
    where.add_argument(
        "--record", type=Path, default=Path("runs/records.jsonl"), metavar="FILE",
        help="without --folder, file to which the record is appended (default %(default)s)",
    )  # fmt: skip
    return parser


def _recipes() -> str:
    lines = (textwrap.fill(f"{name}: {recipe.expected}", 78) for name, recipe in RECIPES.items())
    return "recipes\n\n" + "\n\n".join(lines)


def _after_interruption(options: argparse.Namespace) -> str:
    if options.folder is None:
        return "nothing is kept; with --folder DIR a run keeps checkpoints and goes on from them"
    return f"the same command goes on from what is in {options.folder}"


def _train(options: argparse.Namespace) -> None:
    if options.tensorboard and options.folder is None:
        raise ValueError("--tensorboard must come with --folder, got none; its curves are kept there")
    config = TrainConfig.from_options(options)
    keep_freed_memory()
    world = join(config.device)
    _take_recorded_threads(options.folder)
    images = _load(options, world)

    def run(on_step: Callable[[Progress], None] | None) -> Record:
        if options.folder is not None:
            return finish(config, *images, folder=options.folder, on_step=on_step, world=world)
        # A record that cannot be written is better known before the training than after it.
        options.record.parent.mkdir(parents=True, exist_ok=True)
        options.record.open("a").close()
        return make_record(config, images[0], train(config, *images, on_step=on_step, world=world))

    if world.rank:
        run(None)
    elif options.folder is not None and (options.folder / RECORD_FILE).exists():
        run(None)
        print(f"{options.folder} holds this run, and it is finished", file=sys.stderr)
    else:
        print(f"{options.dataset}: {images[0].source}", file=sys.stderr)
        learned = len(images[0].labels) - round(config.held_out * len(images[0].labels))
        with _shown(options, config.total_epochs * learned) as on_step:
            record = run(on_step)
        _keep(record, options)


def _take_recorded_threads(folder: Path | None) -> None:
    """Go on with as many threads as the run began with: another number gives other digits."""
    threads = recorded_threads(folder) if folder is not None else None
    if threads is not None and threads != torch.get_num_threads():
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        print(f"{folder} began with {threads} threads and goes on so, not with {before}", file=sys.stderr)


def _load(options: argparse.Namespace, world: World) -> tuple[ImageSet, ImageSet]:
    if world.local_rank:  # the first process of a machine fetches the images, the others wait for it
        world.wait()
    train_set, test_set = (
        load(options.dataset, split, root=options.data, download=options.download)
        for split in ("train", "test")
    )
    if not world.local_rank:
        world.wait()
    return train_set, test_set


@contextlib.contextmanager
def _shown(options: argparse.Namespace, images: int) -> Iterator[Callable[[Progress], None]]:
    """Yield what shows the progress of a run: a bar, and the curves that were asked for."""
    with contextlib.ExitStack() as stack:
        curves = None
        if options.tensorboard:
            curves = stack.enter_context(tensorboard_curves(options.folder / "tensorboard"))
        bar = stack.enter_context(tqdm(total=images, unit=" images", smoothing=0.05))

        def on_step(progress: Progress) -> None:
            _show(bar, progress)
            if curves is not None:
                curves(progress)

        yield on_step


def _show(bar: "tqdm[None]", progress: Progress) -> None:
    if bar.n == 0:  # a run that goes on: what was seen before counts, but not for the speed
        bar.n = bar.initial = progress.seen - progress.images
    bar.set_description(f"epoch {progress.epoch}/{progress.epochs}", refresh=False)
    bar.set_postfix(
        loss=f"{progress.metrics.loss:.3f}", accuracy=f"{progress.metrics.accuracy:.3f}", refresh=False
    )
    bar.update(progress.images)


def _keep(record: Record, options: argparse.Namespace) -> None:
    """Print a record, append it where the run has no folder, and say what came out."""
    with signals_wait():
        print(json.dumps(record), flush=True)
        if options.folder is None:
            append_record(options.record, record)
        options.interrupted = lambda _options: "the run was finished, and its record is kept"
    print(
        f"test accuracy {record['test_accuracy']:.4f} after {record['epochs']} epochs "
        f"and {record['minutes']:.1f} minutes; record "
        + (f"appended to {options.record}" if options.folder is None else f"in {options.folder}"),
        file=sys.stderr,
    )


if __name__ == "__main__":  # the runs of a sweep are started as python -m simam_edu.cli
    sys.exit(main())
