"""The training loop: it reads from top to bottom, and the test set is touched once, at its end."""

import contextlib
import json
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from simam_edu.attention import attention_factory
from simam_edu.datasets import ImageSet
from simam_edu.networks import build
from simam_edu.training.card import Step, one_launch, stream_of_its_own
from simam_edu.training.checkpoint import write_atomically
from simam_edu.training.config import TrainConfig
from simam_edu.training.data import DeviceImages
from simam_edu.training.distributed import World, autocast, join
from simam_edu.training.folder import RECORD_FILE, Checkpointing, locked
from simam_edu.training.interruption import signals_wait
from simam_edu.training.metrics import Progress, TrainResult, evaluate, measure
from simam_edu.training.recipes import RECIPES
from simam_edu.training.record import Record, make_record
from simam_edu.training.state import TrainState

# After how many steps the loss is read: only a device apart from the host must wait for that.
READ_EVERY = {"cpu": 1, "cuda": 100, "mps": 100}
_DRAWING = threading.Lock()  # threads share the random state


def train(
    config: TrainConfig,
    train_set: ImageSet,
    test_set: ImageSet,
    *,
    folder: str | Path | None = None,
    on_step: Callable[[Progress], None] | None = None,
    world: World | None = None,
) -> TrainResult:
    """Train one network as a configuration says, and test it once.

    The same configuration and images give the same result on the same machine
    with the same number of threads. The global random state is left as it was.

    Args:
        config: The run.
        train_set: Its last part, ``config.held_out`` of it, is the validation set.
        test_set: Evaluated once, at the end; nothing is chosen by it.
        folder: Where checkpoints are kept, one after each epoch and each minute.
            With the same folder an interrupted run goes on from the last one, on
            the CPU to the same numbers, to the last bit. Ctrl-C keeps one more.
        on_step: Called after each step, on a GPU after every hundredth, and after
            each validation, for a progress bar or curves.
        world: The processes of the run; by default those of torchrun are joined.

    Raises:
        ValueError: If the configuration names something unknown, leaves no image
            to train on, or is not that of the folder.
        FloatingPointError: If a loss is not finite, with the first such step.
        OSError: If a checkpoint cannot be written; the ones before it stay.
        KeyboardInterrupt: When it was interrupted.
    """
    world = world or join(config.device)
    device = world.device(config.device)
    training_set, validation_set = (
        DeviceImages.put(images, device) for images in split(train_set, config.held_out)
    )
    state = first_state(config, training_set, len(train_set.classes), world)
    checkpoints = Checkpointing(folder, config, train_set, test_set, world)
    checkpoints.restore(state)
    network = world.parallel(state.network)
    step: Step = partial(training_step, network, state.optimizer, training_set)
    draws = partial(training_set.draws, state.recipe.batch_size, generator=state.generator)
    report, read_every = on_step or (lambda _: None), READ_EVERY[device.type]

    with stream_of_its_own(device), checkpoints.on_interruption(state):
        if device.type == "cuda" and world.size == 1:
            step = one_launch(step)
        while state.epoch <= state.epochs:
            network.train()
            for batch in draws(skip=state.batch):
                shard = batch[:, world.shard]  # the shards' sizes may differ by one
                weight = world.size * shard.shape[1] / batch.shape[1]
                with signals_wait():  # half a step is nothing to go on from
                    state.set_learning_rate()
                    state.add(step(shard, weight))
                    if state.batch % read_every == 0 or state.batch == state.batches:
                        report(state.read(world))
                        checkpoints.save_when_due(state)

            validation = None
            world.share_buffers(state.network)
            if len(validation_set):
                validation = evaluate(state.network, validation_set, world=world)
            with signals_wait():  # in the history and before the next epoch, or neither
                report(state.finish_epoch(validation))
                checkpoints.save(state)

    test = evaluate(state.network, DeviceImages.put(test_set, device), world=world)
    return state.result(test, world)


def training_step(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    images: DeviceImages,
    draw: Tensor,
    weight: float,
) -> Tensor:
    """Learn from the images of a draw and return what :func:`measure` says of them."""
    x, labels = images.batch(draw)
    with autocast(images.device):
        logits = network(x)
    loss = F.cross_entropy(logits.float(), labels)
    optimizer.zero_grad()
    (loss * weight).backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return measure(loss, logits, labels)


def finish(
    config: TrainConfig,
    train_set: ImageSet,
    test_set: ImageSet,
    *,
    folder: str | Path,
    on_step: Callable[[Progress], None] | None = None,
    world: World | None = None,
) -> Record:
    """Bring the run of a folder to its end and return its record; a finished run is not run again.

    Arguments and errors are those of :func:`train`. The folder is of this run alone:
    ``config.json`` says which it is, ``checkpoint-*.pt`` is what it goes on from, and
    ``record.json``, one line, is there when it is finished. The record is what
    :func:`make_record` makes, as read back from JSON.

    Raises:
        OSError: If the folder cannot be written, or another process is at work in it.
    """
    world = world or join(config.device)
    folder = Path(folder)
    file = folder / RECORD_FILE
    with locked(folder) if world.rank == 0 else contextlib.nullcontext():
        if world.from_first(file.exists()):
            Checkpointing(folder, config, train_set, test_set, world)  # refuses another run
        else:
            result = train(config, train_set, test_set, folder=folder, on_step=on_step, world=world)
            if world.rank == 0:
                line = json.dumps(make_record(config, train_set, result)) + "\n"
                write_atomically(file, line.encode())
        record: Record = world.from_first(json.loads(file.read_text()) if world.rank == 0 else None)
    return record


def first_state(
    config: TrainConfig,
    images: DeviceImages,
    num_classes: int,
    world: World,
) -> TrainState:
    """Return where a run begins, with its network on the device of the training images."""
    network = new_network(config, num_classes).to(images.device)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    recipe = RECIPES[config.recipe]
    last = len(images) % recipe.batch_size or recipe.batch_size
    if last < world.size:
        raise ValueError(
            f"the last batch of an epoch must have an image for each of {world.size} processes, "
            f"got {last}; take fewer processes or another held_out"
        )
    return TrainState(
        network=network,
        optimizer=recipe.optimizer(network.parameters()),
        generator=torch.Generator().manual_seed(config.seed),
        recipe=recipe,
        epochs=config.total_epochs,
        images=len(images),
    )


def new_network(config: TrainConfig, num_classes: int) -> nn.Module:
    """Return the network with weights that the seed decides; the global state is put back."""
    with _DRAWING, torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        return build(
            config.network,
            num_classes=num_classes,
            attention=attention_factory(config.attention, **config.attention_options),
            slot=config.slot,
            first_weights=config.first_weights,
        )


def split(images: ImageSet, held_out: float) -> tuple[ImageSet, ImageSet]:
    """Return the images to learn from and the last part, which is the validation set."""
    count = len(images.labels)
    cut = count - round(held_out * count)
    if cut < 1:
        raise ValueError(f"held_out must leave an image to train on, got {held_out} of {count}")
    learned, validation = (
        replace(images, images=images.images[part], labels=images.labels[part], masks=None)
        for part in (slice(cut), slice(cut, None))
    )
    return learned, validation
