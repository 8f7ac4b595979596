"""A run that is stopped anywhere ends as one that is not, and a damaged checkpoint is never used."""

import contextlib
import json
import os
import pickle
from dataclasses import replace

import pytest
import torch
from filelock import FileLock

from simam_edu.networks import NETWORKS
from simam_edu.training import finish, make_record, train
from simam_edu.training import folder as folder_module
from simam_edu.training.checkpoint import newest_checkpoint, save_checkpoint, write_atomically
from simam_edu.training.folder import recorded_threads
from toys import CONFIG, TEST, TRAIN, Tiny, full_disk, same, toy

STEPS = 9


@pytest.fixture(autouse=True)
def often(tiny, monkeypatch):  # noqa: ARG001
    monkeypatch.setattr(folder_module, "CHECKPOINT_SECONDS", 0.0)  # one after each step
    monkeypatch.setattr(os, "fsync", lambda _: None)  # no machine stops here


class Stopped(Exception):
    """What stops a run in these tests."""


def stop_after(reports, seen=None):
    """Return an ``on_step`` that stops the run at a report, and collects them."""
    seen = [] if seen is None else seen
    last = len(seen) + reports

    def on_step(progress):
        seen.append(progress)
        if len(seen) == last:
            raise Stopped

    return on_step


def stopped(folder, reports, start=train):
    with pytest.raises(Stopped):
        start(CONFIG, TRAIN, TEST, folder=folder, on_step=stop_after(reports))


def checkpoints(folder):
    return sorted(folder.glob("checkpoint-*.pt"))


@pytest.mark.parametrize("seconds", [0.0, 1e9], ids=["after each step", "after each epoch"])
def test_a_run_stopped_at_any_step_ends_as_one_that_was_not(seconds, whole, tmp_path, monkeypatch):
    monkeypatch.setattr(folder_module, "CHECKPOINT_SECONDS", seconds)
    for reports in range(1, STEPS + 4):  # each epoch reports once more, after its validation
        folder = tmp_path / str(reports)
        stopped(folder, reports)
        same(train(CONFIG, TRAIN, TEST, folder=folder), whole)


def test_a_run_stopped_again_and_again_tells_how_far_it_is_and_adds_up_its_minutes(whole, tmp_path):
    seen, spent, result = [], 0.0, None
    while result is None:
        with contextlib.suppress(Stopped):
            result = train(CONFIG, TRAIN, TEST, folder=tmp_path, on_step=stop_after(3, seen))
        assert len(seen) < 100, "it must come to its end"
        state = newest_checkpoint(tmp_path)[1]["state"]
        now = state["epoch_seconds"] + sum(epoch["seconds"] for epoch in state["history"])
        assert now > spent
        spent = now
    same(result, whole)
    assert 60 * result.minutes > spent >= sum(epoch.seconds for epoch in result.epochs)
    assert seen[-1].seen == 3 * 80
    assert [len(progress.history) for progress in seen] == sorted(len(p.history) for p in seen)
    assert all(progress.images in (0, 16, 32) for progress in seen)


def test_a_folder_keeps_two_checkpoints_and_nothing_unfinished(tmp_path):
    (tmp_path / "config.json.1.tmp").write_text("what a crash left")
    (tmp_path / "notes.tmp").write_text("somebody's own")
    train(CONFIG, TRAIN, TEST, folder=tmp_path)
    (tmp_path / "notes.tmp").unlink()
    steps = [int(path.name.split("-")[1]) for path in checkpoints(tmp_path)]
    assert steps == [STEPS - 1, STEPS]
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("damage", [lambda c: c[:-100], lambda c: c[:99] + b"!" + c[100:]])
@pytest.mark.parametrize("damaged", [1, 2])
def test_a_damaged_checkpoint_is_told_and_not_used(damage, damaged, whole, tmp_path):
    stopped(tmp_path, 6)
    for path in checkpoints(tmp_path)[-damaged:]:
        path.write_bytes(damage(path.read_bytes()))
    first = []
    with pytest.warns(UserWarning, match="damaged and is not used") as told:
        result = train(CONFIG, TRAIN, TEST, folder=tmp_path, on_step=first.append)
    assert len(told) == damaged
    assert first[0].seen == (80 + 32 if damaged == 1 else 32)  # a step back, or at the beginning
    same(result, whole)


