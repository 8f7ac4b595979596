"""A run that is stopped anywhere ends as one that is not, and a damaged checkpoint is never used."""

import contextlib
import json
import os
import pickle
import resource
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from simam_edu.datasets import ImageSet
from simam_edu.networks import NETWORKS
from simam_edu.training import Progress, TrainConfig, TrainResult, finish, make_record, train
from simam_edu.training import folder as folder_module
from simam_edu.training.checkpoint import (
    newest_checkpoint,
    save_checkpoint,
    write_atomically,
)
from simam_edu.training.distributed import World
from simam_edu.training.folder import fingerprint
from toys import Tiny, same, toy

TRAIN, TEST = toy(100), toy(20, seed=1)
STEPS = 9  # three epochs of three batches, the last of which is not full
CONFIG = TrainConfig(network="tiny", recipe="smoke", epochs=3, seed=2, held_out=0.2, device="cpu")


@pytest.fixture(autouse=True)
def often(tiny: None, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001
    monkeypatch.setattr(folder_module, "CHECKPOINT_SECONDS", 0.0)  # one after each step
    monkeypatch.setattr(os, "fsync", lambda _: None)  # no machine stops here, and a disk takes its time


@pytest.fixture(scope="module")
def whole() -> TrainResult:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(NETWORKS, "tiny", Tiny)
        return train(CONFIG, TRAIN, TEST)


class Stopped(Exception):
    """What stops a run in these tests."""


def stop_after(reports: int) -> Callable[[Progress], None]:
    """Return an ``on_step`` that stops the run at a report."""
    left: Iterator[int] = iter(range(reports - 1))

    def on_step(_: Progress) -> None:
        if next(left, None) is None:
            raise Stopped

    return on_step


def stopped(folder: Path, reports: int, start: Callable[..., object] = train) -> None:
    with pytest.raises(Stopped):
        start(CONFIG, TRAIN, TEST, folder=folder, on_step=stop_after(reports))


def checkpoints(folder: Path) -> list[Path]:
    return sorted(folder.glob("checkpoint-*.pt"))


@pytest.mark.parametrize("seconds", [0.0, 1e9], ids=["after each step", "after each epoch"])
def test_a_run_stopped_at_any_step_ends_as_one_that_was_not(
    seconds: float, whole: TrainResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_module, "CHECKPOINT_SECONDS", seconds)
    for reports in range(1, STEPS + 4):  # each epoch reports once more, after its held-out images
        folder = tmp_path / str(reports)
        stopped(folder, reports)
        same(train(CONFIG, TRAIN, TEST, folder=folder), whole)


def test_a_run_stopped_again_and_again_ends_and_tells_how_far_it_is(
    whole: TrainResult, tmp_path: Path
) -> None:
    seen, result = [], None
    while result is None:
        stop = stop_after(3)
        with contextlib.suppress(Stopped):
            result = train(
                CONFIG, TRAIN, TEST, folder=tmp_path,
                on_step=lambda progress, stop=stop: (seen.append(progress), stop(progress)),
            )  # fmt: skip
        assert len(seen) < 100, "it must come to its end"
    same(result, whole)
    assert seen[-1].seen == 3 * 80
    assert [len(progress.history) for progress in seen] == sorted(len(p.history) for p in seen)
    assert all(progress.images in (0, 16, 32) for progress in seen)


def test_minutes_add_up_over_the_parts(tmp_path: Path) -> None:
    stopped(tmp_path, 6)
    _, content = newest_checkpoint(tmp_path)
    before = content["state"]
    result = train(CONFIG, TRAIN, TEST, folder=tmp_path)
    assert result.epochs[1].seconds > before["epoch_seconds"] > 0
    assert sum(epoch.seconds for epoch in result.epochs) <= 60 * result.minutes


def test_two_checkpoints_are_kept_and_nothing_unfinished(tmp_path: Path) -> None:
    (tmp_path / "config.json.1.tmp").write_text("what a crash left")
    train(CONFIG, TRAIN, TEST, folder=tmp_path)
    steps = [int(path.name.split("-")[1]) for path in checkpoints(tmp_path)]
    assert steps == [STEPS - 1, STEPS]
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty"])
@pytest.mark.parametrize("which", ["newest", "all"])
def test_a_damaged_checkpoint_is_told_and_not_used(
    damage: str, which: str, whole: TrainResult, tmp_path: Path
) -> None:
    stopped(tmp_path, 6)
    damaged = checkpoints(tmp_path)[-1:] if which == "newest" else checkpoints(tmp_path)
    for path in damaged:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes({"cut": content[:-100], "flipped": content, "empty": b""}[damage])
    first = []
    with pytest.warns(UserWarning, match="damaged") as told:
        result = train(CONFIG, TRAIN, TEST, folder=tmp_path, on_step=first.append)
    assert sorted(str(warning.message) for warning in told) == [
        f"{path} is damaged and is not used" for path in damaged
    ]
    assert first[0].seen == (32 if which == "all" else 80 + 32)  # at the beginning, or a step back
    same(result, whole)
    assert newest_checkpoint(tmp_path) is not None


def test_the_checkpoint_before_a_damaged_one_outlives_the_next(tmp_path: Path) -> None:
    first = save_checkpoint(tmp_path, {"step": 1}, step=1, keep=None)
    save_checkpoint(tmp_path, {"step": 2}, step=2, keep=first).write_bytes(b"torn")
    with pytest.warns(UserWarning, match="damaged"):
        found, _ = newest_checkpoint(tmp_path)
    assert found == first
    third = save_checkpoint(tmp_path, {"step": 3}, step=3, keep=found)
    assert checkpoints(tmp_path) == sorted([first, third])


@pytest.mark.parametrize(
    ("change", "train_set", "test_set", "message"),
    [
        ({"seed": 3}, TRAIN, TEST, "seed is 2 there and 3 here"),
        ({"epochs": 4}, TRAIN, TEST, "epochs is 3 there and 4 here"),
        ({"attention_options": {"lam": 0.1}}, TRAIN, TEST, "options is {} there and {'lam': 0.1} here"),
        ({"recipe": "budget"}, TRAIN, TEST, "recipe is 'smoke' there and 'budget' here; recipe_values"),
        ({}, toy(100, seed=5), TEST, r"training_images_checksum is '\w+' there and '\w+' here"),
        ({}, TRAIN, toy(20, seed=5), r"test_images_checksum is '\w+' there and '\w+' here"),
    ],
)
def test_the_folder_of_another_run_is_refused(
    change: dict[str, object], train_set: ImageSet, test_set: ImageSet, message: str, tmp_path: Path
) -> None:
    train(CONFIG, TRAIN, TEST, folder=tmp_path)
    before = checkpoints(tmp_path)
    for start in (train, finish):
        with pytest.raises(ValueError, match=rf"config.json must .*{message}.*; use another folder"):
            start(TrainConfig(**{**vars(CONFIG), **change}), train_set, test_set, folder=tmp_path)
    assert checkpoints(tmp_path) == before


def test_the_checkpoint_of_another_run_is_refused_without_its_folder(tmp_path: Path) -> None:
    train(TrainConfig(**{**vars(CONFIG), "seed": 7}), TRAIN, TEST, folder=tmp_path / "other")
    (tmp_path / "mine").mkdir()
    for path in checkpoints(tmp_path / "other"):
        shutil.copy(path, tmp_path / "mine")
    with pytest.raises(ValueError, match=r"checkpoint-.*seed is 7 there and 2 here"):
        train(CONFIG, TRAIN, TEST, folder=tmp_path / "mine")


class Harmful:
    """What runs a command when it is unpickled without care."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.file),)


@pytest.mark.parametrize("make", [pickle.dumps, lambda _: b"no checkpoint"], ids=["harmful", "text"])
def test_nothing_in_a_foreign_checkpoint_is_executed(
    make: Callable[[object], bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = make(Harmful(tmp_path / "executed"))
    buffer_of_torch = type("Buffer", (), {"getvalue": lambda _: content})
    with monkeypatch.context() as patch:
        patch.setattr("simam_edu.training.checkpoint.torch.save", lambda *_: None)
        patch.setattr("simam_edu.training.checkpoint.io.BytesIO", buffer_of_torch)
        save_checkpoint(tmp_path, {}, step=1, keep=None)  # with the name of one that is whole
    with pytest.raises(ValueError, match=r"checkpoint-00000001-\w+\.pt must be a checkpoint of this package"):
        train(CONFIG, TRAIN, TEST, folder=tmp_path)
    assert not (tmp_path / "executed").exists()


def test_a_full_disk_stops_the_run_and_it_goes_on_when_there_is_room(
    whole: TrainResult, tmp_path: Path
) -> None:
    """The system refuses to write past a size, in the middle of a file, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    kept = []

    def fill_the_disk(progress: Progress) -> None:
        if progress.seen == 80 + 32:
            kept.extend(checkpoints(tmp_path))
            resource.setrlimit(resource.RLIMIT_FSIZE, (3000, hard))

    try:
        with pytest.raises(OSError, match="File too large"):
            train(CONFIG, TRAIN, TEST, folder=tmp_path, on_step=fill_the_disk)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert kept
    assert sorted(tmp_path.iterdir()) == sorted([*kept, tmp_path / "config.json"])
    same(train(CONFIG, TRAIN, TEST, folder=tmp_path), whole)


def test_a_file_keeps_its_old_content_until_the_new_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> None:
        raise OSError("no space left")

    write_atomically(tmp_path / "file", b"old")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", crash)
        with pytest.raises(OSError, match="no space left"):
            write_atomically(tmp_path / "file", b"new")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]
    write_atomically(tmp_path / "file", b"new")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"new"]


