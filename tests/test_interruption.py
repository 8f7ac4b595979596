"""A signal ends a run between two steps, whenever it comes, and the run goes on to the same numbers."""

import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from simam_edu import cli, cli_study
from simam_edu.networks import NETWORKS
from simam_edu.training import folder as folder_module
from simam_edu.training import loop, train
from simam_edu.training.checkpoint import newest_checkpoint
from simam_edu.training.interruption import signals_interrupt, signals_wait
from toys import COMMAND, CONFIG, TEST, TRAIN, Tiny, load, same


@pytest.fixture(autouse=True)
def seldom(tiny, monkeypatch):  # noqa: ARG001
    # No checkpoints but those of epochs and signals.
    monkeypatch.setattr(folder_module, "CHECKPOINT_SECONDS", 1e9)
    monkeypatch.setattr(os, "fsync", lambda _: None)  # no machine stops here
    monkeypatch.setattr(cli_study, "load", load)
    # A shell's background ignores it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_a_signal_waits_for_the_end_of_the_block_and_comes_once():
    seen = []

    def work():
        with signals_wait():
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            seen.append("the end")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert seen == ["the end"]
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_each_signal_interrupts_unless_it_is_ignored_or_handled_already(number):
    for handler in (signal.SIG_IGN, lambda *_: None, signal.SIG_DFL):
        before = signal.signal(number, handler)
        told = None
        try:
            with signals_interrupt(), signals_wait():
                signal.raise_signal(number)
        except KeyboardInterrupt as interruption:
            told = interruption.args
        assert told == ((number,) if handler == signal.SIG_DFL else None)
        assert signal.signal(number, before) == handler


def test_other_threads_may_train():
    def work():
        with signals_interrupt(), signals_wait():
            return True

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(work).result()


def countdown(passes, number=signal.SIGINT):
    """Return a function that raises a signal the n-th time it is called."""
    left = iter(range(passes - 1))
    return lambda *_: next(left, None) is None and signal.raise_signal(number)


def kept_step(folder):
    return int(newest_checkpoint(folder)[0].name.split("-")[1])


def interrupted(folder, passes, *, training=True, loss=1.0, error=KeyboardInterrupt):
    """Train with a signal in the n-th forward pass of training, or of evaluation."""
    count = countdown(passes)

    class Interrupted(Tiny):
        def forward(self, x):
            if self.training == training:
                count()
            return super().forward(x) * loss

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(NETWORKS, "tiny", Interrupted)
        with pytest.raises(error):
            train(CONFIG, TRAIN, TEST, folder=folder)


STEP = [(True, step, step) for step in range(1, 7)]
EVALUATION = [(False, 1, 3), (False, 2, 6), (False, 4, 9)]  # of three validations and a test


@pytest.mark.parametrize(("training", "passes", "step"), [*STEP, *EVALUATION])
def test_a_signal_in_a_step_or_an_evaluation_loses_no_step(training, passes, step, whole, tmp_path):
    interrupted(tmp_path, passes, training=training)
    assert kept_step(tmp_path) == step
    same(train(CONFIG, TRAIN, TEST, folder=tmp_path), whole)


def test_steps_that_were_not_read_yet_are_kept_if_they_are_finite(whole, tmp_path, monkeypatch):
    """As on a GPU, where the loss is read every few steps."""
    monkeypatch.setitem(loop.READ_EVERY, "cpu", 10)
    interrupted(tmp_path / "nan", 2, loss=torch.nan, error=FloatingPointError)
    assert newest_checkpoint(tmp_path / "nan") is None
    interrupted(tmp_path / "run", 2)
    assert newest_checkpoint(tmp_path / "run")[1]["state"]["sums"]["images"] == 64
    same(train(CONFIG, TRAIN, TEST, folder=tmp_path / "run"), whole)


def last_line(capsys):
    told = capsys.readouterr().err
    assert "Traceback" not in told
    return told.splitlines()[-1]


def test_train_ends_in_one_line_and_the_same_command_goes_on(tmp_path, monkeypatch, capsys):
    alone, run = tmp_path / "alone", tmp_path / "run"
    assert cli.main([*COMMAND, "--folder", str(alone)]) == 0
    for name, status in (("INT", 130), ("TERM", 143), ("HUP", 129)):
        with monkeypatch.context() as patch:
            patch.setattr(cli_study, "_show", countdown(2, signal.Signals[f"SIG{name}"]))
            assert cli.main([*COMMAND, "--folder", str(run)]) == status
        told = f"simam-edu: interrupted; the same command goes on from what is in {run}"
        assert last_line(capsys) == told
    assert cli.main([*COMMAND, "--folder", str(run)]) == 0
    one, other = (json.loads((folder / "record.json").read_text()) for folder in (alone, run))
    assert one["test_loss"] == other["test_loss"]


@pytest.mark.parametrize(
    ("where", "option", "number", "message", "lines"),
    [
        ("_show", "--record", signal.SIGTERM, "nothing is kept; with --folder DIR a run keeps", 0),
        ("load", "--folder", signal.SIGINT, "the same command goes on", None),
        ("append_record", "--record", signal.SIGINT, "was finished, and its record is kept", 1),
    ],
)
def test_an_interrupted_command_says_in_one_line_what_is_kept(
    where, option, number, message, lines, tmp_path, monkeypatch, capsys
):
    usual, place = getattr(cli_study, where), tmp_path / "place"
    signaled = lambda *given, **_: (signal.raise_signal(number), usual(*given))  # noqa: E731
    monkeypatch.setattr(cli_study, where, signaled)
    assert cli.main([*COMMAND, option, str(place)]) == 128 + number
    assert message in last_line(capsys)
    assert lines is None or len(place.read_text().splitlines()) == lines


@pytest.mark.usefixtures("threads_put_back")
def test_another_number_of_threads_is_not_mixed_in(tmp_path, monkeypatch, capsys):
    torch.set_num_threads(1)
    with monkeypatch.context() as patch:
        patch.setattr(cli_study, "_show", countdown(1))
        assert cli.main([*COMMAND, "--folder", str(tmp_path)]) == 130
    torch.set_num_threads(2)
    with pytest.raises(ValueError, match="threads is 1 there and 2 here"):
        train(CONFIG, TRAIN, TEST, folder=tmp_path)
    assert cli.main([*COMMAND, "--folder", str(tmp_path)]) == 0
    told = capsys.readouterr().err
    assert f"{tmp_path} began with 1 threads and goes on so, not with 2" in told
    assert torch.get_num_threads() == 1
    record = json.loads((tmp_path / "record.json").read_text())
    assert record["environment"]["threads"] == 1
