"""The page on the numbers: a cell that no other code has, on records that were not made yet."""

import pytest

from pages import BOOK, code_cells
from simam_edu.experiments.report import column_name
from simam_edu.training import recorded


@pytest.mark.parametrize("pause", [0.0, 3600.0])
def test_the_cost_of_a_module_is_that_of_its_fastest_epoch_whatever_pauses_there_were(pause):
    cells = (cell.source for cell in code_cells((BOOK / "study.md").read_text(encoding="utf-8")))
    (cost,) = (source for source in cells if "fastest = " in source)
    seconds = {"none": 100.0, "simam pre_norm": 110.0, "cbam post_norm": 120.0}
    records = [
        record
        | {"history": [{"seconds": seconds[column_name(record)] + n + pause * (n == 3)} for n in range(9)]}
        for record in recorded("study")
        if column_name(record) in seconds
    ]
    names = {
        "records": records,
        "column_name": column_name,
        "column_in_words": str,
        "Markdown": str,
        "markdown": lambda *_: "",
    }
    exec(cost, names)
    assert names["times"] == {"none": "1.00", "simam pre_norm": "1.10", "cbam post_norm": "1.20"}
