"""Batches, loop and records on a task small enough for a test."""

import gzip
import json
import math
import resource
import subprocess
import sys
import threading
from dataclasses import fields, replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch

from simam_edu.attention import ATTENTION, attention_factory
from simam_edu.datasets import ImageSet
from simam_edu.networks import build
from simam_edu.training import (
    RECIPES,
    DeviceImages,
    OneCycle,
    Progress,
    TrainConfig,
    TrainResult,
    append_record,
    distributed,
    loop,
    make_record,
    read_records,
    recorded,
    train,
)
from simam_edu.training import record as record_module
from simam_edu.training.data import PADDING
from simam_edu.training.distributed import World, choose_precision, keep_freed_memory
from simam_edu.training.folder import fingerprint
from simam_edu.training.loop import evaluate, new_network
from toys import toy

CPU = torch.device("cpu")


def by_hand(image: np.ndarray, top: int, left: int, flip: int, mean: float, std: float) -> np.ndarray:
    """Pad, crop, mirror and normalize one image, one step after the other."""
    padded = np.pad(image, ((0, 0), (PADDING, PADDING), (PADDING, PADDING)))
    window = padded[:, top : top + 32, left : left + 32]
    if flip:
        window = window[:, :, ::-1]
    return (window / 255 - mean) / std


def test_crop_is_pad_crop_mirror_normalize() -> None:
    images = toy(5)
    batches = DeviceImages.put(images, CPU)
    index = torch.tensor([3, 0, 4])
    top, left, flip = torch.tensor([0, 4, 8]), torch.tensor([8, 4, 1]), torch.tensor([1, 0, 1])
    cropped = batches.crop(index, top, left, flip)
    assert cropped.is_contiguous(memory_format=torch.channels_last)
    for k in range(3):
        expected = by_hand(
            images.images[index[k]], int(top[k]), int(left[k]), int(flip[k]), images.mean[0], images.std[0]
        )
        np.testing.assert_allclose(cropped[k].numpy(), expected, atol=1e-5)


def test_an_epoch_gives_each_image_once_and_in_another_order() -> None:
    images = replace(toy(50), labels=np.arange(50))
    batches = DeviceImages.put(images, CPU)
    generator = torch.Generator().manual_seed(0)
    first, second = (
        torch.cat([labels for _, labels in batches.training_batches(16, generator=generator)])
        for _ in range(2)
    )
    assert sorted(first.tolist()) == sorted(second.tolist()) == list(range(50))
    assert first.tolist() != second.tolist()


def test_augmentation_uses_every_offset_and_both_sides() -> None:
    one = toy(1)
    image = np.arange(3 * 32 * 32).reshape(1, 3, 32, 32) % 251
    many = replace(
        one, images=np.repeat(image.astype(np.uint8), 2000, axis=0), labels=np.zeros(2000, np.int64)
    )
    (batch, _), *_ = DeviceImages.put(many, CPU).training_batches(
        2000, generator=torch.Generator().manual_seed(0)
    )
    seen = {tuple(picture.flatten()[::37].tolist()) for picture in batch}
    assert len(seen) == 2 * (2 * PADDING + 1) ** 2


def test_plain_batches_are_the_images_in_order() -> None:
    images = toy(7)
    batches = DeviceImages.put(images, CPU)
    x = torch.cat([batch for batch, _ in batches.plain_batches(3)])
    expected = (images.images / 255 - images.mean[0]) / images.std[0]
    np.testing.assert_allclose(x.numpy(), expected, atol=1e-5)


