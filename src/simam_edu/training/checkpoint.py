"""Checkpoints of a run in a folder: written whole or not at all, and checked before they are used.

A checkpoint is a file of torch.save named ``checkpoint-STEP-CHECKSUM.pt``. The checksum in its name is that
of its content, so a file that was torn by a crash or changed by anything else is known for what it is.
"""

import hashlib
import io
import os
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

_NAME = re.compile(r"checkpoint-(\d{8})-([0-9a-f]{16})\.pt")


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file that is there whole or not at all, whenever the machine stops.

    The content goes to a temporary file beside it, is brought to the disk, and then takes its name.

    Raises:
        OSError: If it cannot be written, for example on a full disk; what was there before stays.
    """
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")  # no two processes write into one
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:  # a signal's among them
        temporary.unlink(missing_ok=True)
        raise
    if os.name == "posix":  # the new name is in the folder; elsewhere folders cannot be opened
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def save_checkpoint(folder: Path, content: Mapping[str, Any], *, step: int, keep: Path | None) -> Path:
    """Write a checkpoint and remove all older ones but one.

    Args:
        folder: Of the run.
        content: Tensors, numbers, strings, lists and dicts.
        step: How many steps of training it holds.
        keep: The checkpoint before it, which stays in case that the new one is damaged later.

    Returns:
        Its file.

    Raises:
        OSError: If it cannot be written; the older ones stay then.
    """
    buffer = io.BytesIO()
    torch.save(dict(content), buffer)
    path = folder / f"checkpoint-{step:08d}-{_checksum(buffer.getvalue())}.pt"
    write_atomically(path, buffer.getvalue())
    for other in folder.glob("checkpoint-*.pt"):
        if _NAME.fullmatch(other.name) and other not in (path, keep):
            other.unlink()
    return path


def newest_checkpoint(folder: Path) -> tuple[Path, bytes] | None:
    """Return the newest checkpoint that is whole, or ``None``.

    Damaged ones are passed over with a warning: the steps since the one before are done again.
    """
    names = [path for path in folder.glob("checkpoint-*.pt") if _NAME.fullmatch(path.name)]
    # A run that is interrupted while it evaluates keeps a second one of the same step.
    for path in sorted(names, key=lambda path: (path.name[:19], path.stat().st_mtime_ns), reverse=True):
        content = path.read_bytes()
        if path.stem.endswith(_checksum(content)):
            return path, content
        warnings.warn(f"{path} is damaged and is not used", stacklevel=2)
    return None


def load_checkpoint(file: bytes, path: Path) -> dict[str, Any]:
    """Return what a checkpoint holds, with its tensors on the CPU.

    Args:
        file: What is in the file. Nothing in it is executed.
        path: Of the file, for the message.

    Raises:
        ValueError: If it holds anything but tensors, numbers, strings, lists and dicts.
    """
    try:
        return dict(torch.load(io.BytesIO(file), map_location="cpu", weights_only=True))
    except Exception as error:  # torch.load raises whatever its reader met
        raise ValueError(f"{path} must be a checkpoint of this package; remove it ({error})") from error


def _checksum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
