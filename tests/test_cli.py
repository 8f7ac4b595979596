"""The command line from the outside: what it writes and what it says when something is wrong."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from simam_edu import cli, cli_study
from simam_edu.datasets import ImageSet, Split, load, shapes
from simam_edu.training import RECIPES, Progress


@pytest.fixture
def few_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred and sixty shapes in the place of four thousand."""
    images, labels, _ = shapes.draw(160, rng=np.random.default_rng(0))

    def load_few(name: str, split: Split, **options: object) -> ImageSet:
        if name != "shapes":
            return load(name, split, **options)  # type: ignore[arg-type]
        return ImageSet(
            name=name, split=split, images=images, labels=labels, classes=tuple(shapes.SHAPES),
            mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25), source="drawn for a test",
        )  # fmt: skip

    monkeypatch.setattr(cli_study, "load", load_few)


@pytest.mark.usefixtures("few_shapes")
def test_train_appends_the_record_that_it_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "runs" / "records.jsonl"
    command = (
        "train --network wrn10_1 --attention simam --lam 0.01 --statistics leave_one_out --slot post_norm"
    )
    command += " --first-weights authors --dataset shapes --recipe smoke --epochs 1 --seed 5 --held-out 0.25"
    status = cli.main([*command.split(), "--device", "cpu", "--record", str(file)])
    printed = capsys.readouterr()
    assert status == 0, printed.err
    record = json.loads(printed.out)
    assert record == json.loads(file.read_text())
    wanted = {
        "network": "wrn10_1", "attention": "simam", "slot": "post_norm", "first_weights": "authors",
        "attention_options": {"lam": 0.01, "statistics": "leave_one_out"}, "dataset": "shapes",
        "recipe": "smoke", "epochs": 1, "seed": 5, "held_out": 0.25, "training_images": 120,
    }  # fmt: skip
    assert record.items() >= wanted.items()
    for words in ("epoch 1/1", "images/s", "test accuracy"):
        assert words in printed.err


@pytest.mark.usefixtures("few_shapes", "tiny")
def test_a_run_in_a_folder_goes_on_and_is_not_run_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    command = ["train", "--network", "tiny", "--dataset", "shapes", "--epochs", "3", "--device", "cpu",
               "--tensorboard", "--folder", str(folder)]  # fmt: skip

    def interrupt(_: object, progress: Progress) -> None:
        if len(progress.history) == 2:
            raise OSError("the machine is gone")

    with monkeypatch.context() as patch:
        patch.setattr(cli_study, "_show", interrupt)
        assert cli.main(command) == 2
    assert not (folder / "record.json").exists()
    capsys.readouterr()

    assert cli.main(command) == 0
    printed = capsys.readouterr()
    record = json.loads(printed.out)
    assert record == json.loads((folder / "record.json").read_text())
    assert "432/432" in printed.err
    assert f"record in {folder}" in printed.err
    assert "record.json" not in {file.name for file in tmp_path.iterdir()}, "only its own folder is written"
    assert {file.name for file in folder.iterdir()} > {"config.json", "record.json", "tensorboard"}

    assert cli.main(command) == 0
    again = capsys.readouterr()
    assert again.out == ""
    assert f"{folder} holds this run, and it is finished" in again.err
    for option, value, difference in (
        ("--seed", "1", "seed is 0 there and 1 here"),
        ("--first-weights", "authors", "first_weights is 'he' there and 'authors' here"),
    ):
        assert cli.main([*command, option, value]) == 2
        assert difference in capsys.readouterr().err


def test_the_recipes_are_told_with_what_to_expect(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["train", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    for name, recipe in RECIPES.items():
        assert f"{name}: {recipe.expected}" in told


@pytest.mark.usefixtures("few_shapes")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--lam", "-1"], "lam must be a finite number of at least 0"),
        (["--epochs", "0"], "epochs must be at least 1"),
        (["--attention", "none", "--lam", "1"], "does not take these options"),
        (["--dataset", "cifar10", "--data", "nowhere"], "nowhere"),
    ],
)
def test_mistakes_are_told_in_one_line(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    status = cli.main(["train", "--dataset", "shapes", "--device", "cpu", *arguments])
    printed = capsys.readouterr()
    assert status == 2
    assert printed.out == ""
    assert message in printed.err
    assert "Traceback" not in printed.err


@pytest.mark.usefixtures("few_shapes")
def test_record_that_cannot_be_written_is_told_before_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli_study, "train", lambda *_, **__: pytest.fail("the training began"))
    (tmp_path / "file").write_text("")
    status = cli.main(
        ["train", "--dataset", "shapes", "--device", "cpu", "--record", str(tmp_path / "file" / "r.jsonl")]
    )
    assert status == 2
    assert "file" in capsys.readouterr().err


def test_unknown_names_are_refused_with_the_choices(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["train", "--network", "resnet18"]) == 2
    assert "resnet20" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        cli.main(["train", "--attention", "sam"])
    assert "simam" in capsys.readouterr().err


def test_the_help_of_the_command_line_loads_nothing_heavy() -> None:
    code = "import sys; from simam_edu.cli import main; main(['--help'])"
    run = subprocess.run([sys.executable, "-X", "importtime", "-c", code], capture_output=True, text=True)
    assert run.returncode == 0 and "report" in run.stdout
    loaded = {line.rpartition("|")[2].strip() for line in run.stderr.splitlines()}
    assert "simam_edu.cli" in loaded
    assert not loaded & {"torch", "numpy", "scipy", "matplotlib", "pandas", "sympy"}
