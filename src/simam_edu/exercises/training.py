"""Exercises of the chapter on training."""

import numpy as np

from simam_edu.exercises._exercise import Exercise


def learning_rate(step, steps, peak, warmup):
    return peak * np.interp(step, [0, warmup * steps, steps], [0.04, 1, 0])


def with_a_cosine(step, steps, peak, warmup):
    falling = (step - warmup * steps) / (steps - warmup * steps)
    return (
        peak * (1 + np.cos(np.pi * falling)) / 2 if falling > 0 else learning_rate(step, steps, peak, warmup)
    )


def count_steps(images, held_out, batch_size, epochs):
    return epochs * int(np.ceil((images - held_out) / batch_size))


def share(own, total, processes):
    # The mean over the batch is the sum of own / total times each mean; averaging divides by processes.
    return processes * own / total


def noise(p, n):
    # One image is right or wrong: variance p (1 - p). A mean of n has the n-th part of it, a difference two.
    return (2 * p * (1 - p) / n) ** 0.5


# fmt: off
EXERCISES = (  # a mistake a line: what is changed in the solution, and the hint
    Exercise("learning_rate", "a function of (step, steps, peak, warmup) that returns the learning rate at a step", learning_rate, {
        "[0.04 -> [0": "Here the rise begins at zero, so the first step does nothing. The schedule begins at four hundredths of the peak.",
        with_a_cosine: "The fall follows a cosine here. That of the recipe falls along a straight line; see 'The recipes'.",
        "1, 0] -> 1, 1]": "The rate stays at its peak here. It must come down to zero at the last step, or the weights never settle; see 'The recipes'.",
    }, lambda _: [(300, 1000, 0.05, 0.5), *((step, 200, 0.15, 0.2) for step in (0, 10, 40, 41, 100, 199))]),
    Exercise("count_steps", "a function of (images, held_out, batch_size, epochs) that returns how many steps a run takes", count_steps, {
        "int(np.ceil((images - held_out) / batch_size)) -> ((images - held_out) // batch_size)": "Here the last, smaller batch of an epoch is dropped. The loop takes every image once an epoch; see 'Batches, made on the device'.",
        "(images - held_out) -> images": "The held-out images are trained on here. They are kept from training; see 'The loop'.",
        "epochs * int(np.ceil((images -> int(np.ceil(epochs * (images": "Here a batch may reach from one epoch into the next. Each epoch begins with a new batch, so the rounding happens once an epoch.",
    }, lambda _: [(50_000, 0, 64, 20), (50_000, 5_000, 64, 10), (4_000, 400, 32, 5), (100, 10, 9, 3)]),
    Exercise("share_of_a_process", "a function of (own, total, processes) that returns the factor of a process's mean loss", share, {
        "processes * own -> own": "This would be right if the gradients were added up. They are averaged, which divides by the number of processes.",
        "processes * own / total -> 1.0": "Here every process counts the same, however many images it has. When the parts differ in size, the images of the smaller part weigh too much.",
        "processes * own / total -> total / (processes * own)": "This is upside down: a process with more images must count more.",
    }, lambda _: [(32, 128, 4), (7, 13, 2), (6, 13, 2), (21, 64, 3), (64, 64, 1)]),
    Exercise("noise_of_a_difference", "a function of (p, n) that returns the standard deviation of the difference of two accuracies", noise, {
        "(2 * p -> (p": "This is the standard deviation of one accuracy. Both networks are measured, and the variances of independent numbers add up.",
        ") ** 0.5 -> )": "This is the variance of the difference. Its root is asked for.",
        "(2 * p * (1 - p) / n) ** 0.5 -> 2 * (p * (1 - p) / n) ** 0.5": "Here the standard deviations are added. For independent numbers it is the variances that add up.",
    }, lambda _: [(0.85, 10_000), (0.5, 10_000), (0.92, 1_000)]),
)
