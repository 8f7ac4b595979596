"""The curves that TensorBoard shows, read back from its files."""

import sys
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from simam_edu import cli, cli_study
from simam_edu.training import Progress, TrainConfig, train
from simam_edu.training import folder as folder_module
from simam_edu.training.tensorboard import tensorboard_curves
from toys import toy

CONFIG = TrainConfig(network="tiny", recipe="smoke", epochs=2, held_out=0.2, device="cpu")


pytestmark = pytest.mark.usefixtures("tiny")


def points(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Return the curves of a folder, by name, as images and value."""
    found = EventAccumulator(str(folder)).Reload()
    return {name: [(e.step, e.value) for e in found.Scalars(name)] for name in found.Tags()["scalars"]}


def test_every_step_and_every_epoch_is_drawn(tmp_path: Path) -> None:
    with tensorboard_curves(tmp_path) as on_step:
        result = train(CONFIG, toy(100), toy(10), on_step=on_step)
    curves = points(tmp_path)
    assert [step for step, _ in curves["loss/running"]] == [32, 64, 80, 112, 144, 160]
    assert [step for step, _ in curves["learning rate"]] == [32, 64, 80, 112, 144, 160]
    for name, score in (("training", "train"), ("held out", "held_out")):
        for value in ("loss", "accuracy"):
            wanted = [getattr(getattr(epoch, score), value) for epoch in result.epochs]
            assert [step for step, _ in curves[f"{value}/{name}"]] == [80, 160]
            assert [drawn for _, drawn in curves[f"{value}/{name}"]] == pytest.approx(wanted)


def test_a_run_that_goes_on_draws_no_step_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_module, "CHECKPOINT_SECONDS", 1e9)

    def stop(progress: Progress) -> None:
        if progress.seen == 144:
            raise InterruptedError

    for goes_on in (False, True):
        with tensorboard_curves(tmp_path / "curves") as curves:
            both = (lambda p, c=curves: c(p)) if goes_on else (lambda p, c=curves: (c(p), stop(p)))
            try:
                train(CONFIG, toy(100), toy(10), folder=tmp_path / "run", on_step=both)
            except InterruptedError:
                assert not goes_on
    assert [step for step, _ in points(tmp_path / "curves")["loss/running"]] == [32, 64, 80, 112, 144, 160]


def test_without_tensorboard_the_command_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "tensorboard"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard", raising=False)
    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard.writer", raising=False)
    monkeypatch.setattr(cli_study, "load", lambda *_, **__: toy(40))
    monkeypatch.setattr(cli_study, "finish", lambda *_, **__: pytest.fail("the training began"))
    command = ["train", "--network", "tiny", "--device", "cpu", "--tensorboard", "--folder", str(tmp_path)]
    assert cli.main(command) == 2
    assert "pip install 'simam-edu[tensorboard]'" in capsys.readouterr().err


def test_the_curves_need_a_folder(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["train", "--tensorboard"]) == 2
    assert "--tensorboard must come with --folder" in capsys.readouterr().err
