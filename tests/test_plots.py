"""The figures: each draws the numbers it was given, labels its axes, and shows itself in a notebook."""

import nbformat
import numpy as np
import pytest
from matplotlib.figure import Figure
from nbclient import NotebookClient

from simam_edu import energy
from simam_edu.plots.energy import energies_figure, separation_figure
from simam_edu.plots.images import image_grid
from simam_edu.plots.module import gain_figure, maps_figure
from simam_edu.plots.one_mean import differences_figure, importance_figure
from simam_edu.plots.style import new_figure
from simam_edu.plots.training import curves_figure, schedule_figure, stages_figure

CHANNEL = np.append(np.random.default_rng(0).normal(size=12), 4.0)


def line(figure: Figure, label: str, axis: int = 0) -> np.ndarray:
    """The points of the line with a label, of shape (k, 2)."""
    found = [drawn for drawn in figure.axes[axis].lines if drawn.get_label() == label]
    assert len(found) == 1, f"one line must be called {label!r}"
    return np.column_stack(found[0].get_data())


def assert_labeled(figure: Figure) -> None:
    for axis in figure.axes:
        assert axis.get_xlabel(), "every horizontal axis has a label"


def test_a_figure_shows_itself_as_a_png_without_pyplot() -> None:
    figure, axes = new_figure(2, 3)
    assert axes.shape == (2, 3)
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_separation_draws_the_best_line() -> None:
    figure = separation_figure(CHANNEL, (0, 12), lam=0.1)
    assert_labeled(figure)
    for axis, index in ((0, 0), (1, 12)):
        others = np.delete(CHANNEL, index)
        w, b = energy.optimal_weight_bias(CHANNEL[index], others.mean(), others.var(), lam=0.1)
        x, y = line(figure, "$w_t x + b_t$", axis).T
        np.testing.assert_allclose(y, w * x + b)
    np.testing.assert_allclose(line(figure, "target, +1", 1), [[4.0, 1.0]])


def test_energies_are_those_of_the_oracle() -> None:
    figure = energies_figure(CHANNEL, lam=0.1)
    assert_labeled(figure)
    x, y = line(figure, "neurons of the channel").T
    np.testing.assert_array_equal(x, CHANNEL)
    np.testing.assert_allclose(1 / y, energy.importance(CHANNEL[None], lam=0.1, statistics="population")[0])


def test_differences_and_importances_are_drawn_as_given() -> None:
    sizes = np.array([4.0, 16.0, 64.0])
    gaps = {"normal": np.array([0.1, 0.03, 0.01]), "sparse": np.array([0.2, 0.05, 0.02])}
    figure = differences_figure(sizes, gaps)
    assert_labeled(figure)
    for name, values in gaps.items():
        np.testing.assert_array_equal(line(figure, name), np.column_stack([sizes, values]))
    guide = line(figure, "proportional to $1/M$")
    np.testing.assert_allclose(guide[:, 0] * guide[:, 1], sizes[-1] * gaps["normal"][-1])
    figure = importance_figure(sizes, gaps, neurons=16)
    np.testing.assert_array_equal(line(figure, "sparse")[:, 1], gaps["sparse"])
    assert figure.axes[0].get_title() == "16 neurons"


def test_maps_and_gain_are_drawn_as_given() -> None:
    first, second = np.arange(6.0).reshape(2, 3), np.ones((2, 3))
    figure = maps_figure({"input": first, "output": second})
    drawn = [axis for axis in figure.axes if axis.images]
    assert [axis.get_title() for axis in drawn] == ["input", "output"]
    np.testing.assert_array_equal(drawn[0].images[0].get_array(), first)
    z = np.linspace(-2, 2, 9)
    figure = gain_figure(z, 0.7 + z**2 / 20)
    assert_labeled(figure)
    np.testing.assert_allclose(line(figure, "lowest gain")[:, 1], 0.7)


