"""What the figures of the chapter on the GPU show, read back from their artists."""

import numpy as np
import pytest

from simam_edu.plots import gpu_kernel

TRAFFIC = {
    "ten lines": {"forward": (9, 6), "backward": (20, 10)},
    "one kernel": {"forward": (1, 1), "backward": (2, 1)},
}
CARDS = {"slow": (1e12, 1e11), "fast": (2e13, 1e12)}


def test_each_bar_is_its_reads_and_writes_end_to_end():
    figure = gpu_kernel.traffic_figure(TRAFFIC)
    (axis,) = figure.axes
    drawn = {bars.get_label(): [(bar.get_x(), bar.get_width()) for bar in bars] for bars in axis.containers}
    assert drawn == {
        "forward, reads": [(0, 9), (0, 1)],
        "forward, writes": [(9, 6), (1, 1)],
        "backward, reads": [(15, 20), (2, 2)],
        "backward, writes": [(35, 10), (4, 1)],
    }
    assert [text.get_text() for text in axis.texts] == ["45", "5"]
    assert [label.get_text() for label in axis.get_yticklabels()] == list(TRAFFIC)
    assert axis.get_xlabel()
    assert axis.get_ylabel()
    looks = {(bars[0].get_facecolor(), bars[0].get_hatch()) for bars in axis.containers}
    assert len(looks) == 4, "each part has a look of its own"
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_the_roof_of_a_card_rises_with_its_bandwidth_to_its_peak():
    figure = gpu_kernel.roofline_figure(CARDS, {"kernel": 0.5})
    (axis,) = figure.axes
    lines = {line.get_label(): np.array(line.get_data()) for line in axis.get_lines()}
    for name, (peak, bandwidth) in CARDS.items():
        work, speed = lines[name]
        np.testing.assert_allclose(speed, np.minimum(peak, bandwidth * work) / 1e12)
    corners = [np.array(line.get_data()).ravel() for line in axis.get_lines() if line.get_marker() in "os"]
    np.testing.assert_allclose(corners, [(10, 1), (20, 20)])
    marks = [line.get_xdata() for line in axis.get_lines() if line.get_linestyle() == ":"]
    np.testing.assert_allclose(marks, [[0.5, 0.5]])
    assert [text.get_text() for text in axis.texts] == ["kernel"]
    assert axis.get_xscale() == axis.get_yscale() == "log"
    assert axis.get_xlabel()
    assert axis.get_ylabel()
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_more_cards_than_looks_are_refused():
    with pytest.raises(ValueError, match="cards must be at most 4, got 5"):
        gpu_kernel.roofline_figure({str(k): (1.0, 1.0) for k in range(5)}, {})
