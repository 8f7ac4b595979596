"""Exercises of the chapter on images, networks and training."""

import numpy as np

from simam_edu.exercises._exercise import Exercise


def plane_deviations(images):
    # over images and positions at once
    return (images / 255).std(axis=(0, 2, 3))


def image_sets(g):
    brightness = g.uniform(60, 190, (30, 3, 1, 1))
    noise = g.normal(0, 1, (30, 3, 32, 32)) * np.array([8.0, 20.0, 30.0])[:, None, None]
    return [((brightness + noise).clip(0, 255).astype(np.uint8),)]


def block_parameters(channels_in, channels_out):
    main = 9 * channels_in * channels_out
    main += 9 * channels_out**2 + 4 * channels_out
    shortcut = channels_in * channels_out + 2 * channels_out
    return main + (shortcut if channels_in != channels_out else 0)


def multiplications(channels, side):
    return 9 * channels**2 * side**2


def learning_rate(step, steps, peak, warmup):
    return peak * np.interp(step, [0, warmup * steps, steps], [0.04, 1, 0])


def with_a_cosine(step, steps, peak, warmup):
    falling = (step - warmup * steps) / (steps - warmup * steps)
    return (
        peak * (1 + np.cos(np.pi * falling)) / 2 if falling > 0 else learning_rate(step, steps, peak, warmup)
    )


EXERCISES = (  # a mistake a line: what is changed in the solution, and the hint
    # Either divisor of the variance is right for this many pixels.
    Exercise("plane_deviations", "a function of images of shape (n, 3, h, w), bytes, that returns three standard deviations", plane_deviations, {
        "axis=(0, 2, 3)) -> axis=(2, 3)).mean(axis=0)": "These are the deviations inside single images, averaged. They leave out how the images differ from each other, and are the smaller numbers that much code has; see 'Small images in ten classes'.",
        "(images / 255) -> images.astype(float)": "This is right on the scale of bytes. The network's inputs are first divided by the largest byte.",
        "(images / 255).std(axis=(0, 2, 3)) -> np.full(3, (images / 255).std())": "This is one deviation for all three planes together. Each color plane has its own.",
    }, image_sets, rtol=1e-3),
    Exercise("block_parameters", "a function of (channels_in, channels_out) that returns how many parameters a residual block has", block_parameters, {
        ("4 * channels_out -> 6 * channels_out", "+ 2 * channels_out -> + 3 * channels_out"): "The convolutions have been given biases. They have none: the batch norm behind each would take them out again.",
        (" + 4 * channels_out -> ", " + 2 * channels_out -> "): "These are the convolutions alone. Each batch norm has a scale and a shift for each channel.",
        "(shortcut if channels_in != channels_out else 0) -> 0": "Where the width changes, the shortcut is a convolution of one by one with a batch norm; see 'The networks'.",
        ("4 * channels_out -> 8 * channels_out", "+ 2 * channels_out -> + 4 * channels_out"): "The running mean and variance of a batch norm are counted here. They are buffers: no gradient reaches them.",
    }, lambda _: [(16, 16), (16, 32), (32, 32), (32, 64), (64, 64)]),
    Exercise("multiplications", "a function of (channels, side) that returns the multiplications of one convolution", multiplications, {
        "side**2 -> (side - 2) ** 2": "This is without padding. With one row of padding around it the map keeps its side.",
        "channels**2 -> channels": "Here each output channel reads one input channel only. It reads all of them.",
        "side**2 -> side": "Here the filter moves along one side only. It visits every position of the map.",
    }, lambda _: [(16, 32), (32, 16), (64, 8), (3, 5)]),
    Exercise("learning_rate", "a function of (step, steps, peak, warmup) that returns the learning rate at a step", learning_rate, {
        "[0.04 -> [0": "Here the rise begins at zero, so the first step does nothing. The schedule begins at 4 % of the peak.",
        with_a_cosine: "The fall follows a cosine here. That of the recipe falls along a straight line; see 'The recipes'.",
        "1, 0] -> 1, 1]": "The rate stays at its peak here. It must come down to zero at the last step, or the weights never settle; see 'The recipes'.",
    }, lambda _: [(300, 1000, 0.05, 0.5), *((step, 200, 0.15, 0.2) for step in (0, 10, 40, 41, 100, 199))]),
)
