"""The sweep: each run once, several at a time, whatever happens; a stand-in takes the training's place."""

import json
import os
import signal
import subprocess
import sys
import time
from datetime import datetime

import pytest
from filelock import FileLock

from records import made_record, record_of
from simam_edu.experiments import grid, make_tables, run_id
from simam_edu.experiments.sweep import (
    Outcome,
    add_records,
    finished_records,
    is_running,
    last_lines,
    outlook,
    sweep,
    try_lock,
)

RUNS = grid("smoke", seeds=[0, 1, 2])

# Takes the arguments of `simam-edu train --folder`, notes that it began, and writes a record after a while.
STAND_IN = f"""
import fcntl, json, os, signal, sys, time
from pathlib import Path
options = dict(zip(sys.argv[1::2], sys.argv[2::2]))
folder = Path(options["--folder"])
lock = open(folder / "lock", "a")
try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    sys.exit(2)
with open(folder / "starts", "a") as file:
    print(os.environ["OMP_NUM_THREADS"], os.environ["OMP_WAIT_POLICY"], file=file)
print("begun", flush=True)
def asked_to_end(*_):
    (folder / "asked").touch()
    sys.exit(5)
signal.signal(signal.SIGTERM, asked_to_end)
begin = time.time()
time.sleep(float(os.environ.get("STAND_IN_SECONDS", "0.05")))
how = os.environ.get("STAND_IN_FAILS", "").split(":")
if options["--seed"] == how[0]:
    print("epoch 1: 10%\\repoch 1: 20%\\nthe loss was not finite")
    sys.exit(int(how[1]))
record = {made_record(recipe_values={"epochs": 5})!r}
record |= {{name: options["--" + name] for name in ("network", "attention", "slot", "dataset", "recipe")}}
record |= {{name: int(options["--" + name]) for name in ("seed", "epochs")}}
(folder / "unfinished").write_text(json.dumps(record | {{"span": [begin, time.time()]}}))
os.replace(folder / "unfinished", folder / "record.json")
"""


@pytest.fixture
def stand_in(tmp_path):
    script = tmp_path / "stand_in.py"
    script.write_text(STAND_IN)
    return [sys.executable, "-S", str(script)]


@pytest.fixture
def run_sweep(tmp_path, stand_in):
    """Sweep over the runs with the stand-in and return the outcome and what was said."""

    def call(runs=RUNS, **options) -> tuple[Outcome, list[str]]:
        said: list[str] = []
        options = {"jobs": 2, "command": stand_in} | options
        outcome = sweep(
            runs, folder=tmp_path / "runs", records=tmp_path / "records.jsonl", say=said.append,
            look_every=0.01, **options,
        )  # fmt: skip
        return outcome, said

    return call


def lines(path):
    return path.read_text().splitlines() if path.exists() else []


def starts(tmp_path):
    return {run.id: len(lines(tmp_path / "runs" / run.id / "starts")) for run in RUNS}


def names(path):
    return [run_id(json.loads(line)) for line in lines(path)]


@pytest.mark.parametrize(("jobs", "seconds"), [(1, "0.05"), (3, "0.3")])
def test_each_run_is_run_once_and_recorded_once_as_many_at_a_time_as_asked(
    run_sweep, tmp_path, monkeypatch, jobs, seconds
):
    monkeypatch.setenv("STAND_IN_SECONDS", seconds)
    outcome, said = run_sweep(jobs=jobs)
    assert outcome == Outcome(done=6, left=(), failures=())
    assert set(starts(tmp_path).values()) == {1}
    assert (said[0], said[-1]) == ("runs: 6, done: 0, left: 6", "left: 0")
    found, wanted = names(tmp_path / "records.jsonl"), [run.id for run in RUNS]
    assert found == wanted if jobs == 1 else sorted(found) == sorted(wanted), "in the order of the grid"
    spans = [json.loads(line)["span"] for line in lines(tmp_path / "records.jsonl")]
    assert max(sum(begin <= moment < end for begin, end in spans) for moment, _ in spans) == jobs


