"""A signal ends a run between two steps, whenever it comes, and the run goes on to the same numbers."""

import json
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from simam_edu import cli, cli_study
from simam_edu.networks import NETWORKS
from simam_edu.training import Progress, TrainConfig, TrainResult, train
from simam_edu.training import folder as folder_module
from simam_edu.training.checkpoint import newest_checkpoint
from simam_edu.training.interruption import signals_interrupt, signals_wait
from toys import Tiny, same, toy

TRAIN, TEST = toy(100), toy(20, seed=1)
BATCHES, EPOCHS = 3, 2
CONFIG = TrainConfig(network="tiny", recipe="smoke", epochs=EPOCHS, seed=2, held_out=0.2, device="cpu")


@pytest.fixture(autouse=True)
def seldom(tiny: None, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001
    monkeypatch.setattr(folder_module, "CHECKPOINT_SECONDS", 1e9)  # none but those of epochs and signals
    monkeypatch.setattr(os, "fsync", lambda _: None)  # no machine stops here, and a disk takes its time


@pytest.fixture(scope="module")
def whole() -> TrainResult:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(NETWORKS, "tiny", Tiny)
        return train(CONFIG, TRAIN, TEST)


# The two contexts.


def test_a_signal_waits_for_the_end_of_the_block_and_comes_once() -> None:
    seen = []

    def work() -> None:
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
def test_each_signal_that_asks_to_end_interrupts_and_says_which_it_was(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt) as told, signals_interrupt(), signals_wait():
        signal.raise_signal(number)
    assert told.value.args == (number,)
    assert signal.getsignal(number) == before


def test_a_signal_that_is_ignored_or_handled_is_left_alone() -> None:
    for handler in (signal.SIG_IGN, lambda *_: None):
        before = signal.signal(signal.SIGHUP, handler)
        try:
            with signals_interrupt(), signals_wait():
                signal.raise_signal(signal.SIGHUP)
        finally:
            signal.signal(signal.SIGHUP, before)


def test_other_threads_may_train() -> None:
    done = []

    def work() -> None:
        with signals_interrupt(), signals_wait():
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [True]


# A run.


def countdown(passes: int, number: signal.Signals = signal.SIGINT) -> Callable[[], None]:
    """Return a function that raises a signal the n-th time it is called."""
    left = [passes]

    def call() -> None:
        left[0] -= 1
        if left[0] == 0:
            signal.raise_signal(number)

    return call


def kept_step(folder: Path) -> int | None:
    found = newest_checkpoint(folder)
    return None if found is None else int(found[0].name.split("-")[1])


def interrupted(folder: Path, passes: int, *, training: bool) -> None:
    """Train with a signal in the n-th forward pass of training, or of evaluation."""
    count = countdown(passes)

    class Interrupted(Tiny):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if self.training == training:
                count()
            return super().forward(x)

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(NETWORKS, "tiny", Interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(CONFIG, TRAIN, TEST, folder=folder)


@pytest.mark.parametrize(
    ("training", "passes", "step"),
    [
        *((True, step, step) for step in range(1, BATCHES * EPOCHS + 1)),
        *((False, evaluation, step) for evaluation, step in ((1, 3), (2, 6), (3, 6))),
    ],
)
def test_a_signal_in_a_step_or_an_evaluation_loses_no_step(
    training: bool, passes: int, step: int, whole: TrainResult, tmp_path: Path
) -> None:
    """Evaluated are the validation set after each epoch, and the test set at the end."""
    interrupted(tmp_path, passes, training=training)
    assert kept_step(tmp_path) == step
    same(train(CONFIG, TRAIN, TEST, folder=tmp_path), whole)


def test_a_second_signal_while_the_checkpoint_is_written_tears_nothing(
    whole: TrainResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = folder_module.save_checkpoint

    def interrupted_save(*arguments: object, **options: object) -> Path:
        signal.raise_signal(signal.SIGINT)
        return save(*arguments, **options)  # type: ignore[arg-type]

    def at_once(_: Progress) -> None:
        signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(folder_module, "save_checkpoint", interrupted_save)
        with pytest.raises(KeyboardInterrupt):
            train(CONFIG, TRAIN, TEST, folder=tmp_path, on_step=at_once)
    assert kept_step(tmp_path) == 1
    assert not list(tmp_path.glob("*.tmp"))
    same(train(CONFIG, TRAIN, TEST, folder=tmp_path), whole)


def test_a_loss_read_every_few_steps_loses_none_of_them(
    whole: TrainResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a GPU: the metrics are read before they are kept."""
    monkeypatch.setattr("simam_edu.training.loop.read_every", lambda _: 10)
    interrupted(tmp_path, 2, training=True)
    _, content = newest_checkpoint(tmp_path) or pytest.fail("none is kept")
    assert content["state"]["sums"]["images"] == 64
    same(train(CONFIG, TRAIN, TEST, folder=tmp_path), whole)


def test_no_checkpoint_is_kept_of_a_loss_that_is_not_finite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simam_edu.training.loop.read_every", lambda _: 10)

    class Breaks(Tiny):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            signal.raise_signal(signal.SIGINT)
            return super().forward(x) * torch.nan

    monkeypatch.setitem(NETWORKS, "tiny", Breaks)
    with pytest.raises(KeyboardInterrupt):
        train(CONFIG, TRAIN, TEST, folder=tmp_path)
    assert newest_checkpoint(tmp_path) is None


# The command.


def command(*more: str) -> list[str]:
    return ["train", "--network", "tiny", "--dataset", "shapes", "--recipe", "smoke", "--epochs", "2",
            "--device", "cpu", *more]  # fmt: skip


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli_study, "load", lambda _, split, **__: TRAIN if split == "train" else TEST)


def last_line(capsys: pytest.CaptureFixture[str]) -> str:
    told = capsys.readouterr().err
    assert "Traceback" not in told
    return told.splitlines()[-1]


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_train_ends_in_one_line_and_the_same_command_goes_on(
    number: signal.Signals,
    status: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(command("--folder", str(tmp_path / "whole"))) == 0
    count = countdown(2, number)
    with monkeypatch.context() as patch:
        patch.setattr(cli_study, "_show", lambda *_: count())
        assert cli.main(command("--folder", str(tmp_path / "run"))) == status
    said = f"simam-edu: interrupted; the same command goes on from what is in {tmp_path / 'run'}"
    assert last_line(capsys) == said
    assert kept_step(tmp_path / "run") == 2
    assert cli.main(command("--folder", str(tmp_path / "run"))) == 0
    one, other = (json.loads((tmp_path / name / "record.json").read_text()) for name in ("whole", "run"))
    assert one["test_loss"] == other["test_loss"]


@pytest.mark.usefixtures("few")
def test_train_without_a_folder_says_how_to_keep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli_study, "_show", lambda *_: signal.raise_signal(signal.SIGTERM))
    assert cli.main(command("--record", str(tmp_path / "records.jsonl"))) == 143
    assert "nothing is kept; with --folder DIR a run keeps checkpoints" in last_line(capsys)


def test_a_signal_while_the_images_are_loaded_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli_study, "load", lambda *_, **__: signal.raise_signal(signal.SIGINT))
    assert cli.main(command("--folder", str(tmp_path))) == 130
    assert "the same command goes on" in last_line(capsys)


@pytest.mark.usefixtures("few")
def test_a_signal_while_the_record_is_appended_waits_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    append = cli_study.append_record

    def interrupted_append(*arguments: object) -> None:
        signal.raise_signal(signal.SIGINT)
        append(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(cli_study, "append_record", interrupted_append)
    assert cli.main(command("--record", str(tmp_path / "records.jsonl"))) == 130
    assert "the run was finished, and its record is kept" in last_line(capsys)
    assert len((tmp_path / "records.jsonl").read_text().splitlines()) == 1


# What else decides the numbers.


@pytest.mark.usefixtures("few")
def test_another_number_of_threads_is_not_mixed_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    threads = torch.get_num_threads()
    folder = tmp_path / "run"
    try:
        torch.set_num_threads(1)
        with monkeypatch.context() as patch:
            patch.setattr(cli_study, "_show", lambda *_: signal.raise_signal(signal.SIGTERM))
            assert cli.main(command("--folder", str(folder))) == 143
        torch.set_num_threads(2)
        config = TrainConfig(network="tiny", recipe="smoke", epochs=2, device="cpu")
        with pytest.raises(ValueError, match=r"threads is 1 there and 2 here; .* OMP_NUM_THREADS=1 to go on"):
            train(config, TRAIN, TEST, folder=folder)
        assert cli.main(command("--folder", str(folder))) == 0
        assert f"{folder} began with 1 threads and goes on so, not with 2" in capsys.readouterr().err
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(threads)
    record = json.loads((folder / "record.json").read_text())
    assert record["environment"]["threads"] == 1


@pytest.mark.parametrize("field", ["threads", "torch", "instructions", "simam_backend", "simam_edu"])
def test_a_folder_that_does_not_say_what_decides_its_numbers_is_refused(field: str, tmp_path: Path) -> None:
    train(CONFIG, TRAIN, TEST, folder=tmp_path)
    file = tmp_path / "config.json"
    said = json.loads(file.read_text())
    file.write_text(json.dumps({key: value for key, value in said.items() if key != field}))
    with pytest.raises(ValueError, match=f"{field} is not said there and .* here; use another folder"):
        train(CONFIG, TRAIN, TEST, folder=tmp_path)
    file.write_text(json.dumps(said | {field: "other"}))
    with pytest.raises(ValueError, match=f"{field} is 'other' there"):
        train(CONFIG, TRAIN, TEST, folder=tmp_path)
