"""Figures of the chapters on images, networks and training."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from simam_edu.plots.style import BLUE, LOOKS, new_figure


def schedule_figure(learning_rates: Float[np.ndarray, "steps"]) -> Figure:
    """Draw the learning rate over the steps of a run.

    Args:
        learning_rates: One value a step.
    """
    figure, axes = new_figure(height=2.6)
    axes[0, 0].plot(np.arange(1, len(learning_rates) + 1), learning_rates, color=BLUE)
    axes[0, 0].set(xlabel="step", ylabel="learning rate")
    return figure


def curves_figure(histories: Mapping[str, Sequence[Mapping[str, Any]]]) -> Figure:
    """Draw loss and accuracy over the epochs, one pair of lines a run.

    Training values are solid with filled marks; held-out values, where there are any, are dotted with open
    ones.

    Args:
        histories: The ``history`` of each record, by the name of the run.
    """
    figure, axes = new_figure(1, 2, height=3.2)
    for (name, history), (color, marker, _) in zip(histories.items(), LOOKS, strict=False):
        epochs = [entry["epoch"] for entry in history]
        for axis, key in zip(axes[0], ("loss", "accuracy"), strict=True):
            trained = [entry["train"][key] for entry in history]
            axis.plot(epochs, trained, color=color, marker=marker, markersize=4, label=f"{name}, training")
            if history[0]["held_out"] is not None:
                held_out = [entry["held_out"][key] for entry in history]
                axis.plot(
                    epochs, held_out, color=color, marker=marker, markersize=4, markerfacecolor="white",
                    linestyle=":", label=f"{name}, held out",
                )  # fmt: skip
    axes[0, 0].set(xlabel="epoch", ylabel="cross-entropy, nats")
    axes[0, 1].set(xlabel="epoch", ylabel="accuracy")
    axes[0, 0].legend(fontsize=8)
    return figure


def stages_figure(stages: Sequence[tuple[str, int, int]]) -> Figure:
    """Draw what each stage of a network hands on: channels and side of the map.

    Args:
        stages: Name, channels and side of the map of each stage, in order.
    """
    figure, axes = new_figure(1, 2, height=2.6)
    names = [name for name, _, _ in stages]
    for axis, values, label in (
        (axes[0, 0], [channels for _, channels, _ in stages], "channels"),
        (axes[0, 1], [side for _, _, side in stages], "side of the map, pixels"),
    ):
        bars = axis.bar(names, values, color=BLUE, width=0.6)
        axis.bar_label(bars, fontsize=8)
        axis.set_ylabel(label)
    return figure
