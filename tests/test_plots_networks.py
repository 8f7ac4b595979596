"""The figure of the slots: its boxes and marks stand where the order of the calls says."""

import numpy as np
import pytest

from simam_edu.plots.networks import slots_figure

BRANCHES = {
    "basic": ["3x3", "norm", "relu", "3x3", "pre_norm", "norm", "post_norm"],
    "before": ["norm", "relu", "3x3", "pre_norm", "post_norm"],
}


def test_layers_stand_in_order_and_slots_between_them() -> None:
    figure = slots_figure(BRANCHES)
    (axis,) = figure.axes
    assert [label.get_text() for label in axis.get_yticklabels()] == list(BRANCHES)
    for row, calls in enumerate(BRANCHES.values()):
        texts = sorted(
            (text.get_position()[0], text) for text in axis.texts if text.get_position()[1] == -row
        )
        layers = [call for call in calls if not call.endswith("_norm")]
        assert [text.get_text() for _, text in texts] == [*layers, "+"]
    shaded = [patch.get_facecolor() != (1.0, 1.0, 1.0, 1.0) for patch in axis.patches]
    assert shaded == [
        call == "3x3" for row in BRANCHES.values() for call in row if not call.endswith("_norm")
    ]
    marks = {line.get_label(): line.get_xydata() for line in axis.lines}
    np.testing.assert_allclose(marks["pre_norm"][:, 0], [3.5, 2.5])
    np.testing.assert_allclose(marks["post_norm"][:, 0], [4.5, 2.5])
    for slot, side in (("pre_norm", 1), ("post_norm", -1)):
        np.testing.assert_array_equal(np.sign(marks[slot][:, 1] + [0, 1]), side)  # above or below the row
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["pre_norm", "post_norm"]
    assert figure._repr_png_().startswith(b"\x89PNG")  # type: ignore[attr-defined]


def test_a_branch_without_slots_is_refused() -> None:
    with pytest.raises(ValueError, match="must have both slots"):
        slots_figure({"basic": ["3x3", "norm"]})
