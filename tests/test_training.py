"""Batches, loop and records on a task small enough for a test."""

import contextlib
import gzip
import json
import math
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from simam_edu.attention import ATTENTION, attention_factory
from simam_edu.networks import build
from simam_edu.training import (
    RECIPES,
    DeviceImages,
    OneCycle,
    TrainConfig,
    append_record,
    distributed,
    loop,
    make_record,
    read_records,
    recorded,
    train,
)
from simam_edu.training import record as record_module
from simam_edu.training.card import one_launch
from simam_edu.training.data import PADDING
from simam_edu.training.distributed import World, keep_freed_memory
from simam_edu.training.folder import fingerprint
from simam_edu.training.metrics import evaluate
from toys import CONFIG, full_disk, toy

CPU = torch.device("cpu")


def test_a_batch_is_padded_cropped_mirrored_and_normalized():
    images = toy(5)
    draw = torch.tensor([[3, 0, 4], [0, 4, 8], [8, 4, 1], [1, 0, 1]])
    found, labels = DeviceImages.put(images, CPU).batch(draw)
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert labels.tolist() == images.labels[[3, 0, 4]].tolist()
    for image, (k, top, left, flip) in zip(found, draw.T.tolist(), strict=True):
        padded = np.pad(images.images[k], ((0, 0), (PADDING, PADDING), (PADDING, PADDING)))
        window = padded[:, top : top + 32, left : left + 32]
        wanted = (window[:, :, ::-1] if flip else window) / 255
        wanted = (wanted - images.mean[0]) / images.std[0]
        np.testing.assert_allclose(image.numpy(), wanted, atol=1e-5)


def test_an_epoch_gives_each_image_once_and_in_another_order():
    batches = DeviceImages.put(replace(toy(50), labels=np.arange(50)), CPU)
    generator = torch.Generator().manual_seed(0)
    first, second = (
        torch.cat([labels for _, labels in batches.training_batches(16, generator=generator)])
        for _ in range(2)
    )
    assert sorted(first.tolist()) == sorted(second.tolist()) == list(range(50))
    assert first.tolist() != second.tolist()


def test_augmentation_uses_every_offset_and_both_sides():
    images = DeviceImages.put(toy(2000), CPU)
    (draw,) = images.draws(2000, generator=torch.Generator().manual_seed(0))
    assert len({tuple(cut) for cut in draw[1:].T.tolist()}) == 2 * (2 * PADDING + 1) ** 2


def test_plain_batches_are_the_images_in_order_and_evaluation_counts_each_once(monkeypatch):
    images = toy(7)
    batches = DeviceImages.put(images, CPU)
    x = torch.cat([batch for batch, _ in batches.plain_batches(3)])
    wanted = (images.images / 255 - images.mean[0]) / images.std[0]
    np.testing.assert_allclose(x.numpy(), wanted, atol=1e-5)

    class SayUpper(torch.nn.Module):
        def forward(self, x):
            return torch.tensor([[1.0, 0.0]]).repeat(len(x), 1)

    monkeypatch.setattr("simam_edu.training.metrics.EVALUATION_BATCH", 3)  # so that there are several
    found, ones = evaluate(SayUpper(), batches), int(images.labels.sum())
    assert (found.images, found.accuracy) == (7, (7 - ones) / 7)
    wrong, right = math.log1p(math.e), math.log1p(math.exp(-1))
    assert found.loss == pytest.approx((ones * wrong + (7 - ones) * right) / 7, rel=1e-6)


LONG = TrainConfig(network="resnet8", recipe="smoke", epochs=4, seed=3, held_out=0.25, device="cpu")


@pytest.fixture(scope="module")
def run():
    steps = []
    return toy(256), steps, train(LONG, toy(256), toy(64, seed=1), on_step=steps.append)


