"""Reading the data of a figure back."""

import numpy as np


def lines(axis):
    """The x and y of each line of an axis, of shape (2, k), by its label, or its number if it has none."""
    labels = [line.get_label() for line in axis.get_lines()]
    keys = [k if label.startswith("_") else label for k, label in enumerate(labels)]
    return {k: np.array(line.get_data(), dtype=float) for k, line in zip(keys, axis.get_lines(), strict=True)}


def ticks(axis):
    """The y of each tick of an axis, by its text."""
    return {text.get_text(): y for text, y in zip(axis.get_yticklabels(), axis.get_yticks(), strict=True)}


def titles(figure):
    return [axis.get_title() for axis in figure.axes if axis.get_title()]


def written(axis):
    return [text.get_text() for text in axis.texts]


def images(figure):
    """The array and the limits of colors of each picture."""
    found = [image for axis in figure.axes for image in axis.get_images()]
    return [(np.array(image.get_array()), image.get_clim()) for image in found]


def bars(axis):
    """The start and the width of each lying bar, by the label of its group."""
    return {group.get_label(): [(bar.get_x(), bar.get_width()) for bar in group] for group in axis.containers}


def estimates(axis):
    """The mean, whether its mark is open, interval and single values on each line, by its name."""
    found = {}
    drawn = [(line, *map(np.array, line.get_data())) for line in axis.get_lines()]
    for name, y in ticks(axis).items():
        ((face, mean),) = [
            (d.get_markerfacecolor(), x[0]) for d, x, v in drawn if d.get_marker() == "o" and v[0] == y
        ]
        spans = [tuple(x) for d, x, v in drawn if d.get_marker() == "None" and (v == y).all()]
        single = [list(x) for d, x, v in drawn if d.get_marker() == "|" and (v == y - 0.25).all() and x.size]
        found[name] = (mean, face == "white", spans, single)
    return found
