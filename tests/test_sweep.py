"""The sweep: each run once, several at a time, whatever happens; a stand-in takes the training's place."""

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from filelock import FileLock

from records import made_record, record_of
from simam_edu.datasets import load
from simam_edu.experiments import grid, make_tables, run_id
from simam_edu.experiments import sweep as module
from simam_edu.experiments.sweep import (
    Outcome,
    add_records,
    in_processes,
    in_streams,
    is_running,
    sweep,
)
from simam_edu.training import finish

RUNS = grid("smoke", seeds=[0, 1, 2])
IDS = [run.id for run in RUNS]
ALL_DONE = Outcome(done=6, left=(), failures={})

# Takes the arguments of `simam-edu train --folder`, notes that it began, and writes a record after a while.
STAND_IN = f"""
import fcntl, json, os, signal, sys, time
from pathlib import Path
options = dict(zip(sys.argv[1::2], sys.argv[2::2]))
folder = Path(options["--folder"])
def asked_to_end(*_):
    (folder / "asked").touch()
    sys.exit(5)
signal.signal(signal.SIGTERM, asked_to_end)
lock = open(folder / "lock", "a")
try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    sys.exit(2)
with open(folder / "starts", "a") as file:
    print(os.environ["OMP_NUM_THREADS"], os.environ["OMP_WAIT_POLICY"], file=file)
begin = time.time()
time.sleep(float(os.environ.get("STAND_IN_SECONDS", "0")))
how = os.environ.get("STAND_IN_FAILS", "").split(":")
if options["--seed"] == how[0]:
    print("the loss was not finite")
    sys.exit(int(how[1]))
record = {made_record(recipe_values={"epochs": 5})!r}
record |= {{name: options["--" + name] for name in ("network", "attention", "slot", "dataset", "recipe")}}
record |= {{name: int(options["--" + name]) for name in ("seed", "epochs")}}
(folder / "unfinished").write_text(json.dumps(record | {{"span": [begin, time.time()]}}))
os.replace(folder / "unfinished", folder / "record.json")
"""


@pytest.fixture(autouse=True)
def often(monkeypatch):
    monkeypatch.setattr(module, "LOOK_EVERY", 0.01)


@pytest.fixture
def stand_in(tmp_path):
    script = tmp_path / "stand_in.py"
    script.write_text(STAND_IN)
    return [sys.executable, "-S", str(script)]


@pytest.fixture
def run_sweep(tmp_path, stand_in):
    """Sweep over the runs, with the stand-in unless told otherwise, and return how it ended."""

    def call(runs=RUNS, *, jobs=2, work=None, **options):
        work = work or in_processes(stand_in, jobs)
        files = {"folder": tmp_path / "runs", "records": tmp_path / "records.jsonl"}
        return sweep(runs, jobs=jobs, work=work, **files, **options)

    return call


def lines(path):
    return path.read_text().splitlines() if path.exists() else []


def starts(tmp_path):
    return [len(lines(tmp_path / "runs" / name / "starts")) for name in IDS]


def recorded(tmp_path):
    return [json.loads(line) for line in lines(tmp_path / "records.jsonl")]


@pytest.mark.parametrize(("jobs", "seconds"), [(1, "0.05"), (3, "0.3")])
def test_each_run_is_run_once_and_recorded_once_as_many_at_a_time_as_asked(
    run_sweep, tmp_path, monkeypatch, jobs, seconds
):
    monkeypatch.setenv("STAND_IN_SECONDS", seconds)
    said = []
    assert run_sweep(jobs=jobs, say=said.append) == ALL_DONE
    assert starts(tmp_path) == [1] * 6
    assert (said[0], said[-1].endswith("; left: 0, about 0 minutes")) == ("runs: 6, done: 0, left: 6", True)
    found = [run_id(record) for record in recorded(tmp_path)]
    assert found == IDS if jobs == 1 else sorted(found) == sorted(IDS), "in the order of the grid"
    spans = [record["span"] for record in recorded(tmp_path)]
    assert max(sum(begin <= moment < end for begin, end in spans) for moment, _ in spans) == jobs


def test_what_is_done_is_not_run_again_and_the_rest_is_told_to_last_as_long(run_sweep, tmp_path):
    run_sweep(RUNS[:3])
    said = []
    assert run_sweep(jobs=1, say=said.append) == ALL_DONE
    assert starts(tmp_path) == [1] * 6
    assert said[0] == "runs: 6, done: 3, left: 3"
    assert [line.rpartition("; ")[2] for line in said if line.startswith("done ")] == [
        "left: 2, about 80 minutes", "left: 1, about 40 minutes", "left: 0, about 0 minutes"
    ]  # fmt: skip
    assert len(recorded(tmp_path)) == 6


