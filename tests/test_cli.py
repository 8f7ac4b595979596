"""The command line from the outside: what it writes and what it says when something is wrong."""

import json
import subprocess
import sys

import pytest

from simam_edu import cli, cli_study, datasets
from simam_edu.training import RECIPES
from toys import COMMAND, load

pytestmark = pytest.mark.usefixtures("tiny")


@pytest.fixture(autouse=True)
def few(monkeypatch):
    def load_few(name, *given, **named):
        return (load if name == "shapes" else datasets.load)(name, *given, **named)

    monkeypatch.setattr(cli_study, "load", load_few)


def test_train_appends_the_record_that_it_prints(tmp_path, capsys):
    file = tmp_path / "runs" / "records.jsonl"
    command = "--network wrn10_1 --attention simam --lam 0.01 --statistics leave_one_out --slot post_norm"
    command += " --first-weights authors --epochs 1 --seed 5 --held-out 0.25"
    assert cli.main([*COMMAND, *command.split(), "--record", str(file)]) == 0
    printed = capsys.readouterr()
    record = json.loads(printed.out)
    assert record == json.loads(file.read_text())
    wanted = {
        "network": "wrn10_1", "attention": "simam", "slot": "post_norm", "first_weights": "authors",
        "attention_options": {"lam": 0.01, "statistics": "leave_one_out"}, "dataset": "toy",
        "recipe": "smoke", "epochs": 1, "seed": 5, "held_out": 0.25, "training_images": 75,
    }  # fmt: skip
    assert record.items() >= wanted.items()
    for words in ("epoch 1/1", "images/s", "test accuracy"):
        assert words in printed.err


def test_a_run_in_a_folder_goes_on_and_is_not_run_twice(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "run"
    command = [*COMMAND, "--epochs", "3", "--tensorboard", "--folder", str(folder)]

    def break_down(_, progress):
        if len(progress.history) == 2:
            raise OSError("the machine is gone")

    with monkeypatch.context() as patch:
        patch.setattr(cli_study, "_show", break_down)
        assert cli.main(command) == 2
    assert not (folder / "record.json").exists()
    capsys.readouterr()

    assert cli.main(command) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out) == json.loads((folder / "record.json").read_text())
    assert "270/270" in printed.err
    assert list(tmp_path.iterdir()) == [folder], "only its own folder is written"
    assert {file.name for file in folder.iterdir()} > {"config.json", "record.json", "tensorboard"}

    assert cli.main(command) == 0
    again = capsys.readouterr()
    assert (again.out, f"{folder} holds this run, and it is finished" in again.err) == ("", True)
    assert cli.main([*command, "--first-weights", "authors"]) == 2
    assert "first_weights is 'he' there and 'authors' here" in capsys.readouterr().err


def test_the_help_tells_each_recipe_and_the_line_of_each_field(capsys):
    with pytest.raises(SystemExit):
        cli.main(["train", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    for name, recipe in RECIPES.items():
        assert f"{name}: {recipe.expected}" in told
    assert "--seed SEED Decides first weights, order of the images and augmentation" in told


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--lam", "-1", "--folder", "here"], "lam must be a finite number of at least 0"),
        (["--epochs", "0"], "epochs must be a whole number of at least 1"),
        (["--attention", "none", "--lam", "1"], "does not take these options"),
        (["--network", "resnet18"], "resnet20"),
        (["--dataset", "cifar10", "--data", "nowhere"], "nowhere"),
        (["--tensorboard"], "--tensorboard must come with --folder"),
        (["--folder", "here", "--record", "there"], "--record must come without --folder"),
        (["--record", "file/records.jsonl"], "file"),
    ],
)
def test_a_mistake_is_told_in_one_line_before_the_training(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    monkeypatch.setattr("simam_edu.training.loop.evaluate", lambda *_, **__: pytest.fail("it was trained"))
    assert cli.main([*COMMAND, *arguments]) == 2
    printed = capsys.readouterr()
    assert (printed.out, "Traceback" in printed.err) == ("", False)
    assert message in printed.err.splitlines()[-1]
    assert not (tmp_path / "here").exists(), "nothing is left of it"


def test_the_help_of_the_command_line_loads_nothing_heavy():
    code = "import sys; from simam_edu.cli import main; main(['--help'])"
    command = [sys.executable, "-X", "importtime", "-c", code]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert all(f"    {name} " in run.stdout for name in cli.COMMANDS)
    loaded = {line.rpartition("|")[2].strip() for line in run.stderr.splitlines()}
    assert "simam_edu.cli" in loaded
    assert not loaded & {"torch", "numpy", "scipy", "matplotlib", "pandas", "sympy"}