def test_the_checkpoint_before_a_damaged_one_outlives_the_next(tmp_path):
    other = tmp_path / "checkpoint-best.pt"
    other.write_text("not of the package")
    first = save_checkpoint(tmp_path, {"step": 1}, step=1)
    save_checkpoint(tmp_path, {"step": 2}, step=2, keep=first).write_bytes(b"torn")
    with pytest.warns(UserWarning, match="damaged"):
        found, content = newest_checkpoint(tmp_path)
    assert (found, content) == (first, {"step": 1})
    third = save_checkpoint(tmp_path, {"step": 3}, step=3, keep=found)
    assert checkpoints(tmp_path) == sorted([first, third, other])


@pytest.mark.parametrize(
    ("change", "train_set", "test_set", "message"),
    [
        ({"seed": 3}, TRAIN, TEST, "seed is 2 there and 3 here"),
        ({"epochs": 4}, TRAIN, TEST, "epochs is 3 there and 4 here"),
        ({"attention_options": {"lam": 0.1}}, TRAIN, TEST, "is {} there and {'lam': 0.1} here"),
        ({"recipe": "budget"}, TRAIN, TEST, "recipe is 'smoke' there and 'budget' here"),
        ({}, toy(100, seed=5), TEST, r"training_images_checksum is '\w+' there and '\w+' here"),
        ({}, TRAIN, toy(20, seed=5), r"test_images_checksum is '\w+' there and '\w+' here"),
    ],
)
def test_the_folder_of_another_run_is_refused(change, train_set, test_set, message, tmp_path):
    finish(CONFIG, TRAIN, TEST, folder=tmp_path)
    before = checkpoints(tmp_path)
    for start in (train, finish):
        with pytest.raises(ValueError, match=rf"config.json must .*{message}.*; use another folder"):
            start(replace(CONFIG, **change), train_set, test_set, folder=tmp_path)
    assert checkpoints(tmp_path) == before


@pytest.mark.parametrize("field", ["threads", "torch", "instructions", "simam_backend", "simam_edu"])
def test_a_folder_that_says_otherwise_what_decides_its_numbers_is_refused(field, tmp_path):
    stopped(tmp_path, 1)
    file = tmp_path / "config.json"
    said = json.loads(file.read_text())
    for change in ({field: "other"}, {field: None}):
        file.write_text(json.dumps(said | change))
        with pytest.raises(ValueError, match=f"{field} is {change[field]!r} there and .* here"):
            train(CONFIG, TRAIN, TEST, folder=tmp_path)


def test_the_checkpoint_of_another_run_is_refused_without_its_folder(tmp_path):
    stopped(tmp_path, 6)
    (tmp_path / "config.json").unlink()
    with pytest.raises(ValueError, match=r"checkpoint-.*seed is 2 there and 7 here"):
        train(replace(CONFIG, seed=7), TRAIN, TEST, folder=tmp_path)


def test_a_folder_in_which_another_process_is_at_work_is_refused(tmp_path):
    with FileLock(tmp_path / "lock"), pytest.raises(OSError, match="another one has its lock"):
        finish(CONFIG, TRAIN, TEST, folder=tmp_path)
    assert not checkpoints(tmp_path)


def test_a_record_without_the_name_of_its_run_is_refused(tmp_path):
    (tmp_path / "record.json").write_text("{}")
    with pytest.raises(ValueError, match=r"must say in config\.json whose record\.json"):
        finish(CONFIG, TRAIN, TEST, folder=tmp_path)