def test_images_stand_under_their_titles() -> None:
    images = np.random.default_rng(1).integers(0, 256, (7, 3, 8, 8), dtype=np.uint8)
    masks = np.zeros((7, 8, 8), dtype=bool)
    masks[:, 2:5, 2:5] = True
    figure = image_grid(images, titles=list("abcdefg"), masks=masks)
    drawn = [axis for axis in figure.axes if axis.images]
    assert [axis.get_title() for axis in drawn] == list("abcdefg")
    np.testing.assert_array_equal(drawn[6].images[0].get_array(), images[6].transpose(1, 2, 0))
    with pytest.raises(ValueError, match="titles must be as many as images"):
        image_grid(images, titles=["a"])


def test_curves_show_training_and_held_out() -> None:
    history = [
        {
            "epoch": k,
            "train": {"loss": 1 / k, "accuracy": 0.1 * k},
            "held_out": {"loss": 2 / k, "accuracy": 0.05 * k},
        }
        for k in (1, 2, 3)
    ]
    blind = [entry | {"held_out": None} for entry in history]
    figure = curves_figure({"SimAM": history, "without": blind})
    assert_labeled(figure)
    np.testing.assert_allclose(line(figure, "SimAM, training", 1)[:, 1], [0.1, 0.2, 0.3])
    np.testing.assert_allclose(line(figure, "SimAM, held out", 0)[:, 1], [2, 1, 2 / 3])
    assert "without, held out" not in [drawn.get_label() for drawn in figure.axes[0].lines]


def test_schedule_and_stages_are_drawn_as_given() -> None:
    figure = schedule_figure({"budget": np.array([0.1, 0.2, 0.0]), "paper": np.array([0.1, 0.01])})
    assert_labeled(figure)
    np.testing.assert_array_equal(figure.axes[0].lines[0].get_ydata(), [0.1, 0.2, 0.0])
    np.testing.assert_array_equal(figure.axes[1].lines[0].get_ydata(), [0.1, 0.01])
    assert [axis.get_title() for axis in figure.axes] == ["budget", "paper"]
    figure = stages_figure([("stem", 16, 32), ("stage 1", 64, 8)])
    heights = [[bar.get_height() for bar in axis.patches] for axis in figure.axes]
    assert heights == [[16, 64], [32, 8]]


def test_live_curves_are_one_picture_that_is_drawn_anew() -> None:
    """In a real notebook: one output, of the finished run, and nothing on standard error."""
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [
        nbformat.v4.new_code_cell(source)
        for source in (
            "from simam_edu.plots import training as plots\n"
            "from simam_edu.training import EpochResult, Progress, Score\n"
            "drawn, real = [], plots.curves_figure\n"
            "plots.curves_figure = lambda runs: (drawn.append(runs), real(runs))[1]\n"
            "score = Score(images=8, loss=1.5, accuracy=0.5)\n"
            "done = EpochResult(epoch=1, train=score, held_out=score, learning_rate=0.1, seconds=1.0)\n"
            "def at(images, history):\n"
            "    return Progress(epoch=1 + len(history), epochs=2, images=images, seen=8, score=score,\n"
            "                    learning_rate=0.1, history=history)",
            "show = plots.live_curves('mine', every=1e9)\n"
            "for progress in (at(4, ()), at(4, ()), at(0, (done,)), at(4, (done,))):\n"
            "    show(progress)",
            "show = plots.live_curves(every=0.0)\nshow(at(4, ()))\nshow(at(4, (done,)))",
            "print([[point['held_out'] is not None for point in history] "
            "for runs in drawn for history in runs.values()])",
        )
    ]
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    quiet, rare, often, said = (cell.outputs for cell in notebook.cells)
    assert quiet == []
    for outputs in (rare, often):
        (output,) = outputs
        assert output["output_type"] == "display_data"
        assert "image/png" in output["data"]
    # Rarely: the first report and the end of an epoch. Often: every report, with the running epoch.
    assert said[0]["text"] == "[[False], [True], [False], [True, False]]\n"
