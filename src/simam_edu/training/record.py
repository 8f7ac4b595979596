"""One line of JSON for each run: what ran, where, and what came out."""

import json
import os
import platform
import subprocess
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock

import simam_edu
from simam_edu.datasets import ImageSet
from simam_edu.training.config import TrainConfig
from simam_edu.training.metrics import TrainResult

Record = dict[str, Any]


def make_record(config: TrainConfig, images: ImageSet, result: TrainResult) -> Record:
    """Return the record of a finished run on training images, ready for JSON.

    It has all of :meth:`.TrainConfig.definition`, and ``training_images``, ``test_accuracy`` (0 to
    1), ``test_loss``, ``test_images``, ``minutes``, ``device``, ``precision``, ``processes``,
    ``finished`` (UTC), ``environment`` and ``history``, one entry per epoch.
    """
    as_they_are = ("training_images", "minutes", "device", "precision", "processes")
    return (
        config.definition(images)
        | {f"test_{name}": value for name, value in asdict(result.test).items()}
        | {name: getattr(result, name) for name in as_they_are}
        | {
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "environment": environment(),
            "history": [asdict(epoch) for epoch in result.epochs],
        }
    )


def environment() -> dict[str, str | int | None]:
    """Return the versions and the machine that a result was made with."""
    return {
        "simam_edu": simam_edu.__version__,
        "commit": commit(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
    }


@cache
def commit() -> str | None:
    """Return the commit of the package's source, with ``+`` where tracked files of it were changed.

    None where the package runs from anywhere but its repository, as when it is installed.
    """
    source = Path(simam_edu.__file__).parent

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(source), *arguments]
        return subprocess.check_output(command, text=True, stderr=subprocess.DEVNULL).strip()

    try:
        if source != Path(git("rev-parse", "--show-toplevel"), "src", "simam_edu").resolve():
            return None  # an installed copy inside somebody else's repository
        changed = git("status", "--porcelain", "--untracked-files=no", "--", ".")
        return git("rev-parse", "--short=12", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _processor() -> str:
    """Return the processor's name; Linux keeps it only in /proc."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


def append_record(path: Path, record: Record) -> None:
    """Append a record to a file as one line, written to disk before this returns.

    File and folder are made when missing. Processes that append to one file wait for each other by
    a lock, ``FILE.lock`` beside it. A last line without its end is ended first.

    Raises:
        OSError: If the file cannot be written; what it held before stays as it was.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     file = Path(folder, "runs.jsonl")
    ...     append_record(file, {"seed": 0})
    ...     append_record(file, {"seed": 1})
    ...     print(list(read_records(file)))
    [{'seed': 0}, {'seed': 1}]
    """
    with lock_of(path):
        append_line(path, record)


def lock_of(path: Path) -> FileLock:
    """Return the lock that whoever writes to a file of records holds; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(path.with_name(path.name + ".lock"))


def append_line(path: Path, record: Record) -> None:
    """Append a record to a file whose lock is held."""
    path.touch()
    before = path.stat().st_size
    try:
        with path.open("a+b") as file:
            file.seek(max(0, before - 1))
            start = b"\n" if file.read(1) not in (b"", b"\n") else b""
            file.write(start + json.dumps(record).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:  # half a line would spoil the next one
        os.truncate(path, before)  # once the file is closed, which tries to write the rest again
        error.filename = str(path)
        raise


def cut_torn_line(path: Path) -> None:
    """Cut off a last line that a process left torn when it was killed, from a file whose lock is held."""
    whole, end, rest = path.read_bytes().rpartition(b"\n")
    try:
        json.loads(rest or b"null")
    except ValueError:
        if rest.startswith(b"{"):  # anything else was never the beginning of a record
            os.truncate(path, len(whole + end))


def read_records(path: Traversable) -> Iterator[Record]:
    """Yield the records of a file, one a line, or raise a ValueError with the line that is none.

    Empty lines and a byte order mark are passed over.

    >>> next(read_records(files("simam_edu.results") / "study.jsonl"))["network"]
    'resnet20'
    """
    number = 0
    try:
        for line in path.read_bytes().decode("utf-8-sig").split("\n"):
            number += 1
            if line.strip():
                yield dict(json.loads(line))
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"{path} must have one JSON record on each line, in UTF-8; line {number}: {error}"
        ) from error


def recorded(name: str) -> list[Record]:
    """Return the records of the runs that the book shows; they are installed with the package.

    The name is that of a file of ``book/results`` without its ending, such as ``"study"``; an
    unknown one is a ValueError with those there are.

    >>> sorted({record["attention"] for record in recorded("study")})
    ['cbam', 'eca', 'gc', 'none', 'se', 'simam']
    """
    folder = files("simam_edu.results")
    known = [Path(file.name).stem for file in folder.iterdir() if file.name.endswith(".jsonl")]
    if name not in known:
        raise ValueError(f"name must be one of {', '.join(sorted(known))}, got {name!r}")
    return list(read_records(folder / f"{name}.jsonl"))
