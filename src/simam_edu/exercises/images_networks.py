"""Exercises of the chapter on images and networks."""

from typing import Any

import numpy as np
from jaxtyping import UInt8

from simam_edu.exercises.checking import Exercise, Mistake

Images = UInt8[np.ndarray, "n 3 h w"]


def image_sets(generator: np.random.Generator) -> list[tuple[Any, ...]]:
    """Images that differ from each other in brightness, and color planes that differ in spread."""
    brightness = generator.uniform(60, 190, (30, 3, 1, 1))
    noise = generator.normal(0, 1, (30, 3, 32, 32)) * np.array([8.0, 20.0, 30.0])[:, None, None]
    return [((brightness + noise).clip(0, 255).astype(np.uint8),)]


def plane_deviations(images: Images) -> Any:
    """The standard deviation of each color plane over all images, on the scale from zero to one."""
    return (images / 255).std(axis=(0, 2, 3))


def widths(_: np.random.Generator) -> list[tuple[Any, ...]]:
    """Blocks that keep their width and blocks that double it."""
    return [(16, 16), (16, 32), (32, 32), (32, 64), (64, 64)]


def block_parameters(channels_in: int, channels_out: int) -> int:
    """Two convolutions of three by three, a scale and a shift a norm, and the shortcut where the width changes."""
    shortcut = channels_in * channels_out + 2 * channels_out if channels_in != channels_out else 0
    return _convolutions(channels_in, channels_out) + 4 * channels_out + shortcut


def _convolutions(channels_in: int, channels_out: int) -> int:
    return 9 * channels_in * channels_out + 9 * channels_out**2


def _shortcut_convolution(channels_in: int, channels_out: int) -> int:
    return channels_in * channels_out if channels_in != channels_out else 0


def with_biases(channels_in: int, channels_out: int) -> int:
    """A bias for each convolution as well."""
    convolutions = 2 + (channels_in != channels_out)
    return block_parameters(channels_in, channels_out) + convolutions * channels_out


def without_norms(channels_in: int, channels_out: int) -> int:
    """The weights of the convolutions alone."""
    return _convolutions(channels_in, channels_out) + _shortcut_convolution(channels_in, channels_out)


def without_shortcut(channels_in: int, channels_out: int) -> int:
    """A shortcut without weights."""
    return _convolutions(channels_in, channels_out) + 4 * channels_out


def with_running_statistics(channels_in: int, channels_out: int) -> int:
    """The running mean and variance of the norms counted as parameters."""
    norms = 2 + (channels_in != channels_out)
    return block_parameters(channels_in, channels_out) + 2 * norms * channels_out


def maps(_: np.random.Generator) -> list[tuple[Any, ...]]:
    """Channels and sides, those of the three stages among them."""
    return [(16, 32), (32, 16), (64, 8), (3, 5)]


def multiplications(channels: int, side: int) -> int:
    """Nine multiplications for each pair of channels and each position."""
    return 9 * channels**2 * side**2


EXERCISES = (
    Exercise(
        name="plane_deviations",
        asks="a function of images of shape (n, 3, h, w), bytes, that returns three standard deviations",
        truth=plane_deviations,
        inputs=image_sets,
        rtol=1e-3,  # either divisor of the variance is right for this many pixels
        mistakes=(
            Mistake(
                answer=lambda images: (images / 255).std(axis=(2, 3)).mean(axis=0),
                hint="These are the deviations inside single images, averaged. They leave out how the images differ from each other, and are the smaller numbers "
                "that much code has; see 'Sixty thousand small images'.",
            ),
            Mistake(
                answer=lambda images: images.astype(float).std(axis=(0, 2, 3)),
                hint="This is right on the scale of bytes. The network's inputs are first divided by the largest byte.",
            ),
            Mistake(
                answer=lambda images: np.full(3, (images / 255).std()),
                hint="This is one deviation for all three planes together. Each color plane has its own.",
            ),
        ),
    ),
    Exercise(
        name="block_parameters",
        asks="a function of (channels_in, channels_out) that returns how many parameters a residual block has",
        truth=block_parameters,
        inputs=widths,
        mistakes=(
            Mistake(
                answer=with_biases,
                hint="The convolutions have been given biases. They have none: the batch norm behind each would take them out again.",
            ),
            Mistake(
                answer=without_norms,
                hint="These are the convolutions alone. Each batch norm has a scale and a shift for each channel.",
            ),
            Mistake(
                answer=without_shortcut,
                hint="Where the width changes, the shortcut is a convolution of one by one with a batch norm; see 'A network of twenty layers'.",
            ),
            Mistake(
                answer=with_running_statistics,
                hint="The running mean and variance of a batch norm are counted here. They are buffers: no gradient reaches them.",
            ),
        ),
    ),
    Exercise(
        name="multiplications",
        asks="a function of (channels, side) that returns the multiplications of one convolution",
        truth=multiplications,
        inputs=maps,
        mistakes=(
            Mistake(
                answer=lambda channels, side: 9 * channels**2 * (side - 2) ** 2,
                hint="This is without padding. With one row of padding around it the map keeps its side.",
            ),
            Mistake(
                answer=lambda channels, side: 9 * channels * side**2,
                hint="Here each output channel reads one input channel only. It reads all of them.",
            ),
            Mistake(
                answer=lambda channels, side: 9 * channels**2 * side,
                hint="Here the filter moves along one side only. It visits every position of the map.",
            ),
        ),
    ),
)