def test_training_learns_the_toy_task_and_its_record_has_what_came_out(run, tmp_path):
    images, steps, result = run
    first, *_, last = result.epochs
    assert result.test.accuracy > 0.9
    assert last.train.loss < first.train.loss
    assert [entry.epoch for entry in result.epochs] == [1, 2, 3, 4]
    counts = result.training_images, first.train.images, first.held_out.images
    assert (*counts, sum(step.images for step in steps)) == (192, 192, 64, 4 * 192)
    assert last.learning_rate < 0.1 * RECIPES["smoke"].schedule.peak_learning_rate

    record = make_record(LONG, images, result)
    wanted = {
        "network": "resnet8", "attention": "simam", "slot": "pre_norm", "dataset": "toy",
        "recipe": "smoke", "seed": 3, "epochs": 4, "source": "drawn for a test",
        "test_accuracy": result.test.accuracy, "test_loss": result.test.loss, "test_images": 64,
        "minutes": result.minutes, "precision": "float32", "processes": 1,
    }  # fmt: skip
    assert record.items() >= wanted.items()
    assert (len(record["history"]), record["environment"]["torch"]) == (4, torch.__version__)
    file = tmp_path / "new" / "records.jsonl"
    append_record(file, record)
    append_record(file, record)
    assert list(read_records(file)) == [json.loads(json.dumps(record))] * 2


@pytest.mark.parametrize("changed", ["test set", "validation set"])
def test_seed_and_training_images_alone_decide_the_network(run, changed):
    images, _, result = run
    before = torch.random.get_rng_state()
    pixels = images.images.copy()
    if changed == "validation set":  # the last images
        pixels[192:] = 255 - pixels[192:]
    test_set = toy(32, seed=9) if changed == "test set" else toy(64, seed=1)
    again = train(LONG, replace(images, images=pixels), test_set)
    assert torch.equal(torch.random.get_rng_state(), before)
    for key, value in result.network.state_dict().items():
        assert torch.equal(value, again.network.state_dict()[key]), key
    assert (again.test == result.test) == (changed != "test set")
    same = again.epochs[-1].held_out == result.epochs[-1].held_out
    assert same == (changed != "validation set")


def test_every_field_of_a_run_is_in_record_and_fingerprint():
    """A field that is added to the configuration cannot be forgotten there."""
    definition = CONFIG.definition(toy(2))
    found = fingerprint(CONFIG, toy(2), toy(2), World())
    assert {entry.name for entry in fields(TrainConfig)} - {"device"} <= definition.keys()
    assert found.items() >= definition.items()
    assert json.loads(json.dumps(found)) == found


def test_a_record_names_the_commit_of_its_source(tmp_path, monkeypatch):
    source, inside = (tmp_path / place / "simam_edu/__init__.py" for place in ("src", "venv"))
    commit = record_module.commit.__wrapped__
    for file in (source, inside):
        file.parent.mkdir(parents=True)
        file.write_text("")
    monkeypatch.setattr(record_module.simam_edu, "__file__", str(source))
    assert commit() is None, "no repository"
    person = ("-c", "user.name=a", "-c", "user.email=a@b")
    for command in (["init"], ["add", "src"], [*person, "commit", "-m", "first"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True, capture_output=True)
    (tmp_path / "src" / "beside.txt").write_text("not of the package")
    head = commit()
    assert re.fullmatch("[0-9a-f]{12}", head)
    source.write_text("changed = 1")
    assert commit() == head + "+"
    monkeypatch.setattr(record_module.simam_edu, "__file__", str(inside))
    assert commit() is None, "installed inside the repository of something else"


def test_records_are_read_whatever_an_editor_makes_of_the_file(tmp_path):
    file = tmp_path / "records.jsonl"
    file.write_bytes(b'\xef\xbb\xbf{"seed": 0}\r\n\r\n{"seed": 1, "source": "a\xe2\x80\xa8b"}')
    append_record(file, {"seed": 2})
    assert [record["seed"] for record in read_records(file)] == [0, 1, 2]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ('{"source": "Größe"}\n'.encode("latin1"), 0),
        (gzip.compress(b'{"seed": 0}\n'), 0),
        (b"5\n", 1),
        (b'{"a": 1}\n{"a": ', 2),
    ],
    ids=["latin-1", "gzip", "no object", "torn"],
)
def test_a_file_that_is_no_text_of_records_is_told_with_the_line(content, line, tmp_path):
    file = tmp_path / "records.jsonl"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=rf"records.jsonl must have .* JSON .*; line {line}:"):
        list(read_records(file))


