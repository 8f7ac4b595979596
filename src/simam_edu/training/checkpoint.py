"""Checkpoints in a folder: written whole or not at all, and checked before they are used.

A checkpoint is a file of torch.save named ``checkpoint-STEP-CHECKSUM.pt``. The checksum is that of
its content, so a file that was torn by a crash or changed by anything else is known for what it is.
"""

import hashlib
import io
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

_NAMES = f"checkpoint-{'[0-9]' * 8}-{'[0-9a-f]' * 16}.pt"  # as a pattern; no other file is touched


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file that is there whole, or as it was before: a full disk is an OSError."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")  # no two processes write into one
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)  # when the disk is full, or a signal came


def remove_unfinished(folder: Path) -> None:
    """Remove the files that writing left unfinished in the folder of a run when the machine stopped."""
    for unfinished in folder.glob("*.*.[0-9]*.tmp"):
        if unfinished.name.startswith(("config.json.", "record.json.", "checkpoint-")):
            unfinished.unlink()


def save_checkpoint(
    folder: Path,
    content: Mapping[str, Any],
    *,
    step: int,
    keep: Path | None = None,
) -> Path:
    """Write a checkpoint of so many steps, remove the older ones but ``keep``, and return its file.

    ``keep`` is the one before it, in case that the new one is damaged later.
    """
    buffer = io.BytesIO()
    torch.save(dict(content), buffer)
    path = folder / f"checkpoint-{step:08d}-{_checksum(buffer.getvalue())}.pt"
    write_atomically(path, buffer.getvalue())
    for other in set(folder.glob(_NAMES)) - {path, keep}:
        other.unlink()
    return path


def newest_checkpoint(folder: Path) -> tuple[Path, dict[str, Any]] | None:
    """Return the newest checkpoint that is whole and its content, tensors on the CPU, or ``None``.

    Damaged ones are passed over with a warning: the steps since the one before are done again.
    Nothing in a file is executed.
    """
    # A run that is interrupted while it evaluates keeps a second one of the same step.
    files = sorted(folder.glob(_NAMES), key=lambda path: (path.name[:19], path.stat().st_mtime_ns))
    for path in reversed(files):
        content = path.read_bytes()
        if path.stem.endswith(_checksum(content)):
            return path, torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        warnings.warn(f"{path} is damaged and is not used", stacklevel=2)
    return None


def _checksum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
