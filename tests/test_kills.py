"""A run that is killed in the middle goes on; benchmarks/kills.py does the same ten times over."""

import signal

import pytest
import torch


@pytest.fixture(scope="module")
def kills(benchmark_script):
    return benchmark_script("kills")


@pytest.mark.usefixtures("threads_put_back")
def test_a_killed_run_ends_as_the_run_that_was_left_alone(kills, tmp_path, monkeypatch):
    monkeypatch.setattr(kills.folder, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(kills.cli_study, "load", kills.cli_study.load)  # is put back at the end
    seconds = kills.to_the_end(tmp_path / "alone")
    for part in (0.3, 0.1, 0.0):  # a machine that was busy may be faster by now, and the run at its end
        killed = tmp_path / f"killed-{part}"
        left = kills.kill_one(killed, part * seconds, signal.SIGKILL)
        if left.startswith("status -9"):
            break
    assert left.startswith("status -9")
    assert kills.run(killed) == 0
    assert kills.equal(kills.outcome(killed), kills.outcome(tmp_path / "alone"))


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