def test_writers_at_once_and_a_full_disk_leave_whole_lines(tmp_path):
    file, long = tmp_path / "records.jsonl", "x" * 100_000  # more than a buffer of Python holds
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda k: append_record(file, {"seed": k % 4, "x": long}), range(16)))
    assert sorted(record["seed"] for record in read_records(file)) == sorted([0, 1, 2, 3] * 4)
    short = tmp_path / "short.jsonl"  # the disk becomes full in the middle of a line
    append_record(short, {"seed": 0})
    before = file.read_bytes(), short.read_bytes()
    with full_disk() as fill:
        fill()
        for path, x in ((file, long), (short, "x" * 5000)):
            with pytest.raises(OSError, match=f"File too large.*{path.name}"):
                append_record(path, {"seed": 1, "x": x})
    assert (file.read_bytes(), short.read_bytes()) == before


class ZeroOverZero(torch.nn.Module):
    def forward(self, x):
        return (x - x) / (x - x)


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize(
    ("change", "test_set", "every", "message"),
    [
        ({"recipe": "wild"}, {}, 1, "loss of step 2 must be finite"),
        ({"recipe": "wild"}, {}, 5, "loss of step 2 must be finite"),
        ({"attention": "zero over zero"}, {}, 1, "loss of step 1 must be finite"),
        ({}, {"mean": (math.nan,) * 3}, 1, "loss of evaluation batch 1 must be finite"),
    ],
    ids=["learning rate", "read every few steps", "network", "test images"],
)
def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_first_such_step(
    change, test_set, every, message, monkeypatch
):
    wild = OneCycle(peak_learning_rate=1e30, warmup=0.2)
    monkeypatch.setitem(RECIPES, "wild", replace(RECIPES["smoke"], schedule=wild))
    monkeypatch.setitem(ATTENTION, "zero over zero", lambda _: ZeroOverZero())
    monkeypatch.setitem(loop.READ_EVERY, "cpu", every)  # 5: as on a GPU
    steps = []
    config = replace(CONFIG, **({"epochs": 1, "held_out": 0.0} | change))
    with pytest.raises(FloatingPointError, match=message):
        train(config, toy(200), replace(toy(8), **test_set), on_step=steps.append)
    assert all(math.isfinite(step.metrics.loss) for step in steps)


@pytest.mark.usefixtures("tiny")
def test_the_loop_is_the_steps_written_out_with_the_schedule_of_torch():
    images, steps = toy(200), []
    result = train(replace(CONFIG, seed=4), images, toy(16, seed=1), on_step=steps.append)

    torch.manual_seed(4)
    network = build("tiny", num_classes=2, attention=attention_factory("simam"))
    network.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.02, momentum=0.9, weight_decay=1e-4, nesterov=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: step / 1.5 * 0.96 + 0.04 if step < 1.5 else (15 - step) / 13.5
    )
    learned = replace(images, images=images.images[:160], labels=images.labels[:160])
    batches = DeviceImages.put(learned, CPU)
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
    found = [step.learning_rate for step in steps if step.images]
    assert found == pytest.approx(rates, rel=1e-12)
    for key, value in result.network.state_dict().items():
        wanted = network.state_dict()[key]
        torch.testing.assert_close(value, wanted, rtol=1e-6, atol=1e-7, msg=key)
    assert result.epochs[-1].train.loss == pytest.approx(np.mean(losses[-5:]), rel=1e-6)