def test_what_is_done_is_not_run_again(run_sweep, tmp_path):
    run_sweep(RUNS[:4])
    outcome, said = run_sweep()
    assert outcome.done == 6
    assert set(starts(tmp_path).values()) == {1}
    assert said[0] == "runs: 6, done: 4, left: 2"
    assert len(names(tmp_path / "records.jsonl")) == 6


def test_records_that_were_not_appended_are_appended_later(run_sweep, tmp_path):
    """As after a kill between the end of a run and the writing of the file, or in the middle of a line."""
    run_sweep()
    file = tmp_path / "records.jsonl"
    whole = file.read_text().splitlines(keepends=True)
    file.write_text(whole[0] + whole[1] + whole[2][:40])
    outcome, _ = run_sweep()
    assert outcome.done == 6
    assert set(starts(tmp_path).values()) == {1}
    assert sorted(file.read_text().splitlines(keepends=True)) == sorted(whole)


@pytest.mark.parametrize(("jobs", "share"), [(1, "4"), (2, "2"), (3, "1"), (8, "1")])
def test_each_run_has_its_share_of_the_threads(run_sweep, tmp_path, monkeypatch, jobs, share):
    monkeypatch.setattr("simam_edu.experiments.sweep.torch.get_num_threads", lambda: 4)
    run_sweep(RUNS[:1], jobs=jobs)
    assert lines(tmp_path / "runs" / RUNS[0].id / "starts") == [f"{share} PASSIVE"]


@pytest.mark.parametrize("status", [3, 0])
def test_a_run_that_fails_is_told_and_stops_no_other(run_sweep, tmp_path, monkeypatch, status):
    reason = f"ended with status {status} and no record"
    monkeypatch.setenv("STAND_IN_FAILS", f"1:{status}")
    outcome, said = run_sweep()
    failed = [run.id for run in RUNS if run.seed == 1]
    assert outcome.done == 4
    assert outcome.left == tuple(failed)
    assert sorted(failure.run for failure in outcome.failures) == sorted(failed)
    for failure in outcome.failures:
        assert failure.reason == reason
        assert failure.log == "begun\nepoch 1: 20%\nthe loss was not finite"
        assert f"failed {failure.run}: {reason}" in said
    monkeypatch.delenv("STAND_IN_FAILS")
    again, _ = run_sweep()
    assert again == Outcome(done=6, left=(), failures=())
    assert starts(tmp_path) == {run.id: 1 + (run.seed == 1) for run in RUNS}


def test_a_run_that_another_sweep_has_is_left_to_it(run_sweep, tmp_path):
    lock = try_lock(tmp_path / "runs" / RUNS[1].id)
    assert lock is not None
    outcome, _ = run_sweep()
    assert (outcome.done, outcome.left, outcome.failures) == (5, (RUNS[1].id,), ())
    lock.release()
    assert run_sweep()[0].done == 6
    assert set(starts(tmp_path).values()) == {1}


def test_a_run_begun_elsewhere_in_the_same_moment_is_no_failure(run_sweep, tmp_path, monkeypatch):
    """As when a sweep is killed before its run has its lock, and the next sweep starts it once more."""
    folder = tmp_path / "runs" / RUNS[1].id
    folder.mkdir(parents=True)
    answers = iter([False, False])  # when the two are started, its lock is not yet held
    with monkeypatch.context() as patch, FileLock(folder / "lock"):
        patch.setattr("simam_edu.experiments.sweep.is_running", lambda _: next(answers, True))
        outcome, said = run_sweep(RUNS[:2])
    assert (outcome.done, outcome.left, outcome.failures) == (1, (RUNS[1].id,), ())
    assert f"left {RUNS[1].id} to the process that has it" in said
    assert run_sweep(RUNS[:2])[0].done == 2


