"""The folder of a run: whose it is, and the checkpoints that the run goes on from."""

import contextlib
import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock, Timeout

import simam_edu
from simam_edu.datasets import ImageSet
from simam_edu.kernels import backend_for
from simam_edu.training.checkpoint import (
    newest_checkpoint,
    remove_unfinished,
    save_checkpoint,
    write_atomically,
)
from simam_edu.training.config import TrainConfig
from simam_edu.training.distributed import World, precision
from simam_edu.training.interruption import signals_wait
from simam_edu.training.state import TrainState

# What a crash costs at most. Writing a checkpoint of ResNet-20 takes a few hundredths of a second,
# one of the largest network here (0.3 GB) a second or so: some 2 % at most.
CHECKPOINT_SECONDS = 60.0
FINGERPRINT_FILE = "config.json"
RECORD_FILE = "record.json"  # a run is finished if and only if its folder has this file
# Held by the process that is at work in the folder. It stays there: the lock of a removed file
# would not keep anybody from locking a new one.
LOCK_FILE = "lock"


def fingerprint(
    config: TrainConfig,
    train_set: ImageSet,
    test_set: ImageSet,
    world: World,
) -> dict[str, Any]:
    """Return what decides the numbers of a run, ready for JSON; images enter by their checksum.

    What rounds differently belongs to it, such as the number of threads on the CPU. The
    processor's model, Python and numpy are recorded and not compared.
    """
    device = world.device(config.device)
    on_cpu, with_simam = device.type == "cpu", "simam" in config.attention
    probe = torch.zeros(1, 1, 2, 2, device=device)
    return config.definition(train_set) | {
        "training_images_checksum": digest(train_set),
        "test_images_checksum": digest(test_set),
        "device": device.type,
        "precision": precision(device),
        "processes": world.size,
        "threads": torch.get_num_threads() if on_cpu else None,
        "instructions": torch.backends.cpu.get_cpu_capability() if on_cpu else None,
        "simam_backend": backend_for(probe) if with_simam else None,
        "torch": torch.__version__,
        "simam_edu": simam_edu.__version__,
    }


def digest(images: ImageSet) -> str:
    """Return a checksum of all that a run takes from a set of images."""
    found = hashlib.sha256(repr((images.classes, images.mean, images.std)).encode())
    for array in (images.images, images.labels):
        found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()[:16]


def locked(folder: Path) -> contextlib.AbstractContextManager[object]:
    """Return the lock of a folder, taken until its block ends, or raise an OSError if it is taken already."""
    try:
        return FileLock(folder / LOCK_FILE, blocking=False).acquire()
    except Timeout as error:
        raise BlockingIOError(
            f"{folder} must have one process at work, and another one has its lock; wait for it or use "
            "another folder"
        ) from error


def recorded_threads(folder: Path) -> int | None:
    """Return the number of threads that the run of a folder began with, if it is one on a CPU."""
    file = folder / FINGERPRINT_FILE
    threads: int | None = _read(file).get("threads") if file.exists() else None
    return threads


def _read(file: Path) -> dict[str, Any]:
    """Return what a fingerprint file says, or raise a ValueError if it is damaged."""
    try:
        return dict(json.loads(file.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{file} must say in JSON whose it is; use another folder ({error})") from error


def require_same(wanted: Mapping[str, Any], found: Mapping[str, Any], path: Path) -> None:
    """Raise a ValueError with the differences if a folder or checkpoint is of another run."""
    differences = [
        f"{key} is {found.get(key)!r} there and {wanted.get(key)!r} here"
        for key in sorted(wanted.keys() | found.keys())
        if found.get(key) != wanted.get(key)
    ]
    if differences:
        raise ValueError(
            f"{path} must be of the run that is asked for, got another one: "
            f"{'; '.join(differences)}; use another folder"
        )


class Checkpointing:
    """Saves and restores the checkpoints of one run; of several processes rank 0 reads and writes.

    The folder is made when missing, and that of another run is refused with a ValueError; with
    ``None`` nothing is kept.
    """

    def __init__(
        self,
        folder: str | Path | None,
        config: TrainConfig,
        train_set: ImageSet,
        test_set: ImageSet,
        world: World,
    ) -> None:
        self.folder = None if folder is None or world.rank else Path(folder)
        self.world = world
        self._newest: Path | None = None
        self._saved_at = time.monotonic()
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(fingerprint(config, train_set, test_set, world), indent=2) + "\n"
        self._fingerprint = json.loads(text)
        file = self.folder / FINGERPRINT_FILE
        if file.exists():
            require_same(self._fingerprint, _read(file), file)
        elif (self.folder / RECORD_FILE).exists():
            raise ValueError(
                f"{self.folder} must say in {FINGERPRINT_FILE} whose {RECORD_FILE} it has, got none; "
                "use another folder"
            )
        else:
            write_atomically(file, text.encode())
        remove_unfinished(self.folder)

    def restore(self, state: TrainState) -> None:
        """Put a state to where the newest whole checkpoint stood, if there is one."""
        found = None if self.folder is None else newest_checkpoint(self.folder)
        if found is not None:
            self._newest, content = found
            require_same(self._fingerprint, json.loads(content["identity"]), self._newest)
        saved = self.world.from_first(found and found[1]["state"])
        if saved is not None:
            state.restore(saved)

    def save_when_due(self, state: TrainState) -> None:
        """Write a checkpoint inside an epoch when the last is :data:`CHECKPOINT_SECONDS` old."""
        age = time.monotonic() - self._saved_at
        if state.batch < state.batches and age >= CHECKPOINT_SECONDS:
            self.save(state)

    def save(self, state: TrainState) -> None:
        """Write a checkpoint of a state whose steps are read."""
        if self.folder is not None:
            content = {"identity": json.dumps(self._fingerprint), "state": state.saved()}
            self._newest = save_checkpoint(self.folder, content, step=state.step, keep=self._newest)
        self._saved_at = time.monotonic()

    @contextlib.contextmanager
    def on_interruption(self, state: TrainState) -> Iterator[None]:
        """Save once more when the block is interrupted.

        Of several processes each may be at another step, so they leave it at the last checkpoint.
        """
        try:
            yield
        except KeyboardInterrupt:
            if self.folder is not None and self.world.size == 1:
                with signals_wait():
                    if state.batch:
                        state.read(self.world)
                    self.save(state)
            raise