def test_records_that_were_not_appended_are_appended_later(run_sweep, tmp_path):
    """As after a kill between the end of a run and the writing of the file, or in the middle of a line."""
    run_sweep()
    file = tmp_path / "records.jsonl"
    whole = file.read_text().splitlines(keepends=True)
    file.write_text(whole[0] + whole[1] + whole[2][:40])
    assert run_sweep() == ALL_DONE
    assert starts(tmp_path) == [1] * 6
    assert sorted(file.read_text().splitlines(keepends=True)) == sorted(whole)


@pytest.mark.parametrize(("jobs", "share"), [(1, "4"), (2, "2"), (3, "1"), (8, "1")])
def test_each_run_has_its_share_of_the_threads(run_sweep, tmp_path, monkeypatch, jobs, share):
    monkeypatch.setattr(module.torch, "get_num_threads", lambda: 4)
    run_sweep(RUNS[:1], jobs=jobs)
    assert lines(tmp_path / "runs" / IDS[0] / "starts") == [f"{share} PASSIVE"]


@pytest.mark.parametrize("status", [3, 0])
def test_a_run_that_fails_is_told_and_stops_no_other(run_sweep, tmp_path, monkeypatch, status):
    monkeypatch.setenv("STAND_IN_FAILS", f"1:{status}")
    outcome = run_sweep()
    assert (outcome.done, outcome.left) == (4, tuple(IDS[2:4]))
    assert sorted(outcome.failures) == sorted(IDS[2:4])
    for reason in outcome.failures.values():
        assert f"status {status}; its log ends with\nthe loss was not finite" in reason
    monkeypatch.delenv("STAND_IN_FAILS")
    assert run_sweep() == ALL_DONE
    assert starts(tmp_path) == [1, 1, 2, 2, 1, 1]


@pytest.mark.parametrize("name", [module.SWEEP_LOCK, "lock"])
def test_a_run_that_another_sweep_or_its_own_process_has_is_left_to_it(run_sweep, tmp_path, name):
    (tmp_path / "runs" / IDS[1]).mkdir(parents=True)
    with FileLock(tmp_path / "runs" / IDS[1] / name):
        assert run_sweep() == Outcome(done=5, left=(IDS[1],), failures={})
    assert run_sweep() == ALL_DONE
    assert starts(tmp_path) == [1] * 6