def test_the_paper_recipe_drops_where_the_paper_drops():
    paper, steps = RECIPES["paper"], [0, 31_999, 32_000, 47_999, 48_000, 64_123]
    rates = [paper.schedule.learning_rate(step, steps=64_124) for step in steps]
    assert rates == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001, 0.001])
    per_epoch = math.ceil(50_000 / paper.batch_size)
    assert (paper.epochs - 1) * per_epoch < 64_000 <= paper.epochs * per_epoch
    (group,) = paper.optimizer([torch.nn.Parameter(torch.zeros(1))]).param_groups
    assert (group["momentum"], group["weight_decay"], group["nesterov"]) == (0.9, 5e-4, False)


@pytest.mark.parametrize(("first_weights", "largest"), [("he", 0.3), ("authors", 1 / 12)])
def test_the_first_weights_are_those_that_the_configuration_names(first_weights, largest):
    network = loop.new_network(replace(LONG, first_weights=first_weights), 10)
    weight = network.stages[0][0].conv2.weight  # torch draws within one over twelve here
    assert 0.8 * largest < weight.abs().max() < (1 if first_weights == "he" else largest)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("recipe", "fast"), ("slot", "middle"), ("device", "tpu"), ("epochs", 0), ("seed", -1),
        ("seed", 2**64), ("seed", 1.5), ("first_weights", "torch"), ("held_out", 1.0),
        ("held_out", -0.1), ("held_out", 0.9),
    ],
)  # fmt: skip
def test_a_bad_configuration_is_refused(field, value):
    with pytest.raises(ValueError, match=f"{field} must .*{value}"):
        train(TrainConfig(**({"device": "cpu"} | {field: value})), toy(2), toy(2))


def test_freed_memory_is_kept_where_the_c_library_can():
    code = """
import resource, torch
from simam_edu.training.distributed import keep_freed_memory
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(4):
        torch.zeros(2**22).add_(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
torch.set_num_threads(1)
usual, can = faults(), keep_freed_memory()
faults()
print(usual, faults(), int(can))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    usual, kept, can = map(int, run.stdout.split())
    if not can:
        pytest.skip("this C library has no mallopt")
    assert usual > 4 * 2**24 / 2**16, "16 MB come as fresh pages, of 64 KB at most, each time"
    assert kept < usual / 100


@pytest.mark.parametrize("library", [lambda _: object(), lambda name: name + ""])
def test_freed_memory_is_not_kept_without_mallopt_or_as_on_windows(library, monkeypatch):
    monkeypatch.setattr(distributed.ctypes, "CDLL", library)
    assert keep_freed_memory() is False


def test_records_of_the_book_are_installed_with_the_package():
    assert {run["attention"] for run in recorded("resnet20_cifar10")} == {"none", "simam"}
    with pytest.raises(ValueError, match=r"name must be one of .*resnet20_cifar10"):
        recorded("resnet21")


def test_a_step_of_one_launch_is_recorded_once_for_the_usual_shape(monkeypatch):
    """With a stand-in for CUDA's graphs, which does again to the same tensors what it saw."""
    seen, eager = {}, []

    def step(draw, weight):
        out = draw.sum() * weight
        if seen.get("recording"):
            seen.update(draw=draw, weight=weight, out=out)
        else:
            eager.append(len(draw))
        return out

    @contextlib.contextmanager
    def recording(*_, **__):
        seen["recording"] = seen["recorded"] = seen.get("recorded", 0) + 1
        yield
        del seen["recording"]

    class Graph:
        def replay(self):
            seen["out"].copy_(seen["draw"].sum() * seen["weight"])

    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", recording)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: None)
    sizes = [3, 8, 8, 8, 8, 8, 3, 8, 8]  # a run that goes on shortly before the end of an epoch
    draws = [torch.arange(float(size)) + k for k, size in enumerate(sizes)]
    launch = one_launch(step)
    found = [launch(draw, 0.5) for draw in draws]
    assert torch.equal(torch.stack(found), torch.stack([draw.sum() / 2 for draw in draws]))
    assert (eager, seen["recorded"]) == ([3, 8, 8, 8, 3], 1)
