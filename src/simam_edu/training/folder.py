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
from simam_edu.kernels import backend_for
from simam_edu.training.checkpoint import newest_checkpoint, save_checkpoint, write_atomically
from simam_edu.training.config import TrainConfig
from simam_edu.training.distributed import World, choose_precision
from simam_edu.training.interruption import signals_wait
from simam_edu.training.state import TrainState

# What a crash costs at most. Writing a checkpoint of ResNet-20 takes a few hundredths of a second, one of
# the largest network here (0.3 GB) a second or so: some 2 % at most.
CHECKPOINT_SECONDS = 60.0
FINGERPRINT_FILE = "config.json"
RECORD_FILE = "record.json"  # a run is finished if and only if its folder has this file
# Held by the process that is at work in the folder. It stays there: the lock of a removed file would not
# keep anybody from locking a new one.
LOCK_FILE = "lock"


def fingerprint(config: TrainConfig, train_set: ImageSet, test_set: ImageSet, world: World) -> dict[str, Any]:
    """Return what decides the numbers of a run, ready for JSON; images enter by their checksum.

    A run goes on only where all of it is as it was; else two results would be mixed under the name of one.
    What rounds differently belongs to it, such as the number of threads on the CPU. The processor's model,
    Python and numpy are recorded and not compared; settings that a caller changes in torch are neither.
    """
    device = world.device(config.device)
    on_cpu, with_simam = device.type == "cpu", "simam" in config.attention
    return config.definition(train_set) | {
        "training_images_checksum": _digest(train_set),
        "test_images_checksum": _digest(test_set),
        "device": device.type,
        "precision": str(choose_precision(device)).removeprefix("torch."),
        "processes": world.size,
        "threads": torch.get_num_threads() if on_cpu else None,
        "instructions": torch.backends.cpu.get_cpu_capability() if on_cpu else None,
        "simam_backend": backend_for(torch.zeros(1, 1, 2, 2, device=device)) if with_simam else None,
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
    except (OSError, ValueError, KeyError, TypeError):  # whose folder it is, Checkpointing says
        return None
    return found if isinstance(found, int) and found > 0 else None


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder, made when missing, or raise an OSError if another process works in it."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK_FILE, blocking=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise BlockingIOError(
            f"{folder} must be free, got another process at work in it; wait for that, or end it"
        ) from error
    try:
        yield
    finally:
        lock.release()


def require_same(wanted: Mapping[str, Any], written: str, path: Path) -> None:
    """Raise a ValueError with the differences if a folder or checkpoint is, as JSON, of another run."""
    try:
        found = dict(json.loads(written))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} must say in JSON whose it is; use another folder ({error})") from error
    here = json.loads(json.dumps(wanted))
    differences = []
    for key in sorted(found | here):
        theirs, ours = (repr(of[key]) if key in of else "not said" for of in (found, here))
        if theirs != ours:
            differences.append(f"{key} is {theirs} there and {ours} here")
    if differences:
        cure = "use another folder"
        if found.get("threads", here["threads"]) != here["threads"]:
            cure += f", or set OMP_NUM_THREADS={found['threads']} to go on with as many threads"
        raise ValueError(
            f"{path} must be of the run that is asked for, got another one: {'; '.join(differences)}; {cure}"
        )


class Checkpointing:
    """Saves and restores the checkpoints of one run; of several processes that of rank 0 reads and writes.

    The folder is made when missing; with ``None`` nothing is kept.

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
        self.folder = None if folder is None or world.rank else Path(folder)
        self.world = world
        self._newest: Path | None = None
        self._saved_at = time.monotonic()
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        for unfinished in self.folder.glob("*.tmp"):  # what a crash left
            unfinished.unlink()
        self._fingerprint = fingerprint(config, train_set, test_set, world)  # hashes the images, once
        file = self.folder / FINGERPRINT_FILE
        if file.exists():
            require_same(self._fingerprint, file.read_text(encoding="utf-8"), file)
        else:
            write_atomically(file, (json.dumps(self._fingerprint, indent=2) + "\n").encode())

    def restore(self, state: TrainState) -> None:
        """Put a state to where the newest whole checkpoint stood; without one, leave it at the beginning."""
        found = None if self.folder is None else newest_checkpoint(self.folder)
        if found is not None:
            self._newest, content = found
            require_same(self._fingerprint, content.get("identity", ""), self._newest)
        saved = self.world.from_first(found and found[1]["state"])
        if saved is not None:
            state.restore(saved)

    def save_when_due(self, state: TrainState) -> None:
        """Write a checkpoint inside an epoch when the last one is :data:`CHECKPOINT_SECONDS` old."""
        if state.batch < state.batches and time.monotonic() - self._saved_at >= CHECKPOINT_SECONDS:
            self.save(state)

    def save(self, state: TrainState) -> None:
        """Write a checkpoint of a state whose metrics are read."""
        if self.folder is not None:
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