def started_sweep(tmp_path, stand_in, seconds):
    """A process that sweeps over the runs, each of so many seconds."""
    script = f"""
from pathlib import Path
from simam_edu.experiments import grid
from simam_edu.experiments.sweep import in_processes, sweep
folder = Path({str(tmp_path)!r})
sweep(grid("smoke", seeds=[0, 1, 2]), folder=folder / "runs", records=folder / "records.jsonl",
      work=in_processes({stand_in!r}, 2), jobs=2)
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


def test_two_sweeps_share_the_runs(tmp_path, run_sweep, monkeypatch):
    monkeypatch.setenv("STAND_IN_SECONDS", "0.2")
    with ThreadPoolExecutor(2) as pool:
        for future in [pool.submit(run_sweep) for _ in range(2)]:
            future.result()
    assert starts(tmp_path) == [1] * 6
    assert sorted(map(run_id, recorded(tmp_path))) == sorted(IDS)


def test_runs_of_a_killed_sweep_go_on_and_are_not_run_twice(tmp_path, stand_in, run_sweep):
    killed = started_sweep(tmp_path, stand_in, "2")
    wait_for(lambda: len(running(tmp_path)) == 2)
    killed.kill()
    killed.communicate()
    run_sweep()  # the two have their locks still
    wait_for(lambda: running(tmp_path) == [])
    assert run_sweep() == ALL_DONE
    assert starts(tmp_path) == [1] * 6
    assert len(recorded(tmp_path)) == 6


def test_an_interrupted_sweep_ends_its_runs_and_can_be_gone_on_with(tmp_path, stand_in, run_sweep):
    process = started_sweep(tmp_path, stand_in, "60")
    wait_for(lambda: len(running(tmp_path)) == 2)
    begun = running(tmp_path)
    process.terminate()
    _, errors = process.communicate(timeout=30)
    assert "KeyboardInterrupt" in errors
    assert running(tmp_path) == [], "no run goes on without its sweep"
    assert all((folder / "asked").exists() for folder in begun), "asked to end, not killed"
    assert run_sweep() == ALL_DONE


@cache
def few():
    """The training and the test images: a few of the drawn shapes."""
    return tuple(
        replace(images, images=images.images[:32], labels=images.labels[:32], masks=None)
        for images in (load("shapes", "train"), load("shapes", "test"))
    )


TRAINING = """
import sys
from simam_edu import cli, cli_study
from test_sweep import few
cli_study.load = lambda _, split, **__: few()[split == "test"]
sys.exit(cli.main())
"""


def test_runs_in_processes_and_in_streams_end_with_the_numbers_of_runs_alone(
    run_sweep, tmp_path, monkeypatch
):
    command = [sys.executable, "-c", TRAINING, "train", "--device", "cpu"]
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    outcome = run_sweep(RUNS[1:2], work=in_processes(command, 1))
    assert outcome.done == 1, outcome
    assert run_sweep(RUNS[:3], work=in_streams({"shapes": few()}, "cpu")).done == 3
    records = {run_id(record): record for record in recorded(tmp_path)}
    assert len(records) == 3
    for run in RUNS[1:3]:
        alone = finish(replace(run, device="cpu"), *few(), folder=tmp_path / "alone" / run.id)
        same = ("test_loss", "test_accuracy", "seed", "attention", "training_images", "epochs")
        assert {key: records[run.id][key] for key in same} == {key: alone[key] for key in same}
    (table,) = make_tables(records.values())
    assert table.column("simam pre_norm").accuracies == {0: 100 * records[IDS[1]]["test_accuracy"]}


def test_a_sweep_that_has_enough_goes_on_later_with_the_same_numbers(run_sweep, tmp_path):
    work, asked = in_streams({"shapes": few()}, "cpu"), iter([False])
    cut = run_sweep(RUNS[:2], jobs=1, work=work, enough=lambda: next(asked, True))
    assert cut == Outcome(done=0, left=(IDS[0], IDS[1]), failures={})
    assert [path.parent.name for path in (tmp_path / "runs").glob("*/checkpoint-*.pt")] == IDS[:1]
    assert run_sweep(RUNS[:1], work=work).done == 1
    alone = finish(replace(RUNS[0], device="cpu"), *few(), folder=tmp_path / "alone")
    (record,) = [record for record in recorded(tmp_path) if run_id(record) == IDS[0]]
    assert record["test_loss"] == alone["test_loss"]


def test_a_run_that_fails_in_its_stream_stops_no_other(run_sweep, tmp_path):
    (tmp_path / "runs" / IDS[0]).mkdir(parents=True)
    (tmp_path / "runs" / IDS[0] / "config.json").write_text("{}")
    outcome = run_sweep(RUNS[:2], work=in_streams({"shapes": few()}, "cpu"))
    assert (outcome.done, outcome.left) == (1, (IDS[0],))
    assert "must be of the run that is asked for" in outcome.failures[IDS[0]]


def test_a_run_without_a_folder_that_can_be_used_stops_no_other(run_sweep, tmp_path):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / IDS[0]).write_text("a file")
    outcome = run_sweep(RUNS[:2])
    assert (outcome.done, outcome.left) == (1, (IDS[0],))
    assert "FileExistsError" in outcome.failures[IDS[0]]


def test_no_jobs_and_folders_with_another_run_are_refused(run_sweep, tmp_path):
    with pytest.raises(ValueError, match="jobs must be at least 1, got 0"):
        run_sweep(jobs=0)
    assert not (tmp_path / "runs").exists()
    run_sweep(RUNS[:2])
    first, second = (tmp_path / "runs" / name / "record.json" for name in IDS[:2])
    second.write_text(first.read_text())
    with pytest.raises(ValueError, match=f"must hold the record of {IDS[1]}, got that of {IDS[0]}"):
        run_sweep()
    second.write_text("{}")
    with pytest.raises(ValueError, match=r"must hold the record of a run, got KeyError"):
        run_sweep()


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
    file, line = tmp_path / "records.jsonl", json.dumps(record_of(RUNS[0]))
    file.write_text(before.replace("{0}", line).replace("{torn}", line[:20]))
    for number in added:
        add_records(file, [record_of(RUNS[number])] * 2)
    assert [run_id(record) for record in recorded(tmp_path)] == IDS[:2]


NAMELESS = json.dumps(record_of(RUNS[0]) | {"network": None})


@pytest.mark.parametrize(
    ("before", "message"),
    [
        (json.dumps(record_of(RUNS[0])) + "\n", f"another record of {IDS[0]}, finished today and tomorrow"),
        *((text, "must have one JSON record on each line") for text in ("not a record\nnor this\n", "notes")),
        *(
            (line + "\n", f"must hold records of runs, got a line that is none .{error}")
            for line, error in (('{"part": "fast"}', "KeyError"), (NAMELESS, "TypeError"))
        ),
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