def test_evaluation_counts_each_image_once() -> None:
    images = toy(7)

    class SayUpper(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.tensor([[1.0, 0.0]]).repeat(len(x), 1)

    score = evaluate(SayUpper(), DeviceImages.put(images, CPU))
    ones = int(images.labels.sum())
    assert score.images == 7
    assert score.accuracy == pytest.approx((7 - ones) / 7)
    wrong, right = math.log1p(math.e), math.log1p(math.exp(-1))
    assert score.loss == pytest.approx((ones * wrong + (7 - ones) * right) / 7, rel=1e-6)


@pytest.fixture(scope="module")
def run() -> tuple[TrainConfig, ImageSet, list[Progress], TrainResult]:
    steps: list[Progress] = []
    config = TrainConfig(network="resnet8", recipe="smoke", epochs=4, seed=3, held_out=0.25, device="cpu")
    return config, toy(256), steps, train(config, toy(256), toy(64, seed=1), on_step=steps.append)


def test_training_learns_the_toy_task_and_counts_its_images(run) -> None:  # type: ignore[no-untyped-def]
    _, _, steps, result = run
    assert result.test.accuracy > 0.9
    assert result.epochs[-1].train.loss < result.epochs[0].train.loss
    assert [entry.epoch for entry in result.epochs] == [1, 2, 3, 4]
    first = result.epochs[0]
    assert (result.training_images, first.train.images, first.held_out.images) == (192, 192, 64)
    assert result.test.images == 64
    assert sum(step.images for step in steps) == 4 * 192
    assert result.epochs[-1].learning_rate < 0.1 * RECIPES["smoke"].schedule.peak_learning_rate


@pytest.mark.parametrize("changed", ["nothing", "test set", "validation set"])
def test_seed_and_training_images_alone_decide_the_network(run, changed) -> None:  # type: ignore[no-untyped-def]
    config, images, _, result = run
    before = torch.random.get_rng_state()
    pixels = images.images.copy()
    if changed == "validation set":  # the last images
        pixels[192:] = 255 - pixels[192:]
    test_set = toy(32, seed=9) if changed == "test set" else toy(64, seed=1)
    again = train(config, replace(images, images=pixels), test_set)
    assert torch.equal(torch.random.get_rng_state(), before)
    for key, value in result.network.state_dict().items():
        assert torch.equal(value, again.network.state_dict()[key]), key
    assert (again.test == result.test) == (changed != "test set")
    same = again.epochs[-1].held_out == result.epochs[-1].held_out
    assert same == (changed != "validation set")


def test_a_record_has_what_came_out_and_survives_json(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    config, images, _, result = run
    record = make_record(config, images, result)
    file = tmp_path / "new" / "records.jsonl"
    append_record(file, record)
    append_record(file, record)
    assert list(read_records(file)) == [json.loads(json.dumps(record))] * 2
    shown = ("network", "attention", "slot", "dataset", "recipe", "seed", "epochs", "source")
    wanted = ("resnet8", "simam", "pre_norm", "toy", "smoke", 3, 4, "drawn for a test")
    assert tuple(record[key] for key in shown) == wanted
    assert (record["test_accuracy"], record["minutes"]) == (result.test.accuracy, result.minutes)
    assert len(record["history"]) == 4
    assert record["environment"]["torch"] == torch.__version__


@pytest.mark.parametrize("name", [entry.name for entry in fields(TrainConfig) if entry.name != "device"])
def test_every_field_of_a_run_is_in_record_and_fingerprint(name: str) -> None:
    """A field that is added to the configuration cannot be forgotten there."""
    config = TrainConfig(device="cpu")
    assert name in config.definition(toy(2))
    assert fingerprint(config, toy(2), toy(2), World()).items() >= config.definition(toy(2)).items()


def test_a_record_names_the_commit_of_its_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "src" / "simam_edu"
    source.mkdir(parents=True)
    (source / "__init__.py").write_text("")
    monkeypatch.setattr(record_module.simam_edu, "__file__", str(source / "__init__.py"))
    commit = record_module.commit.__wrapped__
    assert commit() is None  # no repository

    def git(*arguments: str) -> str:
        name = ["-c", "user.name=a", "-c", "user.email=a@b"]
        return subprocess.check_output(["git", *name, *arguments], cwd=tmp_path, text=True).strip()

    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "first")
    head = git("rev-parse", "--short=12", "HEAD")
    assert commit() == head
    (tmp_path / "src" / "beside.txt").write_text("not of the package")
    assert commit() == head
    (source / "__init__.py").write_text("changed = 1")
    assert commit() == head + "+"
    inside = tmp_path / "venv" / "simam_edu"
    inside.mkdir(parents=True)
    monkeypatch.setattr(record_module.simam_edu, "__file__", str(inside / "__init__.py"))
    assert commit() is None  # installed inside the repository of something else


def test_records_are_read_whatever_an_editor_makes_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "records.jsonl"
    file.write_bytes(b'\xef\xbb\xbf{"seed": 0}\r\n\r\n{"seed": 1, "source": "a\xe2\x80\xa8b"}')
    append_record(file, {"seed": 2})
    assert [record["seed"] for record in read_records(file)] == [0, 1, 2]
    file.write_bytes(b"")
    assert list(read_records(file)) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            '{"seed": 0}\n'.encode("utf-16"),
            "must be text in UTF-8, got 'utf-8' codec .*; unpack it, or save it as UTF-8",
        ),
        ('{"source": "Größe"}\n'.encode("latin1"), "must be text in UTF-8, got 'utf-8' codec"),
        (gzip.compress(b'{"seed": 0}\n'), "must be text in UTF-8, got 'utf-8' codec .*; unpack it"),
        (b'{"seed": 0}\n\0\0\0\n', "line 2, must be one JSON record, got '.x00.x00.x00'; delete the line"),
        (b"5\n", "line 1, must be one JSON record, got '5'"),
        (b'{"a": 1}\n{"a": ', "line 2, must be one JSON record"),
    ],
    ids=["utf-16", "latin-1", "gzip", "zeros", "no object", "torn"],
)
def test_a_file_that_is_no_text_of_records_is_told_by_name(
    content: bytes, message: str, tmp_path: Path
) -> None:
    file = tmp_path / "records.jsonl"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=f"records.jsonl.*{message}"):
        list(read_records(file))


