"""A run that is killed in the middle goes on; benchmarks/kills.py does the same ten times over."""

import signal
import time

import pytest
import torch


@pytest.fixture(scope="module")
def kills(benchmark_script):
    return benchmark_script("kills")


def test_a_run_killed_again_and_again_ends_as_the_run_that_was_left_alone(kills, tmp_path, monkeypatch):
    monkeypatch.setattr(kills.folder, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(kills.cli_study, "load", kills.cli_study.load)  # is put back at the end
    threads, start = torch.get_num_threads(), time.perf_counter()
    try:
        kills.run(tmp_path / "alone")
    finally:
        torch.set_num_threads(threads)
    seconds = time.perf_counter() - start
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as in the background of a shell
    try:
        assert not kills.kill_one(tmp_path / "killed", 0.0, signal.SIGINT).startswith("status 0")
    finally:
        signal.signal(signal.SIGINT, handler)
    for moment, name in ((0.3, "KILL"), (0.2, "TERM")):
        kills.kill_one(tmp_path / "killed", moment * seconds, signal.Signals[f"SIG{name}"])
    kills.to_the_end(tmp_path / "killed")
    assert kills.equal(kills.outcome(tmp_path / "killed"), kills.outcome(tmp_path / "alone"))


def test_another_outcome_is_seen(kills, monkeypatch, capsys):
    outcomes = iter(
        {"record": {"test_loss": 1.0}, "state": torch.tensor([0.0, last])} for last in (0.0, 1e-45)
    )
    monkeypatch.setattr(kills, "to_the_end", lambda _: 1.0)
    monkeypatch.setattr(kills, "kill_one", lambda *_: "nothing")
    monkeypatch.setattr(kills, "outcome", lambda _: next(outcomes))
    assert kills.main(["--kills", "1"]) == 1
    assert "NOT THE SAME" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1}, {"b": 1}),
        ([1, 2], [1]),
        (torch.ones(2), torch.ones(2).double()),
        (torch.ones(2), [1.0, 1.0]),
        ({"a": [0.1]}, {"a": [0.1 + 1e-16 * 2]}),
    ],
)
def test_what_differs_is_not_equal(kills, one, other):
    assert kills.equal(one, one)
    assert not kills.equal(one, other)
