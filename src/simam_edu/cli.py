"""The command line: ``simam-edu train``, and ``sweep`` and ``report`` of :mod:`simam_edu.cli_study`."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from tqdm import tqdm

from simam_edu import cli_study
from simam_edu.attention import ATTENTION
from simam_edu.datasets import NAMES, load
from simam_edu.networks import NETWORKS, Slot
from simam_edu.training import RECIPES, Progress, TrainConfig, append_record, make_record, train
from simam_edu.training.config import Device


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0, 1 if runs failed, 2 for a mistake that is named."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.command(options))
    except (ValueError, OSError, FloatingPointError) as error:
        print(f"simam-edu: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="simam-edu", description="Train networks with and without SimAM.")
    commands = parser.add_subparsers(required=True, metavar="command")
    cli_study.add_commands(commands)
    command = commands.add_parser("train", help="train one network and test it once")
    command.set_defaults(command=_train)
    command.add_argument("--network", choices=NETWORKS, default="resnet20")
    command.add_argument("--attention", choices=ATTENTION, default="simam")
    command.add_argument("--lam", type=float, help="lambda of SimAM (default 1e-4)")
    command.add_argument("--slot", choices=get_args(Slot), default="pre_norm", help="place in the block")
    command.add_argument("--dataset", choices=NAMES, default="cifar10")
    command.add_argument("--data", type=Path, metavar="DIR", help="folder that holds the data set")
    command.add_argument("--download", action="store_true", help="fetch the data set where it is missing")
    command.add_argument("--recipe", choices=RECIPES, default="budget")
    command.add_argument("--epochs", type=int, metavar="N", help="default: the recipe's own number")
    command.add_argument("--seed", type=int, default=0, metavar="S")
    command.add_argument(
        "--held-out", type=float, default=0.1, metavar="PART",
        help="part of the training images kept for evaluation (default 0.1); 0 trains on all",
    )  # fmt: skip
    command.add_argument("--device", choices=get_args(Device), default="auto")
    command.add_argument(
        "--record", type=Path, default=Path("runs/records.jsonl"), metavar="FILE",
        help="file to which the record is appended (default runs/records.jsonl)",
    )  # fmt: skip
    return parser


def _train(options: argparse.Namespace) -> int:
    config = TrainConfig(
        network=options.network,
        attention=options.attention,
        attention_options={} if options.lam is None else {"lam": options.lam},
        slot=options.slot,
        recipe=options.recipe,
        epochs=options.epochs,
        seed=options.seed,
        held_out=options.held_out,
        device=options.device,
    )
    train_set, test_set = (
        load(options.dataset, split, root=options.data, download=options.download)
        for split in ("train", "test")
    )
    # A record that cannot be written is better known before the training than after it.
    options.record.parent.mkdir(parents=True, exist_ok=True)
    options.record.open("a").close()
    print(f"{options.dataset}: {train_set.source}", file=sys.stderr)
    learned = len(train_set.labels) - round(config.held_out * len(train_set.labels))
    with tqdm(total=config.total_epochs * learned, unit=" images", smoothing=0.05) as bar:
        result = train(config, train_set, test_set, on_step=lambda progress: _show(bar, progress))
    record = make_record(config, train_set, result)
    print(json.dumps(record), flush=True)
    append_record(options.record, record)
    print(
        f"test accuracy {result.test.accuracy:.4f} after {config.total_epochs} epochs "
        f"and {result.minutes:.1f} minutes; record appended to {options.record}",
        file=sys.stderr,
    )
    return 0


def _show(bar: "tqdm[None]", progress: Progress) -> None:
    bar.set_description(f"epoch {progress.epoch}/{progress.epochs}", refresh=False)
    bar.set_postfix(
        loss=f"{progress.score.loss:.3f}", accuracy=f"{progress.score.accuracy:.3f}", refresh=False
    )
    bar.update(progress.images)


if __name__ == "__main__":  # the runs of a sweep are started as python -m simam_edu.cli
    sys.exit(main())
