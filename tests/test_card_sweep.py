"""Runs that share a card: each in a thread, here on the CPU."""

from dataclasses import replace

import pytest

from simam_edu.datasets import load
from simam_edu.experiments import grid, run_id
from simam_edu.experiments.card_sweep import card_sweep
from simam_edu.training import finish, read_records

RUNS = grid("smoke")


def few(name):
    return tuple(
        replace(images, images=images.images[:64], labels=images.labels[:64], masks=None)
        for images in (load(name, "train"), load(name, "test"))
    )


@pytest.fixture
def swept(tmp_path):
    def call(runs=RUNS, **options):
        return card_sweep(
            runs, folder=tmp_path / "runs", records=tmp_path / "records.jsonl", images=few, device="cpu",
            jobs=2, **options,
        )  # fmt: skip

    return call


def test_runs_side_by_side_end_with_the_numbers_of_runs_alone_and_are_recorded_once(swept, tmp_path):
    assert swept(RUNS[:3]).done == 3
    assert swept().done == 4
    records = {run_id(record): record for record in read_records(tmp_path / "records.jsonl")}
    assert len(records) == len((tmp_path / "records.jsonl").read_text().splitlines()) == 4
    for run in RUNS[1:3]:
        alone = finish(replace(run, device="cpu"), *few("shapes"), folder=tmp_path / "alone" / run.id)
        same = ("test_loss", "test_accuracy", "seed", "attention")
        assert {key: records[run.id][key] for key in same} == {key: alone[key] for key in same}


def test_a_sweep_that_has_enough_goes_on_later_with_the_same_numbers(swept, tmp_path):
    asked = iter([False, False, False, False, True, True])
    cut = swept(RUNS[:2], enough=lambda: next(asked, True))
    assert (cut.done, cut.failures, len(cut.left)) == (0, (), 2)
    kept = sorted(path.parent.name for path in (tmp_path / "runs").glob("*/checkpoint-*.pt"))
    assert kept
    assert swept(RUNS[:2]).done == 2
    alone = finish(replace(RUNS[0], device="cpu"), *few("shapes"), folder=tmp_path / "alone")
    (record,) = [r for r in read_records(tmp_path / "records.jsonl") if run_id(r) == RUNS[0].id]
    assert record["test_loss"] == alone["test_loss"]


def test_a_run_that_fails_is_told_and_stops_no_other(swept, tmp_path):
    (tmp_path / "runs" / RUNS[0].id).mkdir(parents=True)
    (tmp_path / "runs" / RUNS[0].id / "config.json").write_text("{}")
    said = []
    outcome = swept(RUNS[:2], say=said.append)
    assert (outcome.done, outcome.left) == (1, (RUNS[0].id,))
    assert "must be of the run that is asked for" in outcome.failures[0].reason
    assert said[-1].startswith(f"done {RUNS[1].id}: test accuracy ")
