"""The page on the numbers says what its records say, however many there are and whoever is ahead."""

import sys
from types import ModuleType

import numpy as np
import pytest
from IPython.display import Markdown

from pages import BOOK, code_cells
from simam_edu import training
from simam_edu.experiments import grid

CELLS = [cell.source for cell in code_cells((BOOK / "study.md").read_text(encoding="utf-8"))]


def made_up(count, gains=None, spread=0.1, seeds=range(4)):
    """The first runs of the study, with gains in points by module, around a level that the seed decides."""
    rng = np.random.default_rng(0)
    level = rng.normal(84.0, 0.3, len(seeds))
    base = training.recorded("resnet20_cifar10")[0]
    records = []
    for run in grid("study", seeds=list(seeds))[:count]:
        gain = (gains or {}).get(f"{run.attention} {run.slot}", 0.0)
        accuracy = level[run.seed] + gain + rng.normal(0.0, spread)
        records.append(
            base | {"attention": run.attention, "slot": run.slot, "seed": run.seed, "epochs": 10,
                    "test_accuracy": accuracy / 100, "minutes": 30.0 + len(run.attention)}
        )  # fmt: skip
    return records


@pytest.fixture
def shown(monkeypatch):
    """Run the page's cells on records and return what it glues into its sentences."""

    def call(records):
        glued = {}
        stand_in = ModuleType("myst_nb")
        stand_in.glue = lambda name, value, display=False: glued.__setitem__(name, value)  # noqa: ARG005
        monkeypatch.setitem(sys.modules, "myst_nb", stand_in)
        monkeypatch.setattr(training, "recorded", lambda name: {"study": records}[name])
        names = {}
        for source in CELLS:
            exec(source, names)
        assert isinstance(names["sentences"](names["table"].columns[1:]), Markdown)
        return glued

    return call


@pytest.mark.parametrize(
    ("count", "missing"), [(1, 20), (2, 19), (7, 14), (9, 12), (21, 0), (23, 5), (28, 0)]
)
def test_the_page_runs_while_the_records_come_in(shown, count, missing):
    glued = shown(made_up(count))
    assert glued["study-runs"] == ("1 run" if count == 1 else f"{count} runs")
    seeds = "the seeds 0, 1, 2 and 3" if count > 21 else "the seeds 0, 1 and 2"
    full, part = f"No run of {seeds} is missing.", f" {missing} runs of {seeds} still to be made."
    assert glued["study-gaps"].endswith(part if missing else full)
    assert "nan" not in " ".join(map(str, glued.values())).split()


def test_one_row_is_not_judged(shown):
    glued = shown(made_up(7))
    assert glued["study-verdict"].startswith("Larger than the noise: none of them.")
    assert "Not to be judged yet: cbam post_norm, eca post_norm, " in glued["study-verdict"]
    assert glued["study-interval"] == "We have no interval for it yet."


def test_a_module_that_is_ahead_and_one_that_is_behind_are_told(shown):
    gains = {"simam pre_norm": 3.0, "cbam post_norm": -3.0}
    glued = shown(made_up(28, gains))
    assert glued["study-verdict"] == (
        "Larger than the noise: cbam post_norm and simam pre_norm. "
        "Not larger than the noise: eca post_norm, gc post_norm, se post_norm and simam post_norm."
    )
    assert glued["study-place"] == "above, and by more than the noise"
    assert glued["study-rivals"].startswith("Larger than the noise: cbam post_norm. ")
    assert "it does not hold zero, and it does not hold the paper's number" in glued["study-interval"]


def test_no_difference_is_told(shown):
    glued = shown(made_up(28))
    assert glued["study-verdict"].startswith("Larger than the noise: none of them.")
    assert "it holds zero" in glued["study-interval"]


def test_the_papers_table_is_told_as_it_is_known(shown):
    glued = shown(made_up(7))
    found = [glued[f"paper-{key}"] for key in ("cells", "above", "best", "clear")]
    assert found == ["16", "16", "9", "10"]


def test_a_pause_in_an_epoch_is_no_cost_of_the_module(shown):
    records = made_up(21)
    for record in records:
        seconds = 120.0 if record["attention"] == "cbam" else 110.0 if record["slot"] == "pre_norm" else 100.0
        seconds = 100.0 if record["attention"] == "none" else seconds
        record["history"] = [{"seconds": seconds + epoch} for epoch in range(10)]
    records[0]["history"][3]["seconds"] += 3600.0
    glued = shown(records)
    assert (glued["study-slowest"], glued["study-times"], glued["simam-times"]) == (
        "cbam post_norm",
        "1.20",
        "1.10",
    )
