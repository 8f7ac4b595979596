"""Figures of the chapters on images, networks and training."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from simam_edu.plots.style import BLUE, LOOKS, new_figure

if TYPE_CHECKING:  # a figure of numbers needs no torch
    from simam_edu.training import Progress


def schedule_figure(schedules: Mapping[str, Float[np.ndarray, "steps"]]) -> Figure:
    """Draw the learning rate over the steps of a run, a panel a recipe.

    Args:
        schedules: One value a step, by the name of the recipe.
    """
    figure, axes = new_figure(1, len(schedules), height=2.6)
    for axis, (name, rates) in zip(axes[0], schedules.items(), strict=True):
        axis.plot(np.arange(1, len(rates) + 1), rates, color=BLUE)
        axis.set(xlabel="step", title=name)
        axis.set_ylabel("learning rate")
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
            evaluated = [entry for entry in history if entry["held_out"] is not None]
            if evaluated:
                axis.plot(
                    [entry["epoch"] for entry in evaluated],
                    [entry["held_out"][key] for entry in evaluated],
                    color=color, marker=marker, markersize=4, markerfacecolor="white",
                    linestyle=":", label=f"{name}, held out",
                )  # fmt: skip
    axes[0, 0].set(xlabel="epoch", ylabel="cross-entropy, nats")
    axes[0, 1].set(xlabel="epoch", ylabel="accuracy")
    axes[0, 0].legend(fontsize=8)
    return figure


def live_curves(name: str = "this run", *, every: float = 5.0) -> "Callable[[Progress], None]":
    """Show the curves of a run in a notebook and draw them anew while it trains.

    The last point is that of the epoch that is being trained, so far; its held-out images follow at its end.

    Args:
        name: Of the run, for the legend.
        every: Seconds, at least, between two drawings; one takes a fifth of a second or so.

    Returns:
        What to pass to :func:`~simam_edu.training.train` as ``on_step``.
    """
    from IPython.display import display  # there is one wherever there is a notebook

    handle: Any = None
    drawn = -math.inf

    def on_step(progress: "Progress") -> None:
        nonlocal handle, drawn
        if progress.images and time.monotonic() - drawn < every:
            return
        history = [asdict(epoch) for epoch in progress.history]
        if progress.images:
            history.append({"epoch": progress.epoch, "train": asdict(progress.score), "held_out": None})
        figure = curves_figure({name: history})
        for axis in figure.axes:
            axis.set_xlim(0.5, progress.epochs + 0.5)
        if handle is None:
            handle = display(figure, display_id=True)  # type: ignore[no-untyped-call]
        else:
            handle.update(figure)
        drawn = time.monotonic()

    return on_step


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
