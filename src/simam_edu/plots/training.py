"""Figures of the chapters on images, networks and training."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure

from simam_edu.plots import style
from simam_edu.plots.style import BLUE, Values

if TYPE_CHECKING:  # a figure of numbers needs no torch
    from simam_edu.training import Progress


def schedule_figure(learning_rates: Values) -> Figure:
    """Draw the learning rate at each step of a run, as the first edition did."""
    figure, axis = style.new_axis(2.6)
    axis.plot(range(1, len(learning_rates) + 1), learning_rates, color=BLUE)
    axis.set(xlabel="step", ylabel="learning rate")
    return figure


def curves_figure(histories: Mapping[str, Sequence[Mapping[str, Any]]]) -> Figure:
    """Draw loss and accuracy over the epochs of up to four runs, by the name of each.

    A history is that of a record. The training set has solid lines and filled marks,
    the validation set, where there is one, dotted lines and open marks.
    """
    figure, axes = style.new_figure(1, 2, height=3.2)
    for name, history, look in style.looks("histories", histories):
        solid = look.marks | {"markersize": 4, "linestyle": "-"}
        dotted = solid | {"markerfacecolor": "white", "linestyle": ":"}
        evaluated = [entry for entry in history if entry["held_out"] is not None]
        for axis, key in zip(axes[0], ("loss", "accuracy"), strict=True):
            axis.plot(*_over_epochs(history, "train", key), label=f"{name}, training", **solid)
            if evaluated:
                axis.plot(*_over_epochs(evaluated, "held_out", key), label=f"{name}, held out", **dotted)
    axes[0, 0].set(xlabel="epoch", ylabel="cross-entropy, nats")
    axes[0, 1].set(xlabel="epoch", ylabel="accuracy")
    axes[0, 0].legend(fontsize=8)
    return figure


def _over_epochs(history: Sequence[Mapping[str, Any]], part: str, key: str) -> tuple[list[int], list[float]]:
    return [entry["epoch"] for entry in history], [entry[part][key] for entry in history]


def live_curves(name: str = "this run", *, every: float = 5.0) -> "Callable[[Progress], None]":
    """Show the curves of a run in a notebook and draw them anew while it trains.

    The last point is the epoch that is being trained, so far; its validation set
    follows at its end. Pass what is returned to :func:`~simam_edu.training.train` as
    ``on_step``. Between two drawings are ``every`` seconds or more; one takes a fifth
    of a second or so.
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
            history.append({"epoch": progress.epoch, "train": asdict(progress.metrics), "held_out": None})
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
    """Draw the channels and the side of the map of each stage, by its name."""
    figure, axes = style.new_figure(1, 2, height=2.6)
    names, *values = zip(*stages, strict=True)
    for axis, heights, label in zip(axes[0], values, ("channels", "side of the map, pixels"), strict=True):
        bars = axis.bar(names, heights, color=BLUE, width=0.6)
        axis.bar_label(bars, fontsize=8)
        axis.set_ylabel(label)
    return figure