def started_sweep(tmp_path, stand_in, seconds):
    """A process that sweeps over the runs, each of so many seconds."""
    script = f"""
from pathlib import Path
from simam_edu.experiments import grid
from simam_edu.experiments.sweep import sweep
folder = Path({str(tmp_path)!r})
sweep(grid("smoke", seeds=[0, 1, 2]), folder=folder / "runs", records=folder / "records.jsonl",
      command={stand_in!r}, jobs=2, look_every=0.02, patience=5.0)
"""
    environment = {**os.environ, "STAND_IN_SECONDS": seconds}
    command = [sys.executable, "-c", script]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)


def wait_for(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "waited for a minute"
        time.sleep(0.02)


def running(tmp_path):
    """The folders of runs that have begun and are at work."""
    begun = [path.parent for path in (tmp_path / "runs").glob("*/starts")]
    return [folder for folder in begun if is_running(folder)]


def test_two_sweeps_share_the_runs(tmp_path, stand_in, run_sweep, monkeypatch):
    monkeypatch.setenv("STAND_IN_SECONDS", "0.3")
    other = started_sweep(tmp_path, stand_in, "0.3")
    wait_for(lambda: running(tmp_path))
    run_sweep()
    _, errors = other.communicate(timeout=60)
    assert other.returncode == 0, errors
    assert set(starts(tmp_path).values()) == {1}
    assert sorted(names(tmp_path / "records.jsonl")) == sorted(run.id for run in RUNS)


def test_runs_of_a_killed_sweep_go_on_and_are_not_run_twice(tmp_path, stand_in, run_sweep):
    killed = started_sweep(tmp_path, stand_in, "2")
    wait_for(lambda: len(running(tmp_path)) == 2)
    killed.kill()
    killed.communicate()
    outcome, _ = run_sweep()  # by now the two have their locks still
    wait_for(lambda: running(tmp_path) == [])
    assert outcome.done + len(outcome.left) == 6
    assert run_sweep()[0].done == 6
    assert set(starts(tmp_path).values()) == {1}
    assert len(names(tmp_path / "records.jsonl")) == 6


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_sweep_ends_its_runs_and_can_be_gone_on_with(tmp_path, stand_in, run_sweep, number):
    process = started_sweep(tmp_path, stand_in, "60")
    wait_for(lambda: len(running(tmp_path)) == 2)
    begun = running(tmp_path)
    time.sleep(0.2)  # for the stand-in to have its handler
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert "KeyboardInterrupt" in errors
    assert running(tmp_path) == [], "no run goes on without its sweep"
    assert all((folder / "asked").exists() for folder in begun), "asked to end, not killed"
    assert run_sweep()[0].done == 6


# The training itself, on a few of the drawn shapes.
TRAINING = """
import sys
from dataclasses import replace
from simam_edu import cli, cli_study
load = cli_study.load
def few(*arguments, **options):
    images = load(*arguments, **options)
    return replace(images, images=images.images[:64], labels=images.labels[:64], masks=None)
cli_study.load = few
sys.exit(cli.main())
"""


def test_a_sweep_of_the_training_itself(run_sweep, tmp_path):
    command = [sys.executable, "-c", TRAINING, "train", "--device", "cpu"]
    outcome, _ = run_sweep(RUNS[1:2], command=command)
    log = last_lines(tmp_path / "runs" / RUNS[1].id / "log.txt")
    assert outcome == Outcome(done=1, left=(), failures=()), log
    (record,) = map(json.loads, lines(tmp_path / "records.jsonl"))
    assert run_id(record) == RUNS[1].id
    assert (record["attention"], record["training_images"], record["epochs"]) == ("simam", 64, 1)
    assert record["environment"]["threads"] == 1
    (table,) = make_tables([record])
    assert table.column("simam pre_norm").accuracies == {0: 100 * record["test_accuracy"]}


def test_a_folder_with_another_run_is_refused(run_sweep, tmp_path):
    run_sweep()
    first, second = (tmp_path / "runs" / run.id / "record.json" for run in RUNS[:2])
    second.write_text(first.read_text())
    with pytest.raises(ValueError, match=f"must hold the record of {RUNS[1].id}, got that of {RUNS[0].id}"):
        run_sweep()
    second.write_text("{}")
    with pytest.raises(ValueError, match=r"must hold the record of a run, got KeyError"):
        run_sweep()


def test_runs_are_checked_before_the_first_starts(run_sweep, tmp_path):
    with pytest.raises(ValueError, match="jobs must be at least 1, got 0"):
        run_sweep(jobs=0)
    bad = grid("smoke", seeds=[0])
    object.__setattr__(bad[1], "attention", "gated")
    with pytest.raises(ValueError, match=r"attention must be one of .*, got 'gated'"):
        run_sweep(bad)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("before", "added"),
    [
        ("", [0, 0, 1]),
        ("{0}\n", [0, 1]),
        ("{0}", [0, 1]),  # a last line without its end is kept if whole and cut if torn
        ("{0}\n{torn}", [1]),
    ],
)
def test_a_record_is_in_the_file_once_whatever_its_last_line(tmp_path, before, added):
    file, line = tmp_path / "new" / "records.jsonl", json.dumps(record_of(RUNS[0]))
    file.parent.mkdir()
    file.write_text(before.replace("{0}", line).replace("{torn}", line[:20]))
    for number in added:
        add_records(file, [record_of(RUNS[number])] * 2)
    assert names(file) == [RUNS[0].id, RUNS[1].id]


