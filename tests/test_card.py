"""The program for a CUDA card, rehearsed on the CPU."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from simam_edu.experiments.sweep import Outcome

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def program(monkeypatch):
    """The main module of the program, which is run from the root of the repository."""
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks.card import __main__ as program

    return program


def test_a_rehearsal_killed_in_the_middle_goes_on_and_answers_each_case_once(tmp_path, program):
    options = ["--rehearse", "--minutes", "5", "--out", str(tmp_path)]
    command = [sys.executable, "-m", "benchmarks.card", *options]
    process, file = subprocess.Popen(command, cwd=ROOT), tmp_path / "card.jsonl"
    while not file.exists() or file.read_bytes().count(b"\n") < 8:
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.05)
    process.kill()
    process.wait()
    subprocess.run(command, cwd=ROOT, check=True)
    log = program.Log(file, 1)
    lines = [
        (line["part"], line["case"])
        for part in ("right", "fast", "rates", "environment")
        for line in log.lines(part)
    ]
    right = program.right
    rates = {f"ours, {name}, turn {turn}" for name in ("none", "simam") for turn in (1, 2)}
    assert sorted(lines) == sorted(
        [*(("right", name) for name in [*(case.name for case in right.cases(True)), *right.BESIDE]),
         *(("fast", f"2x4x8x8 {name}") for name in ("float32", "bfloat16")),
         *(("rates", name) for name in rates | {"usual, 0 workers", "sweep, 2 runs"}),
         ("environment", "cpu")]
    )  # fmt: skip
    assert (tmp_path / "records.jsonl").read_bytes().count(b"\n") == 2


def test_a_torn_line_is_cut_off_and_answered_again(tmp_path, program):
    file = tmp_path / "card.jsonl"
    program.Log(file, 1).add("right", "one", ok=True)
    file.write_text(file.read_text() + '{"part": "right", "ca')
    again = program.Log(file, 1)
    assert (again.wants("right", "one"), again.wants("right", "two")) == (False, True)
    assert again.lines("right") == [{"part": "right", "case": "one", "ok": True}]


def test_no_case_is_begun_for_which_there_is_no_time(tmp_path, program):
    log = program.Log(tmp_path / "card.jsonl", 0.5)
    assert (log.wants("fast", "one", seconds=20), log.wants("fast", "one", seconds=40)) == (True, False)


def test_when_the_time_is_over_no_further_case_is_begun(tmp_path, program, monkeypatch):
    log = program.Log(tmp_path / "card.jsonl", 1)
    monkeypatch.setattr(program.right, "_answer", lambda *_: setattr(log, "_end", 0) or {"ok": True})
    program.right.run(log, "cpu", rehearse=True, processes=1)
    assert len(log.lines("right")) == 1


def test_a_run_that_failed_is_told_in_the_status(tmp_path, program, monkeypatch):
    options = ["--rehearse", "--minutes", "1", "--parts", "study", "--out", str(tmp_path)]
    failed = Outcome(done=0, left=("a run",), failures={"a run": "why"})
    monkeypatch.setattr(program, "sweep", lambda *_, **__: failed)
    assert program.main(options) == 1


def test_a_wrong_number_is_found(program, monkeypatch):
    right = program.right
    case = right.cases(True)[0]
    assert right.check(case, "cpu")["ok"]
    monkeypatch.setattr(right, "SimAM", lambda **_: lambda x: x * 0.75)
    assert not right.check(case, "cpu")["ok"]
    assert right._answer(right.check, (case, "nowhere"))["ok"] is False


@pytest.mark.parametrize(
    ("card", "message"),
    [
        (False, "there must be a CUDA card"),
        (True, "--out must be a folder of runs on cuda, got one of runs on cpu"),
    ],
)
def test_without_a_card_or_with_the_cpus_folder_it_says_so_and_ends_with_2(
    card, message, tmp_path, program, monkeypatch, capsys
):
    program.Log(tmp_path / "card.jsonl", 1).add("environment", "cpu")
    before = (tmp_path / "card.jsonl").read_bytes()
    monkeypatch.setattr(program.torch.cuda, "is_available", lambda: card)
    assert program.main(["--minutes", "1", "--out", str(tmp_path)]) == 2
    assert message in capsys.readouterr().err
    assert (tmp_path / "card.jsonl").read_bytes() == before
