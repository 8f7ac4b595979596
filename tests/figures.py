"""Reading the data of a figure back."""

import numpy as np


def lines(axis):
    """The x and y of each line of an axis, of shape (2, k), by its label, or its number if it has none."""
    drawn = enumerate(axis.get_lines())
    data = {
        (k if line.get_label().startswith("_") else line.get_label()): line.get_data() for k, line in drawn
    }
    return {name: np.array(xy, dtype=float) for name, xy in data.items()}


def ticks(axis):
    """The y of each tick of an axis, by its text."""
    return {text.get_text(): y for text, y in zip(axis.get_yticklabels(), axis.get_yticks(), strict=True)}


def titles(figure):
    return [axis.get_title() for axis in figure.axes if axis.get_title()]


def images(figure):
    """The array and the limits of colors of each picture."""
    return [
        (np.array(image.get_array()), image.get_clim()) for axis in figure.axes for image in axis.get_images()
    ]


def assert_lines(axis, expected):
    """Each expected line, by its label, is on the axis with its x and y."""
    drawn = lines(axis)
    for name, xy in expected.items():
        np.testing.assert_allclose(drawn[name], np.broadcast_arrays(*xy), rtol=1e-12, err_msg=name)
