"""What the figure of the wrong SimAMs shows, read back from its artists."""

import numpy as np
import pytest
from scipy.special import expit

from simam_edu.plots.gallery import gallery_figure

Z = np.linspace(-3.0, 3.0, 31)


@pytest.mark.parametrize("count", [1, 4, 5, 12])
def test_each_exhibit_has_a_panel_with_its_gains_beside_the_right_ones(count):
    right = expit(0.5 + Z**2 / 4)
    panels = {f"exhibit {k}": (Z, right, right / (k + 1)) for k in range(count)}
    figure = gallery_figure(panels)
    assert [axis.get_title() for axis in figure.axes] == list(panels)
    for axis, (score, truth, wrong) in zip(figure.axes, panels.values(), strict=True):
        lines = {line.get_label(): line for line in axis.get_lines()}
        np.testing.assert_array_equal(lines["right"].get_data(), [score, truth])
        np.testing.assert_array_equal(lines["exhibit"].get_data(), [score, wrong])
        assert lines["right"].get_marker() != lines["exhibit"].get_marker(), "color must not stand alone"
        low, high = axis.get_ylim()
        assert low < 0 < 1 < high, "gains from zero to one must be in the picture"


def test_the_figure_is_labeled_and_can_be_shown():
    figure = gallery_figure({"one": (Z, Z, Z)})
    assert figure.get_supxlabel() == "score $z$"
    assert figure.get_supylabel() == "gain"
    assert {text.get_text() for text in figure.axes[0].get_legend().get_texts()} == {"right", "exhibit"}
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_nothing_to_draw_is_refused():
    with pytest.raises(ValueError, match="panels must hold at least one exhibit"):
        gallery_figure({})
