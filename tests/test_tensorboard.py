"""The curves that TensorBoard shows, read back from its files."""

import sys

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from simam_edu import cli, cli_study
from simam_edu.training import train
from simam_edu.training.tensorboard import tensorboard_curves
from toys import COMMAND, CONFIG, TEST, TRAIN, load


def test_every_step_and_every_epoch_is_drawn_once_though_the_run_was_stopped(tiny, tmp_path):  # noqa: ARG001
    with tensorboard_curves(tmp_path / "curves") as curves, pytest.raises(ZeroDivisionError):
        # It stops after the fifth step, two steps after its last checkpoint.
        train(CONFIG, TRAIN, TEST, folder=tmp_path, on_step=lambda p: (curves(p), 1 / (p.seen - 144)))
    with tensorboard_curves(tmp_path / "curves") as curves:
        result = train(CONFIG, TRAIN, TEST, folder=tmp_path, on_step=curves)
    found = EventAccumulator(str(tmp_path / "curves")).Reload()
    drawn = {name: [(e.step, e.value) for e in found.Scalars(name)] for name in found.Tags()["scalars"]}
    steps = [epoch * 80 + images for epoch in range(3) for images in (32, 64, 80)]
    for name in ("loss/running", "accuracy/running", "learning rate"):
        assert [step for step, _ in drawn[name]] == steps
    for name, metrics in (("training", "train"), ("held out", "held_out")):
        for value in ("loss", "accuracy"):
            wanted = [getattr(getattr(epoch, metrics), value) for epoch in result.epochs]
            assert [step for step, _ in drawn[f"{value}/{name}"]] == [80, 160, 240]
            assert [height for _, height in drawn[f"{value}/{name}"]] == pytest.approx(wanted)


def test_without_tensorboard_the_command_says_what_to_install(tiny, tmp_path, monkeypatch, capsys):  # noqa: ARG001
    for name in list(sys.modules):
        if name.startswith(("tensorboard.", "torch.utils.tensorboard")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    monkeypatch.setattr(cli_study, "load", load)
    monkeypatch.setattr(cli_study, "finish", lambda *_, **__: pytest.fail("the training began"))
    assert cli.main([*COMMAND, "--tensorboard", "--folder", str(tmp_path)]) == 2
    assert "pip install 'simam-edu[tensorboard]'" in capsys.readouterr().err
