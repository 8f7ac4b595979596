"""The training loop: it reads from top to bottom, and the test set is touched once, at its end."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from simam_edu.attention import attention_factory
from simam_edu.datasets import ImageSet
from simam_edu.networks import build
from simam_edu.training.batches import DeviceImages
from simam_edu.training.config import TrainConfig
from simam_edu.training.device import autocast, choose_precision
from simam_edu.training.distributed import World, join
from simam_edu.training.evaluation import Sums, evaluate
from simam_edu.training.folder import Keeper, identity_of
from simam_edu.training.interruption import signals_wait
from simam_edu.training.recipes import RECIPES, Recipe
from simam_edu.training.results import EpochResult, Progress, Score, TrainResult
from simam_edu.training.state import TrainState


def train(
    config: TrainConfig,
    train_set: ImageSet,
    test_set: ImageSet,
    *,
    folder: str | Path | None = None,
    on_step: Callable[[Progress], None] | None = None,
) -> TrainResult:
    """Train one network as a configuration says and test it once.

    The same configuration and images give the same result on the same machine with the same number of
    threads. The global random state is left as it was. Started by torchrun, all its processes train
    together: see :mod:`simam_edu.training.distributed`.

    Args:
        config: The run.
        train_set: Its last part, ``config.held_out`` of it, is kept from training.
        test_set: Evaluated once, after the last epoch; nothing is chosen by it.
        folder: Where checkpoints are kept, one after each epoch and after each minute of training. Called
            again with the same folder, a run that was interrupted goes on from the last of them, and
            on the CPU ends with the same numbers, to the last bit, as one that was not. Ctrl-C keeps one
            more, at the end of its step.
        on_step: Called after each step, on a GPU after every tenth, and after each held-out evaluation, for
            a progress bar or curves.

    Returns:
        The trained network, every epoch and the test's score.

    Raises:
        ValueError: If the configuration names something unknown, leaves no image to train on, or is not
            that of the folder.
        FloatingPointError: If a loss is not finite, with the step in which that happened first.
        OSError: If a checkpoint cannot be written; the ones before it stay.
        KeyboardInterrupt: When it was interrupted.
    """
    recipe = RECIPES[config.recipe]
    world = join(config.device)
    device = world.device(config.device)
    precision = choose_precision(device)
    learn, held_out = (DeviceImages.put(part, device) for part in _split(train_set, config.held_out))
    network = _new_network(config, len(train_set.classes)).to(device)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    state = TrainState(
        network=network,
        optimizer=recipe.optimizer(network.parameters()),
        generator=torch.Generator().manual_seed(config.seed),
        sums=Sums(device),
    )
    keeper = None
    if folder is not None:
        keeper = Keeper(Path(folder), identity_of(config, train_set, test_set, world), world)
        keeper.restore(state)
    run = Run(
        recipe=recipe, epochs=config.total_epochs, learn=learn, held_out=held_out, precision=precision,
        world=world, keeper=keeper, on_step=on_step,
    )  # fmt: skip
    try:
        run.train(state)
    except KeyboardInterrupt:
        run.keep_now(state)
        raise

    test = evaluate(network, DeviceImages.put(test_set, device), precision, world=world)
    _require_finite(test, "test images after the last epoch")
    state.tick()
    return TrainResult(
        network=network,
        epochs=tuple(state.history),
        test=test,
        minutes=state.seconds / 60,
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        precision=str(precision).removeprefix("torch."),
        processes=world.size,
        training_images=len(learn),
    )


@dataclass(frozen=True, kw_only=True)
class Run:
    """What stays the same while a run trains."""

    recipe: Recipe
    epochs: int
    learn: DeviceImages
    held_out: DeviceImages
    precision: torch.dtype
    world: World
    keeper: Keeper | None
    on_step: Callable[[Progress], None] | None

    def __post_init__(self) -> None:
        last = len(self.learn) - (self.batches - 1) * self.recipe.batch_size
        if last < self.world.size:
            raise ValueError(
                f"the last batch of an epoch must have an image for each of {self.world.size} processes, "
                f"got {last}; take fewer processes or another held_out"
            )

    @property
    def batches(self) -> int:
        """Batches an epoch, the last one filled or not."""
        return math.ceil(len(self.learn) / self.recipe.batch_size)

    def learning_rate(self, state: TrainState) -> float:
        """Return the learning rate of the step that comes next."""
        step = (state.epoch - 1) * self.batches + state.batch
        return self.recipe.schedule.learning_rate(step, steps=self.epochs * self.batches)

    def train(self, state: TrainState) -> None:
        """Train from where the state stands to the last epoch."""
        size, device = self.recipe.batch_size, self.learn.labels.device
        network = self.world.parallel(state.network)
        while state.epoch <= self.epochs:
            state.network.train()
            for images, labels in self.learn.training_batches(
                size, generator=state.generator, skip=state.batch, part=self.world.part
            ):
                with signals_wait():  # half a step is nothing to go on from
                    for group in state.optimizer.param_groups:
                        group["lr"] = self.learning_rate(state)
                    with autocast(device, self.precision):
                        logits = network(images)
                    loss = F.cross_entropy(logits.float(), labels)
                    # The mean over the processes must be the mean over the batch, though their parts
                    # differ in size by one. In a single process this is 1.
                    in_batch = min(size, len(self.learn) - state.batch * size)
                    share = self.world.size * len(labels) / in_batch
                    state.optimizer.zero_grad()
                    (loss * share).backward()  # type: ignore[no-untyped-call]
                    state.optimizer.step()
                    state.batch += 1
                    state.sums.add(loss, logits, labels)
                    if state.batch % look_every(device) == 0 or state.batch == self.batches:
                        self.look(state)
            self.finish_epoch(state)

    def keep_now(self, state: TrainState) -> None:
        """Keep a checkpoint of a run that is interrupted, unless its loss is not finite.

        Of several processes each may be at another step, so they leave it at the last one.
        """
        if self.keeper is None or self.world.size > 1:
            return
        with signals_wait():
            if state.batch:
                state.sums.read(self.world)
            if not state.sums.first_bad:
                self.keeper.save(state, (state.epoch - 1) * self.batches + state.batch)

    def look(self, state: TrainState) -> None:
        """Read the loss, stop if it is not finite, report, and keep a checkpoint when one is due."""
        score = state.sums.read(self.world)
        if state.sums.first_bad:
            raise FloatingPointError(self.what_went_wrong(state, score.loss))
        before, state.seen = state.seen, (state.epoch - 1) * len(self.learn) + score.images
        self.report(state, score, images=state.seen - before)
        if self.keeper is not None and state.batch < self.batches:  # the end of an epoch keeps its own
            self.keeper.save_when_due(state, (state.epoch - 1) * self.batches + state.batch)

    def finish_epoch(self, state: TrainState) -> None:
        """Evaluate the held-out images, put the epoch into the history, and keep a checkpoint."""
        score, held_out = state.sums.read(self.world), None
        self.world.share_buffers(state.network)
        if len(self.held_out):
            held_out = evaluate(state.network, self.held_out, self.precision, world=self.world)
            _require_finite(held_out, f"held-out images after epoch {state.epoch}")
        rate = self.learning_rate(state)
        with signals_wait():  # in the history and before the next epoch, or neither
            state.tick()
            state.next_epoch(
                EpochResult(
                    epoch=state.epoch,
                    train=score,
                    held_out=held_out,
                    learning_rate=rate,
                    seconds=state.epoch_seconds,
                )
            )
            self.report(state, score, images=0)
            if self.keeper is not None:
                self.keeper.save(state, (state.epoch - 1) * self.batches)

    def report(self, state: TrainState, score: Score, *, images: int) -> None:
        """Tell the caller where the run stands."""
        if self.on_step is not None:
            progress = Progress(
                epoch=state.epoch if images else state.epoch - 1,
                epochs=self.epochs,
                images=images,
                seen=state.seen,
                score=score,
                learning_rate=float(state.optimizer.param_groups[0]["lr"]),
                history=tuple(state.history),
            )
            self.on_step(progress)

    def what_went_wrong(self, state: TrainState, loss: float) -> str:
        """Return the step at which the loss was not finite first, and the cause as far as it shows."""
        step = (state.epoch - 1) * self.batches + state.sums.first_bad
        if not bool((self.learn.scale.isfinite() & self.learn.shift.isfinite()).all()):
            cause = "mean and std of the images give pixels that are not finite"
        elif step == 1:
            cause = "no update was made yet, so look for a division by zero in the network"
        else:
            rate = self.recipe.schedule.learning_rate(step - 2, steps=self.epochs * self.batches)
            cause = (
                f"the update before it, after a loss of {state.sums.last_loss:.3g}, had the learning rate "
                f"{rate:.3g}; lower it, or look for a division by zero in the network's backward pass"
            )
        return (
            f"the training loss must stay finite, got {loss} at step {step}, in epoch {state.epoch}: {cause}"
        )


def look_every(device: torch.device) -> int:
    """Return after how many steps the loss is read.

    A device that computes while the host goes on must wait for that; on the CPU there is nothing to wait
    for.
    """
    return 1 if device.type == "cpu" else 10


def _require_finite(score: Score, what: str) -> None:
    if not math.isfinite(score.loss):
        raise FloatingPointError(
            f"the loss over the {what} must be finite, got {score.loss}; lower the learning rate"
        )


def _split(images: ImageSet, held_out: float) -> tuple[ImageSet, ImageSet]:
    """Return the images to learn from and the last part, which is kept from training."""
    kept = round(held_out * len(images.labels))
    learn = len(images.labels) - kept
    if learn < 1:
        raise ValueError(
            f"held_out must leave at least one image to train on, got {held_out} of {len(images.labels)}"
        )
    return (
        replace(images, images=images.images[:learn], labels=images.labels[:learn], masks=None),
        replace(images, images=images.images[learn:], labels=images.labels[learn:], masks=None),
    )


def _new_network(config: TrainConfig, num_classes: int) -> nn.Module:
    """Return the network with weights that the seed alone decides; the global state is put back."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        return build(
            config.network,
            num_classes=num_classes,
            attention=attention_factory(config.attention, **config.attention_options),
            slot=config.slot,
            first_weights=config.first_weights,
        )
