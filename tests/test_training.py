"""Batches, loop and records on a task small enough for a test."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from simam_edu.datasets import ImageSet
from simam_edu.training import (
    RECIPES,
    DeviceImages,
    Progress,
    TrainConfig,
    append_record,
    make_record,
    read_records,
    recorded,
    train,
)
from simam_edu.training.batches import PADDING
from simam_edu.training.device import choose_device, choose_precision
from simam_edu.training.loop import evaluate

CPU = torch.device("cpu")


def toy(n: int, seed: int = 0) -> ImageSet:
    """Two classes, told apart by which half of the image is bright, the upper or the lower."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    images = rng.integers(0, 100, (n, 3, 32, 32), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[:, 16 * label : 16 * label + 16] += 120
    return ImageSet(
        name="toy", split="train", images=images, labels=labels, classes=("upper", "lower"),
        mean=(0.43, 0.43, 0.43), std=(0.26, 0.26, 0.26), source="drawn for a test", masks=None,
    )  # fmt: skip


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
def run() -> tuple[TrainConfig, ImageSet, list[Progress], object]:
    steps: list[Progress] = []
    config = TrainConfig(recipe="smoke", epochs=4, seed=3, held_out=0.25, device="cpu")
    return config, toy(256), steps, train(config, toy(256), toy(64, seed=1), on_step=steps.append)


def test_training_learns_the_toy_task(run) -> None:  # type: ignore[no-untyped-def]
    _, _, steps, result = run
    assert result.test.accuracy > 0.9
    assert result.epochs[-1].train.loss < result.epochs[0].train.loss
    assert [entry.epoch for entry in result.epochs] == [1, 2, 3, 4]
    assert result.training_images == 192
    assert result.epochs[0].train.images == 192
    assert result.epochs[0].held_out.images == 64
    assert result.test.images == 64
    assert sum(step.images for step in steps) == 4 * 192
    assert result.epochs[-1].learning_rate < 0.1 * RECIPES["smoke"].peak_learning_rate


def test_the_same_seed_gives_the_same_run_and_leaves_the_global_state(run) -> None:  # type: ignore[no-untyped-def]
    config, images, _, result = run
    before = torch.random.get_rng_state()
    again = train(config, images, toy(64, seed=1))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert again.test == result.test
    for key, value in result.network.state_dict().items():
        assert torch.equal(value, again.network.state_dict()[key]), key


def test_nothing_of_the_test_set_reaches_the_network(run) -> None:  # type: ignore[no-untyped-def]
    config, images, _, result = run
    other = train(config, images, toy(32, seed=9))
    for key, value in result.network.state_dict().items():
        assert torch.equal(value, other.network.state_dict()[key]), key


def test_held_out_images_are_the_last_and_are_not_learned_from(run) -> None:  # type: ignore[no-untyped-def]
    config, images, _, result = run
    changed = images.images.copy()
    changed[192:] = 255 - changed[192:]
    other = train(config, replace(images, images=changed), toy(64, seed=1))
    assert other.test == result.test
    assert other.epochs[-1].held_out != result.epochs[-1].held_out


def test_record_has_every_promised_key_and_survives_json(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    config, images, _, result = run
    record = make_record(config, images, result)
    file = tmp_path / "new" / "records.jsonl"
    append_record(file, record)
    append_record(file, record)
    assert list(read_records(file)) == [json.loads(json.dumps(record))] * 2
    promised = (
        "network", "attention", "slot", "dataset", "recipe", "seed", "epochs", "test_accuracy", "minutes",
        "source",
    )  # fmt: skip
    assert set(promised) <= set(record)
    assert record["source"] == "drawn for a test"
    assert record["test_accuracy"] == result.test.accuracy
    assert len(record["history"]) == 4
    assert record["environment"]["torch"] == torch.__version__


def test_a_torn_record_file_is_told(tmp_path: Path) -> None:
    file = tmp_path / "records.jsonl"
    file.write_text('{"a": 1}\n{"a": ')
    with pytest.raises(ValueError, match="line 2, must be one JSON record"):
        list(read_records(file))


def test_loss_that_is_not_finite_stops_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    wild = replace(RECIPES["budget"], peak_learning_rate=1e30)
    monkeypatch.setitem(RECIPES, "wild", wild)
    with pytest.raises(FloatingPointError, match="in epoch 1; lower the learning rate"):
        train(TrainConfig(recipe="wild", epochs=1, held_out=0.0, device="cpu"), toy(384), toy(8))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"recipe": "fast"}, "recipe must be one of budget, smoke, got 'fast'"),
        ({"slot": "middle"}, "slot must be one of"),
        ({"device": "tpu"}, "device must be one of"),
        ({"epochs": 0}, "epochs must be at least 1"),
        ({"seed": -1}, "seed must be at least 0"),
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


def test_device_and_precision() -> None:
    assert choose_device("cpu") == CPU
    assert choose_precision(CPU) == torch.float32
    for name in ("cuda", "mps"):
        if choose_device("auto").type != name:
            with pytest.raises(ValueError, match=f"got '{name}'"):
                choose_device(name)  # type: ignore[arg-type]


def test_records_of_the_book_are_installed_with_the_package() -> None:
    runs = recorded("resnet20_cifar10")
    assert {run["attention"] for run in runs} == {"none", "simam"}
    with pytest.raises(ValueError, match=r"name must be one of .*resnet20_cifar10"):
        recorded("resnet21")
