"""The folder of a run: whose it is, who is at work in it, and the checkpoints that the run goes on from."""

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
from simam_edu.kernels import path_for
from simam_edu.training.checkpoint import (
    TrainState,
    load_checkpoint,
    newest_checkpoint,
    save_checkpoint,
    write_atomically,
)
from simam_edu.training.config import TrainConfig
from simam_edu.training.distributed import World, choose_precision
from simam_edu.training.interruption import signals_wait

CHECKPOINT_SECONDS = 60.0
"""How long a run goes without a checkpoint: what a crash costs at most. Writing that of ResNet-20 takes a
few hundredths of a second, that of the largest network here (0.3 GB) a second or so: some 2 % at most."""
FINGERPRINT_FILE = "config.json"
RECORD_FILE = "record.json"
"""A run is finished if and only if its folder has this file."""
LOCK_FILE = "lock"
"""Held by the process that is at work in the folder. It stays there, as the lock of a removed file would not
keep anybody from locking a new one."""

Fingerprint = Mapping[str, Any]
"""Everything that decides the numbers of a run, as JSON has it."""


def fingerprint(config: TrainConfig, train_set: ImageSet, test_set: ImageSet, world: World) -> Fingerprint:
    """Return what decides the numbers of a run, to the kind of its device.

    A run goes on only where all of it is as it was; else two results would be mixed and its record would
    name one. What rounds differently belongs to it: the versions of torch and of this package, the backend
    of SimAM, and on the CPU, where a run can be repeated to the last bit, the number of threads and the
    instructions that torch uses. The record also names the processor's model, Python and numpy, which are
    not compared. Settings that a caller changes in torch, such as its default type, are neither compared
    nor recorded.

    Args:
        config: The run.
        train_set: Its images and labels enter by their checksum.
        test_set: Likewise.
        world: A run goes on with as many processes as it began with.
    """
    device = world.device(config.device)
    on_cpu = device.type == "cpu"
    with_simam = "simam" in config.attention
    return config.definition(train_set) | {
        "training_images_checksum": _digest(train_set),
        "test_images_checksum": _digest(test_set),
        "device": device.type,
        "precision": str(choose_precision(device)).removeprefix("torch."),
        "processes": world.size,
        "threads": torch.get_num_threads() if on_cpu else None,
        "instructions": torch.backends.cpu.get_cpu_capability() if on_cpu else None,
        "simam_backend": path_for(torch.zeros(1, 1, 2, 2, device=device)) if with_simam else None,
        "torch": torch.__version__,
        "simam_edu": simam_edu.__version__,
    }


def _digest(images: ImageSet) -> str:
    digest = hashlib.sha256(repr((images.classes, images.mean, images.std)).encode())
    for array in (images.images, images.labels):
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:16]


def recorded_threads(folder: Path) -> int | None:
    """Return the number of threads that the run of a folder began with, or ``None`` if it does not say."""
    try:
        found = json.loads((folder / FINGERPRINT_FILE).read_text(encoding="utf-8"))["threads"]
    except (OSError, ValueError, KeyError, TypeError):  # whose folder it is, claim() says
        return None
    return found if isinstance(found, int) and found > 0 else None


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder, which is made when missing.

    Raises:
        BlockingIOError: If another process is at work in it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(FileLock(folder / LOCK_FILE, blocking=False))
        except Timeout as error:
            raise BlockingIOError(
                f"{folder} must be free, got another process at work in it; wait for that, or end it"
            ) from error
        yield


