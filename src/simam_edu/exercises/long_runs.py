"""Exercises of the appendix on long runs."""

import numpy as np

from simam_edu.exercises._exercise import Exercise


def count_steps(images, held_out, batch_size, epochs):
    return epochs * int(np.ceil((images - held_out) / batch_size))


def share(own, total, processes):
    # The mean over the batch is the sum of own / total times each mean;
    # averaging divides by processes.
    return processes * own / total


EXERCISES = (  # a mistake a line: what is changed in the solution, and the hint
    Exercise("count_steps", "a function of (images, held_out, batch_size, epochs) that returns how many steps a run takes", count_steps, {
        "int(np.ceil((images - held_out) / batch_size)) -> ((images - held_out) // batch_size)": "Here the last, smaller batch of an epoch is dropped. The loop takes every image once an epoch; see 'What the batches cost'.",
        "(images - held_out) -> images": "The held-out images are trained on here. They are kept from training; see the chapter 'Images, networks, a fair training'.",
        "epochs * int(np.ceil((images -> int(np.ceil(epochs * (images": "Here a batch may reach from one epoch into the next. Each epoch begins with a new batch, so the rounding happens once an epoch.",
    }, lambda _: [(50_000, 0, 64, 20), (50_000, 5_000, 64, 10), (4_000, 400, 32, 5), (100, 10, 9, 3)]),
    Exercise("share_of_a_process", "a function of (own, total, processes) that returns the factor of a process's mean loss", share, {
        "processes * own -> own": "This would be right if the gradients were added up. They are averaged, which divides by the number of processes.",
        "processes * own / total -> 1.0": "Here every process counts the same, however many images it has. When the parts differ in size, the images of the smaller part weigh too much.",
        "processes * own / total -> total / (processes * own)": "This is upside down: a process with more images must count more.",
    }, lambda _: [(32, 128, 4), (7, 13, 2), (6, 13, 2), (21, 64, 3), (64, 64, 1)]),
)
