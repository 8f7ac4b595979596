"""The curves that TensorBoard shows, read back from its files."""

import sys

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from simam_edu import cli, cli_study
from simam_edu.training import train
from simam_edu.training.tensorboard import tensorboard_curves
from toys import COMMAND, CONFIG, TEST, TRAIN, load


@pytest.mark.usefixtures("tiny")
def test_every_epoch_is_drawn_once_though_the_run_was_stopped(tmp_path):
    with tensorboard_curves(tmp_path / "curves") as curves, pytest.raises(ZeroDivisionError):
        train(CONFIG, TRAIN, TEST, folder=tmp_path, on_step=lambda p: (curves(p), 1 / (p.seen - 144)))
    with tensorboard_curves(tmp_path / "curves") as curves:
        result = train(CONFIG, TRAIN, TEST, folder=tmp_path, on_step=curves)
    found = EventAccumulator(str(tmp_path / "curves")).Reload()
    wanted = {"learning rate": [epoch.learning_rate for epoch in result.epochs]}
    for value in ("loss", "accuracy"):
        wanted[f"{value}/training"] = [getattr(epoch.train, value) for epoch in result.epochs]
        wanted[f"{value}/held out"] = [getattr(epoch.held_out, value) for epoch in result.epochs]
    assert set(found.Tags()["scalars"]) == wanted.keys()
    for name, values in wanted.items():
        assert [event.step for event in found.Scalars(name)] == [80, 160, 240]
        assert [event.value for event in found.Scalars(name)] == pytest.approx(values)


@pytest.mark.usefixtures("tiny")
def test_without_tensorboard_the_command_says_what_to_install(tmp_path, monkeypatch, capsys):
    for name in list(sys.modules):
        if name.startswith(("tensorboard.", "torch.utils.tensorboard")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    monkeypatch.setattr(cli_study, "load", load)
    monkeypatch.setattr(cli_study, "finish", lambda *_, **__: pytest.fail("the training began"))
    assert cli.main([*COMMAND, "--tensorboard", "--folder", str(tmp_path)]) == 2
    assert "pip install 'simam-edu[tensorboard]'" in capsys.readouterr().err