def test_writers_at_once_leave_whole_lines(tmp_path: Path) -> None:
    file, long = tmp_path / "records.jsonl", "x" * 100_000  # more than a buffer of Python holds
    threads = [
        threading.Thread(target=lambda k=k: [append_record(file, {"seed": k, "x": long}) for _ in range(4)])
        for k in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(record["seed"] for record in read_records(file)) == sorted([0, 1, 2, 3] * 4)


def test_a_full_disk_leaves_no_part_of_a_record(tmp_path: Path) -> None:
    file = tmp_path / "records.jsonl"
    append_record(file, {"seed": 0})
    before = file.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, hard))
    try:
        with pytest.raises(OSError, match=r"File too large.*records.jsonl"):
            append_record(file, {"seed": 1, "x": "x" * 100_000})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert file.read_bytes() == before


class ZeroOverZero(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x - x) / (x - x)


@pytest.fixture
def odd(tiny: None, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001
    """A learning rate and a module with which nothing stays finite."""
    wild = replace(RECIPES["smoke"], schedule=OneCycle(peak_learning_rate=1e30, warmup=0.2))
    monkeypatch.setitem(RECIPES, "wild", wild)
    monkeypatch.setitem(ATTENTION, "zero over zero", lambda _: ZeroOverZero())


@pytest.mark.usefixtures("odd")
@pytest.mark.parametrize(
    ("change", "of_training", "of_test", "message"),
    [
        ({"recipe": "wild"}, {}, {}, r"at step 2, in epoch 1: .* rate 4e\+28; lower it"),
        ({"attention": "zero over zero"}, {}, {}, "at step 1, in epoch 1: no update was made yet"),
        ({}, {"std": (0.0, 0.2, 0.2)}, {}, "at step 1, in epoch 1: mean and std of the images"),
        ({}, {}, {"mean": (math.nan,) * 3}, "loss over the test images after the last epoch"),
    ],
    ids=["learning rate", "network", "training images", "test images"],
)
def test_a_loss_that_is_not_finite_stops_the_run_and_names_step_and_cause(
    change: dict[str, str], of_training: dict[str, object], of_test: dict[str, object], message: str
) -> None:
    config = TrainConfig(**({"network": "tiny", "recipe": "smoke", "epochs": 1, "device": "cpu"} | change))
    with pytest.raises(FloatingPointError, match=message):
        train(config, replace(toy(200), **of_training), replace(toy(8), **of_test))


@pytest.mark.usefixtures("odd")
def test_a_loss_read_every_few_steps_names_the_first_bad_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a GPU, where it is not read after each step."""
    monkeypatch.setattr(loop, "read_every", lambda _: 5)
    steps: list[Progress] = []
    config = TrainConfig(network="tiny", recipe="wild", epochs=1, held_out=0.0, device="cpu")
    with pytest.raises(FloatingPointError, match="at step 2, in epoch 1"):
        train(config, toy(384), toy(8), on_step=steps.append)
    assert steps == []


@pytest.mark.usefixtures("tiny")
def test_the_loop_is_the_steps_written_out_with_the_schedule_of_torch() -> None:
    config = TrainConfig(network="tiny", recipe="smoke", epochs=3, seed=4, held_out=0.2, device="cpu")
    images = toy(200)
    steps: list[Progress] = []
    result = train(config, images, toy(16, seed=1), on_step=steps.append)

    torch.manual_seed(4)
    network = build("tiny", num_classes=2, attention=attention_factory("simam"))
    network.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.02, momentum=0.9, weight_decay=1e-4, nesterov=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: step / 1.5 * 0.96 + 0.04 if step < 1.5 else (15 - step) / 13.5
    )
    batches = DeviceImages.put(replace(images, images=images.images[:160], labels=images.labels[:160]), CPU)
    generator = torch.Generator().manual_seed(4)
    rates, losses = [], []
    for _ in range(3):
        for x, labels in batches.training_batches(32, generator=generator):
            loss = torch.nn.functional.cross_entropy(network(x), labels)
            optimizer.zero_grad()
            loss.backward()
            rates.append(schedule.get_last_lr()[0])
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
    assert [step.learning_rate for step in steps if step.images] == pytest.approx(rates, rel=1e-12)
    for key, value in result.network.state_dict().items():
        torch.testing.assert_close(value, network.state_dict()[key], rtol=1e-6, atol=1e-7, msg=key)
    assert result.epochs[-1].train.loss == pytest.approx(np.mean(losses[-5:]), rel=1e-6)


def test_the_paper_recipe_drops_where_the_paper_drops() -> None:
    paper = RECIPES["paper"]
    rates = [
        paper.schedule.learning_rate(step, steps=64_124)
        for step in (0, 31_999, 32_000, 47_999, 48_000, 64_123)
    ]
    assert rates == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001, 0.001])
    steps = math.ceil(50_000 / paper.batch_size)
    assert (paper.epochs - 1) * steps < 64_000 <= paper.epochs * steps
    (group,) = paper.optimizer([torch.nn.Parameter(torch.zeros(1))]).param_groups
    assert (group["momentum"], group["weight_decay"], group["nesterov"]) == (0.9, 5e-4, False)


def test_what_is_expected_of_a_recipe_agrees_with_the_records() -> None:
    table = files("simam_edu.results").joinpath("paper_table2.csv").read_text().splitlines()
    (row,) = (row.split(",") for row in table if row.startswith("ResNet-20,CIFAR-10,simam"))
    assert f"{row[3]} %" in RECIPES["paper"].expected
    ours = {"attention": "simam", "slot": "pre_norm", "recipe": "budget", "seed": 0}
    (ten,) = (run for run in recorded("study") if ours.items() <= run.items())
    hours = ten["minutes"] / ten["epochs"] * RECIPES["paper"].epochs / 60
    assert f"about {hours:.0f} hours" in RECIPES["paper"].expected
    assert f"{ten['minutes']:.0f} minutes" in RECIPES["budget"].expected
    hours = ten["minutes"] / RECIPES["budget"].epochs * RECIPES["paper"].epochs / 60
    assert f"{hours:.0f} hours" in RECIPES["paper"].expected
    assert f"{100 * ten['test_accuracy']:.2f} %" in RECIPES["budget"].expected


@pytest.mark.parametrize(("first_weights", "largest"), [("he", 0.3), ("authors", 1 / 12)])
def test_the_first_weights_are_those_that_the_configuration_names(first_weights, largest):
    network = new_network(TrainConfig(network="resnet8", first_weights=first_weights), 10)
    weight = network.stages[0][0].conv2.weight  # 16 channels, 3x3: torch draws within one over twelve
    assert 0.8 * largest < weight.abs().max() < (1 if first_weights == "he" else largest)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"recipe": "fast"}, "recipe must be one of paper, budget, smoke, got 'fast'"),
        ({"slot": "middle"}, "slot must be one of"),
        ({"device": "tpu"}, "device must be one of"),
        ({"epochs": 0}, "epochs must be at least 1"),
        ({"seed": -1}, r"seed must be a whole number in \[0, 2\*\*64\), got -1"),
        ({"seed": 2**64}, "seed must be a whole number in"),
        ({"seed": 1.5}, "seed must be a whole number in .* got 1.5"),
        ({"first_weights": "torch"}, "first_weights must be one of he, authors, got 'torch'"),
        ({"held_out": 1.0}, r"held_out must be in \[0, 1\)"),
        ({"held_out": -0.1}, r"held_out must be in \[0, 1\)"),
    ],
)
def test_bad_configuration_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrainConfig(**change)  # type: ignore[arg-type]


def test_held_out_must_leave_an_image() -> None:
    with pytest.raises(ValueError, match="leave at least one image"):
        train(TrainConfig(held_out=0.9, device="cpu"), toy(2), toy(2))


def test_freed_memory_is_kept_where_the_c_library_can() -> None:
    code = """
import resource, sys, torch
from simam_edu.training.distributed import keep_freed_memory
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(4):
        torch.zeros(2**22).add_(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
torch.set_num_threads(1)
usual = faults()
if not keep_freed_memory():
    sys.exit("no mallopt")
faults()
print(usual, faults())
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    if run.stderr == "no mallopt\n":
        pytest.skip("this C library has no mallopt")
    usual, kept = map(int, run.stdout.split())
    assert usual > 4 * 2**24 / 2**16, "16 MB come as fresh pages, of 64 KB at most, each time"
    assert kept < usual / 100


@pytest.mark.parametrize("library", [lambda _: object(), lambda name: name + ""], ids=["none", "Windows"])
def test_freed_memory_is_not_kept_where_nothing_can(library, monkeypatch) -> None:
    """Without mallopt, or as on Windows, whose loader refuses None with a TypeError."""
    monkeypatch.setattr(distributed.ctypes, "CDLL", library)
    assert keep_freed_memory() is False


def test_device_and_precision() -> None:
    assert World().device("cpu") == CPU
    assert choose_precision(CPU) == torch.float32
    for name in ("cuda", "mps"):
        if World().device("auto").type != name:
            with pytest.raises(ValueError, match=f"got '{name}'"):
                World().device(name)  # type: ignore[arg-type]


def test_records_of_the_book_are_installed_with_the_package() -> None:
    runs = recorded("resnet20_cifar10")
    assert {run["attention"] for run in runs} == {"none", "simam"}
    with pytest.raises(ValueError, match=r"name must be one of .*resnet20_cifar10"):
        recorded("resnet21")
