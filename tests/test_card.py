"""The program for a CUDA card, rehearsed on the CPU."""

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def started(out, *options):
    command = [sys.executable, "-m", "benchmarks.card", "--minutes", "5", "--out", str(out), *options]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def parts(monkeypatch):
    """The modules of the program, which is run from the root of the repository."""
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks.card import right
    from benchmarks.card.log import Log

    return right, Log


def test_a_rehearsal_killed_at_a_random_moment_goes_on_and_answers_each_case_once(tmp_path, parts):
    right, log = parts
    process, file = started(tmp_path, "--rehearse"), tmp_path / "card.jsonl"
    while not file.exists() or not file.stat().st_size:
        time.sleep(0.05)
    time.sleep(moment := random.uniform(0, 8))
    process.kill()
    process.communicate()
    before = file.read_bytes().count(b"\n")
    told, errors = (process := started(tmp_path, "--rehearse")).communicate()
    assert process.returncode == 0, f"killed after {moment} s and {before} lines: {told[-3000:]}{errors}"
    lines = [(line["part"], line["case"]) for part in ("right", "fast", "rates", "environment")
             for line in log(file, 1).lines(part)]  # fmt: skip
    rates = {f"ours, {name}, turn {turn}" for name in ("none", "simam") for turn in (1, 2)}
    assert sorted(lines) == sorted(
        [*(("right", name) for name in [*(case.name for case in right.cases(True)), *right.BESIDE]),
         *(("fast", f"2x4x8x8 {name}") for name in ("float32", "bfloat16")),
         *(("rates", name) for name in rates | {"usual, 0 workers", "sweep, 2 runs"}),
         ("environment", "cpu")]
    )  # fmt: skip
    assert (tmp_path / "records.jsonl").read_bytes().count(b"\n") == 2


def test_a_torn_line_is_cut_off_and_answered_again(tmp_path, parts):
    _, log = parts
    log(tmp_path / "card.jsonl", 1).add("right", "one", ok=True)
    with (tmp_path / "card.jsonl").open("a") as file:
        file.write('{"part": "right", "ca')
    again = log(tmp_path / "card.jsonl", 1)
    assert (again.wants("right", "one"), again.wants("right", "two")) == (False, True)
    assert again.lines("right") == [{"part": "right", "case": "one", "ok": True}]


def test_no_case_is_begun_for_which_there_is_no_time(tmp_path, parts):
    log = parts[1](tmp_path / "card.jsonl", 0.5)
    assert (log.wants("fast", "one", seconds=20), log.wants("fast", "one", seconds=40)) == (True, False)


def test_a_wrong_number_is_found(parts, monkeypatch):
    right, _ = parts
    case = right.cases(True)[0]
    assert right.check(case, "cpu")["ok"]
    monkeypatch.setattr(right, "SimAM", lambda **_: lambda x: x * 0.75)
    assert not right.check(case, "cpu")["ok"]
    assert right._answer(right.check, (case, "nowhere"))["ok"] is False


@pytest.mark.skipif("__import__('torch').cuda.is_available()")
def test_without_a_card_it_says_so_and_ends_with_2(tmp_path):
    process = started(tmp_path / "out")
    assert "there must be a CUDA card" in process.communicate()[1]
    assert process.returncode == 2
    assert not (tmp_path / "out").exists()


def test_what_was_found_on_the_cpu_is_not_taken_for_the_cards(tmp_path, parts, monkeypatch, capsys):
    from benchmarks.card import __main__ as program

    parts[1](tmp_path / "card.jsonl", 1).add("environment", "cpu")
    before = (tmp_path / "card.jsonl").read_bytes()
    monkeypatch.setattr(program.torch.cuda, "is_available", lambda: True)
    assert program.main(["--minutes", "1", "--out", str(tmp_path)]) == 2
    assert "--out must be a folder of runs on cuda, got one of runs on cpu" in capsys.readouterr().err
    assert (tmp_path / "card.jsonl").read_bytes() == before