class Harmful:
    """What makes a folder when it is unpickled without care."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def test_nothing_in_a_foreign_checkpoint_is_executed(tmp_path):
    save_checkpoint(tmp_path, {"harm": Harmful(tmp_path / "executed")}, step=1)
    with pytest.raises(pickle.UnpicklingError):
        newest_checkpoint(tmp_path)
    assert not (tmp_path / "executed").exists()


def test_a_full_disk_stops_the_run_and_it_goes_on_when_there_is_room(whole, tmp_path):
    kept = []
    with full_disk() as fill, pytest.raises(OSError, match="File too large"):
        train(
            CONFIG, TRAIN, TEST, folder=tmp_path,
            on_step=lambda p: p.seen == 112 and (kept.extend(checkpoints(tmp_path)), fill()),
        )  # fmt: skip
    assert kept
    assert sorted(tmp_path.iterdir()) == sorted([*kept, tmp_path / "config.json"])
    same(train(CONFIG, TRAIN, TEST, folder=tmp_path), whole)


def test_a_file_keeps_its_old_content_until_the_new_is_on_the_disk(tmp_path, monkeypatch):
    write_atomically(tmp_path / "file", b"old")
    monkeypatch.setattr(os, "fsync", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_atomically(tmp_path / "file", b"new")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


def test_a_finished_run_leaves_its_record_and_is_not_run_again(whole, tmp_path, monkeypatch):
    stopped(tmp_path, STEPS + 3, finish)
    assert not (tmp_path / "record.json").exists(), "stopped before its end"
    record = finish(CONFIG, TRAIN, TEST, folder=tmp_path)
    (line,) = (tmp_path / "record.json").read_text().splitlines()
    assert json.loads(line) == record
    wanted = json.loads(json.dumps(make_record(CONFIG, TRAIN, whole)))
    assert record.keys() == wanted.keys()
    for key in record.keys() - {"minutes", "finished", "history"}:
        assert record[key] == wanted[key], key
    definition = json.loads(json.dumps(CONFIG.definition(TRAIN)))
    for found in (record, json.loads((tmp_path / "config.json").read_text())):
        assert found.items() >= definition.items()
    monkeypatch.setattr("simam_edu.training.loop.train", lambda *_, **__: pytest.fail("it ran"))
    assert finish(CONFIG, TRAIN, TEST, folder=tmp_path) == record


def test_no_checkpoint_holds_what_is_not_finite(tmp_path, monkeypatch):
    class Breaks(Tiny):
        """Gives a loss that is not finite from its seventh batch on."""

        def forward(self, x):
            steps = int(self.body[1].num_batches_tracked)
            return super().forward(x) * (torch.nan if self.training and steps >= 6 else 1.0)

    monkeypatch.setitem(NETWORKS, "tiny", Breaks)
    for _ in range(2):  # once more from the checkpoint: the same step, not a later one
        with pytest.raises(FloatingPointError, match="loss of step 7 must be finite, got nan"):
            train(CONFIG, TRAIN, TEST, folder=tmp_path)
    network = newest_checkpoint(tmp_path)[1]["state"]["network"]
    assert all(value.isfinite().all() for value in network.values())


@pytest.mark.parametrize("start", [train, finish])
def test_images_are_hashed_once_a_run(start, tmp_path, monkeypatch):
    hashed, digest = [], folder_module.digest
    monkeypatch.setattr(folder_module, "digest", lambda im: (hashed.append(im), digest(im))[1])
    start(CONFIG, TRAIN, TEST, folder=tmp_path)
    assert [id(images) for images in hashed] == [id(TRAIN), id(TEST)]


@pytest.mark.parametrize("text", ["{", "3", "[1]"])
def test_a_damaged_fingerprint_is_named(text, tmp_path):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(ValueError, match=r"config\.json must say in JSON whose it is; use another folder"):
        recorded_threads(tmp_path)