@pytest.mark.parametrize(
    ("before", "message"),
    [
        (
            json.dumps(record_of(RUNS[0])) + "\n",
            f"another record of {RUNS[0].id}, finished today and tomorrow",
        ),
        ("not a record\nnor this\n", "line 1, must be one JSON record"),
    ],
)
def test_another_record_of_a_run_and_a_file_of_no_records_are_refused_and_left_alone(
    tmp_path, before, message
):
    file = tmp_path / "records.jsonl"
    file.write_text(before)
    with pytest.raises(ValueError, match=message):
        add_records(file, [record_of(RUNS[0], finished="tomorrow")])
    assert file.read_text() == before


def test_the_outlook_is_by_the_runs_that_are_done(monkeypatch):
    none, simam = RUNS[0], RUNS[1]
    assert outlook({}, [none], [(simam, 1.0)], 2) == "left: 2"
    assert outlook({none.id: record_of(none)}, [], [], 2) == "left: 0"
    done = {none.id: record_of(none, minutes=10.0), simam.id: record_of(simam, minutes=50.0)}

    class Noon(datetime):
        @classmethod
        def now(cls):
            return cls(2026, 1, 1, 12, 0)

    monkeypatch.setattr("simam_edu.experiments.sweep.datetime", Noon)
    # Waiting: 50 and 10 minutes; running: 10 minutes, of which 4 are over, and one that takes longer.
    line = outlook(done, [RUNS[3], RUNS[2]], [(RUNS[4], 4.0), (RUNS[4], 99.0)], 2)
    assert line == "left: 4; with 2 at a time the last ends about 2026-01-01 12:33"


def test_the_last_lines_of_a_log(tmp_path):
    log = tmp_path / "log.txt"
    assert last_lines(log) == ""
    log.write_bytes(b"\n".join(b"line %d" % k for k in range(30)) + b"\n\n0%\r50%\r100%\r\n\xff")
    assert last_lines(log, 3) == "line 29\n100%\n\ufffd"


def test_done_means_that_the_record_is_there(tmp_path):
    folder = tmp_path / RUNS[0].id
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    assert finished_records(RUNS, tmp_path) == {}
    (folder / "record.json").write_text(json.dumps(record_of(RUNS[0])))
    assert list(finished_records(RUNS, tmp_path)) == [RUNS[0].id]
