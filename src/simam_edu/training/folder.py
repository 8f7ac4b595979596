"""The folder of a run: whose it is, and the checkpoints in it that the run goes on from."""

import hashlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

import simam_edu
from simam_edu.datasets import ImageSet
from simam_edu.kernels import backend_for
from simam_edu.training.checkpoint import (
    load_checkpoint,
    newest_checkpoint,
    save_checkpoint,
    write_atomically,
)
from simam_edu.training.config import TrainConfig
from simam_edu.training.device import choose_precision
from simam_edu.training.distributed import World
from simam_edu.training.recipes import RECIPES
from simam_edu.training.state import TrainState

CHECKPOINT_SECONDS = 60.0
"""How long a run goes without a checkpoint: what a crash costs at most. Writing that of ResNet-20 takes a
few hundredths of a second, that of the largest network here (0.3 GB) a second or so: some 2 % at most."""
IDENTITY_FILE = "config.json"

Identity = Mapping[str, Any]
"""Everything that decides the numbers of a run, as JSON has it."""


def identity_of(config: TrainConfig, train_set: ImageSet, test_set: ImageSet, world: World) -> Identity:
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
    return {
        "network": config.network,
        "attention": config.attention,
        "attention_options": dict(config.attention_options),
        "slot": config.slot,
        "first_weights": config.first_weights,
        "dataset": train_set.name,
        "source": train_set.source,
        "training_images_checksum": _digest(train_set),
        "test_images_checksum": _digest(test_set),
        "recipe": config.recipe,
        "recipe_values": RECIPES[config.recipe].values(),
        "seed": config.seed,
        "epochs": config.total_epochs,
        "held_out": config.held_out,
        "device": device.type,
        "precision": str(choose_precision(device)).removeprefix("torch."),
        "processes": world.size,
        "threads": torch.get_num_threads() if on_cpu else None,
        "instructions": torch.backends.cpu.get_cpu_capability() if on_cpu else None,
        "simam_backend": backend_for(torch.zeros(1, 1, 2, 2, device=device)) if with_simam else None,
        "torch": torch.__version__,
        "simam_edu": simam_edu.__version__,
    }


def recorded_threads(folder: Path) -> int | None:
    """Return the number of threads that the run of a folder began with, or ``None`` if it does not say."""
    try:
        found = json.loads((folder / IDENTITY_FILE).read_text(encoding="utf-8"))["threads"]
    except (OSError, ValueError, KeyError, TypeError):  # whose folder it is, claim() says
        return None
    return found if isinstance(found, int) and found > 0 else None


def claim(folder: Path, identity: Identity) -> None:
    """Make the folder that of one run, or find that it is.

    Args:
        folder: Made when missing.
        identity: Of the run, written to ``config.json``.

    Raises:
        ValueError: If the folder holds another run, with the differences.
        OSError: If it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for unfinished in folder.glob("*.tmp"):  # what a crash left
        unfinished.unlink()
    file = folder / IDENTITY_FILE
    if file.exists():
        require_same(identity, file.read_text(encoding="utf-8"), file)
    else:
        write_atomically(file, (json.dumps(identity, indent=2) + "\n").encode())


def require_same(identity: Identity, written: str, path: Path) -> None:
    """Refuse a folder or a checkpoint of another run.

    Args:
        identity: Of the run that was asked for.
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
    wanted = json.loads(json.dumps(identity))
    differences = [
        f"{key} is {_shown(found, key)} there and {_shown(wanted, key)} here"
        for key in sorted(found.keys() | wanted.keys())
        if _shown(found, key) != _shown(wanted, key)
    ]
    if not differences:
        return
    cure = "use another folder"
    if "threads" in found and found["threads"] != wanted["threads"]:
        cure += f", or set OMP_NUM_THREADS={found['threads']} to go on with as many threads"
    raise ValueError(
        f"{path} must be of the run that is asked for, got another one: {'; '.join(differences)}; {cure}"
    )


def _shown(identity: Identity, key: str) -> str:
    return repr(identity[key]) if key in identity else "not said"


class Keeper:
    """Keeps the checkpoints of one run. Of several processes that of rank 0 reads and writes.

    Args:
        folder: Of the run, made when missing.
        identity: Of the run, which the folder must be of.
        world: The processes of the run.

    Raises:
        ValueError: If the folder is that of another run.
        OSError: If it cannot be written.
    """

    def __init__(self, folder: Path, identity: Identity, world: World) -> None:
        self.folder, self.identity, self.world = folder, identity, world
        self._newest: Path | None = None
        self._saved_at = time.monotonic()
        if world.rank == 0:
            claim(folder, identity)

    def restore(self, state: TrainState) -> None:
        """Put a state to where the newest whole checkpoint stood; without one, leave it at the beginning.

        Raises:
            ValueError: If that checkpoint is of another run.
        """
        found = newest_checkpoint(self.folder) if self.world.rank == 0 else None
        content = self.world.from_first(found[1] if found else b"")
        self._newest = found[0] if found else None
        if content:
            path = self._newest or self.folder
            loaded = load_checkpoint(content, path)
            require_same(self.identity, loaded.get("identity", ""), path)
            state.restore(loaded["state"], self.world)

    def save_when_due(self, state: TrainState, step: int) -> None:
        """Write a checkpoint when the last one is :data:`CHECKPOINT_SECONDS` old."""
        if time.monotonic() - self._saved_at >= CHECKPOINT_SECONDS:
            self.save(state, step)

    def save(self, state: TrainState, step: int) -> None:
        """Write a checkpoint.

        Args:
            state: To be kept, its sums read.
            step: How many steps it holds.

        Raises:
            OSError: If it cannot be written.
        """
        if self.world.rank == 0:
            state.tick()
            content = {"identity": json.dumps(self.identity), "state": state.saved()}
            self._newest = save_checkpoint(self.folder, content, step=step, keep=self._newest)
        self._saved_at = time.monotonic()


def _digest(images: ImageSet) -> str:
    digest = hashlib.sha256(repr((images.classes, images.mean, images.std)).encode())
    for array in (images.images, images.labels):
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:16]
