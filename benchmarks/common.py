"""What several benchmarks share: their options, records, parts of image sets and finished runs."""

import argparse
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from simam_edu.datasets import ImageSet
from simam_edu.training import DeviceImages, TrainConfig
from simam_edu.training.checkpoint import newest_checkpoint
from simam_edu.training.folder import RECORD_FILE
from simam_edu.training.record import environment

Record = dict[str, Any]
BOOK = Path(__file__).resolve().parent.parent / "book"
RESULTS = BOOK / "results"
OF_A_NETWORK = ("network", "attention", "attention_options", "slot", "first_weights", "seed")


def options_of(doc: str | None, out: Path) -> argparse.ArgumentParser:
    """Return the parser of a benchmark, with ``--out``."""
    parser = argparse.ArgumentParser(description=(doc or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, default=out, help="the file of the record")
    return parser


def signed(record: Record) -> Record:
    """Return a record with when and where it was made."""
    when = datetime.now(UTC).isoformat(timespec="seconds")
    return record | {"finished": when, "environment": environment()}


def write(out: Path, *records: Record) -> None:
    """Write records in the place of what a file has."""
    out.write_text("".join(f"{json.dumps(record)}\n" for record in records), encoding="utf-8")


def part(images: ImageSet, chosen: slice) -> ImageSet:
    """Return some images of a set with their masks."""
    masks = None if images.masks is None else images.masks[chosen]
    return replace(images, images=images.images[chosen], labels=images.labels[chosen], masks=masks)


def first_of(images: ImageSet, count: int | None) -> ImageSet:
    """Return the first images of a set."""
    return part(images, slice(count))


def pictures(images: ImageSet) -> tuple[Tensor, Tensor]:
    """Return all images of a set, normalized, and their labels."""
    put = DeviceImages.put(images, torch.device("cpu"))
    return next(put.plain_batches(len(put)))


def finished_run(folder: Path, file: str = RECORD_FILE) -> tuple[Record, dict[str, Tensor]]:
    """Return what a file of a run's folder says and the weights that the run ended with.

    Raises:
        ValueError: If the folder is not that of a finished run.
    """
    newest, path = newest_checkpoint(folder), folder / file
    if newest is None or not path.exists():
        need = f"of a finished run, with a checkpoint and {file}"
        raise ValueError(f"folder must be {need}, got {folder}")
    return json.loads(path.read_text(encoding="utf-8")), newest[1]["state"]["network"]


def config_of(record: Record, *names: str) -> TrainConfig:
    """Return the network that a record is of, and what else of it is named."""
    return TrainConfig(**{name: record[name] for name in (*OF_A_NETWORK, *names)})