def claim(folder: Path, wanted: Fingerprint) -> None:
    """Make the folder, which is made when missing, that of one run, or find that it is.

    Raises:
        ValueError: If the folder holds another run, with the differences.
        OSError: If it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for unfinished in folder.glob("*.tmp"):  # what a crash left
        unfinished.unlink()
    file = folder / FINGERPRINT_FILE
    if file.exists():
        require_same(wanted, file.read_text(encoding="utf-8"), file)
    else:
        write_atomically(file, (json.dumps(wanted, indent=2) + "\n").encode())


def require_same(wanted: Fingerprint, written: str, path: Path) -> None:
    """Refuse a folder or a checkpoint of another run.

    Args:
        wanted: The fingerprint of the run that was asked for.
        written: That of the run that was found, as JSON.
        path: Where, for the message.

    Raises:
        ValueError: If they differ, with the differences.
    """
    try:
        found = dict(json.loads(written))
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"{path} must say what run it is of, in JSON; use another folder ({error})"
        ) from error
    here = json.loads(json.dumps(wanted))
    differences = [
        f"{key} is {_shown(found, key)} there and {_shown(here, key)} here"
        for key in sorted(found.keys() | here.keys())
        if _shown(found, key) != _shown(here, key)
    ]
    if not differences:
        return
    cure = "use another folder"
    if "threads" in found and found["threads"] != here["threads"]:
        cure += f", or set OMP_NUM_THREADS={found['threads']} to go on with as many threads"
    raise ValueError(
        f"{path} must be of the run that is asked for, got another one: {'; '.join(differences)}; {cure}"
    )


def _shown(of: Fingerprint, key: str) -> str:
    return repr(of[key]) if key in of else "not said"


class Checkpointing:
    """Saves and restores the checkpoints of one run; of several processes that of rank 0 reads and writes.

    Args:
        folder: Of the run, made when missing; ``None`` to keep nothing.
        config: The run, which the folder must be of.
        train_set: Its training images; they are hashed here, once.
        test_set: Its test images, likewise.
        world: The processes of the run.

    Raises:
        ValueError: If the folder is that of another run.
        OSError: If it cannot be written.
    """

    def __init__(
        self,
        folder: str | Path | None,
        config: TrainConfig,
        train_set: ImageSet,
        test_set: ImageSet,
        world: World,
    ) -> None:
        self.folder, self.world = None if folder is None else Path(folder), world
        self._newest: Path | None = None
        self._saved_at = time.monotonic()
        self._fingerprint: Fingerprint = {}
        if self.folder is not None and world.rank == 0:
            self._fingerprint = fingerprint(config, train_set, test_set, world)
            claim(self.folder, self._fingerprint)

    def restore(self, state: TrainState) -> None:
        """Put a state to where the newest whole checkpoint stood; without one, leave it at the beginning.

        Raises:
            ValueError: If that checkpoint is of another run.
        """
        if self.folder is None:
            return
        content = b""
        if self.world.rank == 0 and (found := newest_checkpoint(self.folder)):
            self._newest, content = found
            loaded = load_checkpoint(content, self._newest)
            require_same(self._fingerprint, loaded.get("identity", ""), self._newest)
        content = self.world.from_first(content)
        if content:
            state.restore(load_checkpoint(content, self.folder)["state"], self.world)

    def save_when_due(self, state: TrainState) -> None:
        """Write a checkpoint inside an epoch when the last one is :data:`CHECKPOINT_SECONDS` old."""
        if state.batch < state.batches and time.monotonic() - self._saved_at >= CHECKPOINT_SECONDS:
            self.save(state)

    def save(self, state: TrainState) -> None:
        """Write a checkpoint of a state whose metrics are read.

        Raises:
            OSError: If it cannot be written.
        """
        if self.folder is not None and self.world.rank == 0:
            state.tick()
            content = {"identity": json.dumps(self._fingerprint), "state": state.saved()}
            self._newest = save_checkpoint(self.folder, content, step=state.step, keep=self._newest)
        self._saved_at = time.monotonic()

    @contextlib.contextmanager
    def on_interruption(self, state: TrainState) -> Iterator[None]:
        """Save once more when the block is interrupted, unless the loss is not finite.

        Of several processes each may be at another step, so they leave it at the last checkpoint.
        """
        try:
            yield
        except KeyboardInterrupt:
            if self.folder is not None and self.world.size == 1:
                with signals_wait():
                    if state.batch:
                        state.metrics.read(self.world)
                    if not state.metrics.first_bad:
                        self.save(state)
            raise