def test_content_reaches_the_disk_before_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda file: (calls.append("fsync"), fsync(file)))
    monkeypatch.setattr(Path, "replace", lambda *paths: (calls.append("replace"), replace(*paths)))
    write_atomically(tmp_path / "file", b"content")
    assert calls == ["fsync", "replace", "fsync"]


def test_a_finished_run_leaves_its_record_and_is_not_run_again(
    whole: TrainResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = finish(CONFIG, TRAIN, TEST, folder=tmp_path)
    assert json.loads((tmp_path / "record.json").read_text()) == record
    assert len((tmp_path / "record.json").read_text().splitlines()) == 1
    wanted = json.loads(json.dumps(make_record(CONFIG, TRAIN, whole)))
    assert record.keys() == wanted.keys()
    for key in record.keys() - {"minutes", "finished", "history"}:
        assert record[key] == wanted[key], key
    config = json.loads((tmp_path / "config.json").read_text())
    shared = config.keys() & record.keys()
    assert {"network", "attention", "slot", "recipe_values", "seed", "epochs", "processes"} <= shared
    assert {key: config[key] for key in shared} == {key: record[key] for key in shared}

    monkeypatch.setattr("simam_edu.training.loop.train", lambda *_, **__: pytest.fail("it ran again"))
    assert finish(CONFIG, TRAIN, TEST, folder=tmp_path) == record


def test_a_run_stopped_before_its_record_is_written_leaves_none(tmp_path: Path) -> None:
    stopped(tmp_path, STEPS + 3, finish)
    assert not (tmp_path / "record.json").exists()
    finish(CONFIG, TRAIN, TEST, folder=tmp_path)
    assert (tmp_path / "record.json").exists()


def test_no_checkpoint_holds_what_is_not_finite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Breaks(Tiny):
        """Gives a loss that is not finite from its sixth batch on."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            steps = int(self.body[1].num_batches_tracked)
            return super().forward(x) * (torch.nan if self.training and steps >= 6 else 1.0)

    monkeypatch.setitem(NETWORKS, "tiny", Breaks)
    for _ in range(2):  # once more from the checkpoint: the same step, not a later one
        with pytest.raises(FloatingPointError, match="got nan at step 7, in epoch 3"):
            train(CONFIG, TRAIN, TEST, folder=tmp_path)
    for path in checkpoints(tmp_path):
        network = torch.load(path, weights_only=True)["state"]["network"]
        assert all(value.isfinite().all() for value in network.values())


def test_the_fingerprint_has_what_json_keeps() -> None:
    found = fingerprint(CONFIG, TRAIN, TEST, World())
    assert json.loads(json.dumps(found)) == found


@pytest.mark.parametrize("start", [train, finish])
def test_images_are_hashed_once_a_run(
    start: Callable[..., object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed, digest = [], folder_module._digest
    monkeypatch.setattr(folder_module, "_digest", lambda images: (hashed.append(images), digest(images))[1])
    start(CONFIG, TRAIN, TEST, folder=tmp_path)
    assert [id(images) for images in hashed] == [id(TRAIN), id(TEST)]
