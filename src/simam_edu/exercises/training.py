"""Exercises of the chapter on training."""

import math
from typing import Any

import numpy as np

from simam_edu.exercises.checking import Exercise, Mistake

FIRST = 0.04  # of the peak, where the one-cycle schedule begins


def moments_of_a_run(_: np.random.Generator) -> list[tuple[Any, ...]]:
    """Steps on both sides of the peak, on it and at the ends."""
    return [(step, 200, 0.15, 0.2) for step in (0, 10, 40, 41, 100, 199)] + [(300, 1000, 0.05, 0.5)]


def rate(step: int, steps: int, peak: float, warmup: float) -> float:
    """A straight rise from four hundredths of the peak, and a straight fall to zero."""
    top = warmup * steps
    return peak * (FIRST + (1 - FIRST) * step / top if step < top else (steps - step) / (steps - top))


def from_zero(step: int, steps: int, peak: float, warmup: float) -> float:
    """A rise that begins at zero."""
    top = warmup * steps
    return peak * step / top if step < top else rate(step, steps, peak, warmup)


def with_a_cosine(step: int, steps: int, peak: float, warmup: float) -> float:
    """A fall along half a cosine."""
    top = warmup * steps
    if step < top:
        return rate(step, steps, peak, warmup)
    return peak * (1 + math.cos(math.pi * (step - top) / (steps - top))) / 2


def without_a_fall(step: int, steps: int, peak: float, warmup: float) -> float:
    """The peak until the end."""
    return rate(step, steps, peak, warmup) if step < warmup * steps else peak


def runs(_: np.random.Generator) -> list[tuple[Any, ...]]:
    """Runs whose last batch is full and runs whose last batch is not."""
    return [(50_000, 0, 64, 20), (50_000, 5_000, 64, 10), (4_000, 400, 32, 5), (100, 10, 9, 3)]


def count_steps(images: int, held_out: int, batch_size: int, epochs: int) -> int:
    """One step a batch, the last batch of an epoch included."""
    return epochs * math.ceil((images - held_out) / batch_size)


def parts_of_a_batch(_: np.random.Generator) -> list[tuple[Any, ...]]:
    """Equal parts, parts that differ by one, and a single process."""
    return [(32, 128, 4), (7, 13, 2), (6, 13, 2), (21, 64, 3), (64, 64, 1)]


def share(own: int, total: int, processes: int) -> float:
    """The weight that makes the mean over the processes the mean over the batch."""
    return processes * own / total


def accuracies(_: np.random.Generator) -> list[tuple[Any, ...]]:
    """Accuracies and numbers of test images."""
    return [(0.85, 10_000), (0.5, 10_000), (0.92, 1_000)]


def noise(p: float, n: int) -> float:
    """The standard deviation of the difference of two independent accuracies."""
    return math.sqrt(2 * p * (1 - p) / n)


EXERCISES = (
    Exercise(
        name="learning_rate",
        asks="a function of (step, steps, peak, warmup) that returns the learning rate at a step",
        truth=rate,
        inputs=moments_of_a_run,
        mistakes=(
            Mistake(
                answer=from_zero,
                hint="Here the rise begins at zero, so the first step does nothing. The schedule begins at four hundredths of the peak.",
            ),
            Mistake(
                answer=with_a_cosine,
                hint="The fall follows a cosine here. That of the recipe falls along a straight line; see 'The recipes'.",
            ),
            Mistake(
                answer=without_a_fall,
                hint="The rate stays at its peak here. It must come down to zero at the last step, or the weights never settle; see 'The recipes'.",
            ),
        ),
    ),
    Exercise(
        name="count_steps",
        asks="a function of (images, held_out, batch_size, epochs) that returns how many steps a run takes",
        truth=count_steps,
        inputs=runs,
        mistakes=(
            Mistake(
                answer=lambda images, held_out, batch_size, epochs: (
                    epochs * ((images - held_out) // batch_size)
                ),
                hint="Here the last, smaller batch of an epoch is dropped. The loop takes every image once an epoch; see 'Batches, made on the device'.",
            ),
            Mistake(
                answer=lambda images, held_out, batch_size, epochs: (  # noqa: ARG005
                    epochs * math.ceil(images / batch_size)
                ),
                hint="The held-out images are trained on here. They are kept from training; see 'The loop'.",
            ),
            Mistake(
                answer=lambda images, held_out, batch_size, epochs: math.ceil(
                    epochs * (images - held_out) / batch_size
                ),
                hint="Here a batch may reach from one epoch into the next. Each epoch begins with a new batch, so the rounding happens once an epoch.",
            ),
        ),
    ),
    Exercise(
        name="share_of_a_process",
        asks="a function of (own, total, processes) that returns the factor of a process's mean loss",
        truth=share,
        inputs=parts_of_a_batch,
        mistakes=(
            Mistake(
                answer=lambda own, total, processes: own / total,  # noqa: ARG005
                hint="This would be right if the gradients were added up. They are averaged, which divides by the number of processes.",
            ),
            Mistake(
                answer=lambda own, total, processes: 1.0,  # noqa: ARG005
                hint="Here every process counts the same, however many images it has. When the parts differ in size, the images of the smaller part weigh too much.",
            ),
            Mistake(
                answer=lambda own, total, processes: total / (processes * own),
                hint="This is upside down: a process with more images must count more.",
            ),
        ),
    ),
    Exercise(
        name="noise_of_a_difference",
        asks="a function of (p, n) that returns the standard deviation of the difference of two accuracies",
        truth=noise,
        inputs=accuracies,
        mistakes=(
            Mistake(
                answer=lambda p, n: math.sqrt(p * (1 - p) / n),
                hint="This is the standard deviation of one accuracy. Both networks are measured, and the variances of independent numbers add up.",
            ),
            Mistake(
                answer=lambda p, n: 2 * p * (1 - p) / n,
                hint="This is the variance of the difference. Its root is asked for.",
            ),
            Mistake(
                answer=lambda p, n: 2 * math.sqrt(p * (1 - p) / n),
                hint="Here the standard deviations are added. For independent numbers it is the variances that add up.",
            ),
        ),
    ),
)
