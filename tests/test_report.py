"""Reports: what is in a table, what may not be mixed, and what is said of what is missing."""

import json
import re
import sys
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from scipy import stats

from records import made_record, record_of
from simam_edu import cli, cli_study
from simam_edu.experiments import (
    GRIDS,
    Estimate,
    column_in_words,
    grid,
    in_words,
    make_tables,
    markdown,
    missing_runs,
    paper_differences,
    paper_table,
    run_id,
    table_in_words,
)
from simam_edu.experiments.sweep import Outcome
from simam_edu.experiments.text import accuracy_table, describe, p_value
from simam_edu.training import recorded

COLUMNS = [("none", "pre_norm"), ("simam", "pre_norm"), ("simam", "post_norm"), ("se", "post_norm")]


@pytest.fixture
def study():
    """Four columns with three seeds, made up."""
    rng = np.random.default_rng(0)
    base = rng.normal(0.85, 0.004, 3)
    return [
        made_record(attention, slot, seed, float(base[seed] + rng.normal(0.002, 0.001)))
        for seed in range(3)
        for attention, slot in COLUMNS
    ]


def values(study, attention, slot):
    return np.array(
        [100 * r["test_accuracy"] for r in study if (r["attention"], r["slot"]) == (attention, slot)]
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda _: [], "records must be at least one"),
        *(
            (
                lambda study, key=key: [study[0], {k: v for k, v in study[1].items() if k != key}],
                f"must be those of runs, got one without '{key}'",
            )
            for key in ("network", "test_accuracy", "environment")
        ),
        (
            lambda study: [*study, study[0] | {"test_accuracy": 0.9}],
            "got two of resnet20-none-cifar10-budget-s0 that differ",
        ),
    ],
)
def test_no_records_what_is_none_and_two_of_a_run_that_differ_are_refused(change, message, study):
    with pytest.raises(ValueError, match=message):
        make_tables(change(study))


@pytest.mark.parametrize("baseline", ["none", "simam post_norm"])
def test_a_table_has_the_statistics_of_its_records_corrected_for_the_columns(study, baseline):
    (table,) = make_tables(study[::-1], baseline=baseline)
    names = ["none", "se post_norm", "simam post_norm", "simam pre_norm"]
    assert [column.name for column in table.columns] == [baseline, *(n for n in names if n != baseline)]
    base, simam = values(study, *(baseline + " pre_norm").split()[:2]), values(study, "simam", "pre_norm")
    column = table.column("simam pre_norm")
    assert column.accuracies == dict(enumerate(simam))
    assert column.accuracy.mean == pytest.approx(simam.mean())
    assert column.accuracy.std == pytest.approx(simam.std(ddof=1))
    test = stats.ttest_rel(simam, base)
    assert (column.difference.mean, column.difference.p) == pytest.approx(
        (np.mean(simam - base), test.pvalue)
    )
    assert (column.difference.low, column.difference.high) == pytest.approx(tuple(test.confidence_interval()))
    assert column.minutes == pytest.approx(41.0)
    assert (table.columns[0].difference, table.columns[0].corrected_p) == (None, None)
    assert (table.missing, table.repeated) == ((), 0)
    raw = {column.name: column.difference.p for column in table.columns[1:]}
    smallest = min(raw, key=raw.get)
    assert table.column(smallest).corrected_p == pytest.approx(min(1.0, 3 * raw[smallest]))
    assert all(column.corrected_p >= column.difference.p for column in table.columns[1:])


def test_differences_that_are_equal_but_for_rounding_have_no_spread():
    records = [made_record(seed=seed, accuracy=0.8423 + seed / 1000) for seed in range(3)]
    records += [made_record("simam", seed=seed, accuracy=0.8453 + seed / 1000) for seed in range(3)]
    (table,) = make_tables(records)
    assert (table.columns[1].difference.std, table.columns[1].difference.p) == (0.0, None)


def test_only_shared_seeds_are_compared_and_missing_runs_are_named(study):
    cut = [r for r in study if (r["attention"], r["seed"]) not in {("none", 2), ("se", 0), ("se", 1)}]
    (table,) = make_tables([*cut, dict(study[0])])
    assert table.column("simam pre_norm").difference.n == 2
    assert table.column("simam pre_norm").accuracy.n == 3
    assert table.column("se post_norm").difference is None, "seed 2 has no baseline"
    assert set(table.missing) == {
        "resnet20-none-cifar10-budget-s2",
        "resnet20-se-post_norm-cifar10-budget-s0",
        "resnet20-se-post_norm-cifar10-budget-s1",
    }
    assert "resnet20-none-cifar10-budget-s2" in describe(table)
    assert (table.repeated, table.column("none").accuracy.n) == (1, 2)
    assert "there twice, word for word, and count once: 1" in describe(table)
    assert missing_runs(study, grid("study")[:2]) == []
    missing = missing_runs(cut, grid("study"))
    assert (len(missing), set(missing) > set(table.missing)) == (21 - 12 + 3, True)


def test_one_seed_and_no_baseline_give_means_and_no_more(study):
    (table,) = make_tables(study[:4])
    assert all(column.accuracy.n == 1 and column.accuracy.low is None for column in table.columns)
    assert all(column.corrected_p is None for column in table.columns)
    assert " nan" not in describe(table).lower()
    (table,) = make_tables(recorded("resnet20_cifar10"))
    assert table.column("simam pre_norm").difference.n == 1
    (table,) = make_tables(study[1:4])
    assert all(column.difference is None for column in table.columns)
    assert "Nothing is compared: none has no record." in describe(table)


OTHER = {
    "source": "other images", "recipe_values": {"epochs": 10, "batch_size": 128}, "epochs": 20,
    "held_out": 0.1, "training_images": 45_000, "test_images": 1_000, "precision": "bfloat16",
    "processes": 2, "device": "cuda:0",
    "environment": {"torch": "2.6.0", "processor": "a processor", "threads": 1},
}  # fmt: skip


@pytest.mark.parametrize("key", OTHER)
def test_what_must_be_equal_in_a_table_or_in_a_row_is_held_there_and_only_there(study, key):
    in_a_row = key in ("device", "environment")
    told = key.replace("environment", "torch")
    which = "seed 2" if in_a_row else "a table"
    with pytest.raises(ValueError, match=f"all records of {which} must have the same {told}, got .* and "):
        make_tables([*study[:-1], study[-1] | {key: OTHER[key]}])
    if in_a_row:
        (table,) = make_tables([r | {key: OTHER[key]} if r["seed"] == 2 else r for r in study])
        assert len(table.machines) == 2


def test_cards_of_one_kind_are_one_device_and_a_record_that_does_not_say_is_of_one_process(study):
    (table,) = make_tables([r | {"device": f"cuda:{k % 2}"} for k, r in enumerate(study)])
    assert table.common["processes"] == 1


def test_other_networks_data_and_recipes_are_tables_of_their_own(study):
    others = [study[0] | {"network": "resnet56"}, study[1] | {"dataset": "cifar100", "training_images": 7}]
    tables = make_tables([*study, *others])
    wanted = [("resnet20", "cifar10"), ("resnet20", "cifar100"), ("resnet56", "cifar10")]
    assert [(t.network, t.dataset) for t in tables] == wanted


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"attention_options": {"lam": 1}}, "simam lam=1 pre_norm"),
        (
            {"attention_options": {"statistics": "shared", "lam": 1e-4}},
            "simam lam=0.0001 statistics=shared pre_norm",
        ),
        ({"first_weights": "authors"}, "simam pre_norm first_weights=authors"),
    ],
)
def test_options_and_first_weights_are_another_column_and_another_run(study, change, name):
    other = study[1] | change
    (table,) = make_tables([*study, other])
    assert (table.column("simam pre_norm").accuracy.n, table.column(name).accuracy.n) == (3, 1)
    assert run_id(study[1] | {"first_weights": "he"}) == run_id(study[1]) != run_id(other)


@pytest.mark.parametrize("name", GRIDS)
def test_every_grid_has_a_column_for_each_of_its_modules(name):
    runs = grid(name, seeds=[0])
    tables = make_tables([record_of(run) for run in runs])
    assert sum(len(table.columns) for table in tables) == len(runs)


def test_the_text_of_a_table_has_its_numbers(study):
    (table,) = make_tables(study)
    column = table.column("simam pre_norm")
    texts = (describe(table), accuracy_table(table))
    (whole,), (left,) = (
        [line.split("|")[1:-1] for line in text.splitlines() if "simam pre_norm" in line] for text in texts
    )
    accuracy, difference = column.accuracy, column.difference
    assert whole[:5] == left
    assert [cell.strip() for cell in whole[1:9]] == [
        "3", f"{accuracy.mean:.2f}", f"{accuracy.std:.2f}", f"{accuracy.low:.2f} to {accuracy.high:.2f}",
        f"{difference.mean:+.2f}", f"{difference.low:+.2f} to {difference.high:+.2f}",
        p_value(difference.p), p_value(column.corrected_p),
    ]  # fmt: skip
    assert whole[9].strip() == "41"


def test_a_row_of_another_length_is_refused():
    with pytest.raises(ValueError, match="each row must have 2 cells, got 1"):
        markdown(["a", "b"], [["1"]])


@pytest.mark.parametrize(("p", "text"), [(None, ""), (0.0004, "< 0.001"), (0.0456, "0.046"), (1.0, "1.000")])
def test_p_values_in_text(p, text):
    assert p_value(p) == text


@pytest.mark.parametrize(
    ("mean", "n", "p", "corrected", "words"),
    [
        (0.3, 3, 0.01, 0.03, "above, and by more than the noise"),
        (-0.3, 3, 0.01, 0.03, "below, and by more than the noise"),
        (0.3, 3, 0.01, 0.06, "above, and by more than the noise if it were the only comparison; .*, not"),
        (0.3, 3, 0.20, 0.60, "above, but by no more than the noise"),
        (0.0, 3, 1.00, 1.00, "level, but by no more than the noise"),
        (0.3, 1, None, None, "one seed, so nothing can be said about the noise"),
        (0.3, 4, None, None, "4 seeds without any spread, so nothing can be said about the noise"),
        (None, 0, None, None, "no seed is shared yet, so nothing can be said"),
    ],
)  # fmt: skip
def test_differences_in_words(mean, n, p, corrected, words):
    difference = None if mean is None else Estimate(n=n, mean=mean, std=None, low=None, high=None, p=p)
    assert re.fullmatch(words, in_words(difference, corrected))


def test_a_table_in_words_has_the_names_that_readers_know_and_the_same_numbers():
    (table,) = make_tables(recorded("study"))
    worded = table_in_words(table)
    assert worded.baseline == "no module"
    for column in table.columns:
        same = worded.column(column_in_words(column.name))
        assert (same.accuracies, same.difference) == (column.accuracies, column.difference)


def test_the_papers_table_is_whole_and_its_differences_are_as_known():
    """Counts and mean gains as re-analysed before this module was written."""
    table = paper_table()
    assert len(table) == 16
    assert {tuple(row) for row in table.values()} == {("none", "se", "cbam", "eca", "gc", "simam")}
    gains = {m: paper_differences(m) for m in ("simam", "se", "cbam", "eca", "gc")}
    means = {m: round(float(np.mean([d.mean for d in found.values()])), 2) for m, found in gains.items()}
    assert means == {"simam": 0.44, "se": 0.30, "cbam": 0.19, "gc": 0.16, "eca": 0.13}
    assert sum(d.mean > 0 for d in gains["simam"].values()) == 16
    assert sum(d.p < 0.05 for d in gains["simam"].values()) == 10
    with pytest.raises(ValueError, match="module must be one of none, se, cbam, eca, gc, simam"):
        paper_differences("gated")


@pytest.fixture
def file(study, tmp_path):
    path = tmp_path / "records.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in study))
    return path


def test_report_prints_the_table_of_all_its_files_as_text_and_json_and_says_what_is_missing(
    file, study, tmp_path, capsys
):
    other = tmp_path / "others.jsonl"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[:5]))
    other.write_text("".join(lines[5:]))
    assert cli.main(["report", str(file), str(other), "--grid", "study"]) == 0
    printed = capsys.readouterr()
    assert printed.out == describe(make_tables(study)[0])
    assert "9 of the 21 runs of the grid study are missing: resnet20-cbam" in printed.err
    assert cli.main(["report", str(file), str(other), "--json", "--baseline", "se post_norm"]) == 0
    (table,) = json.loads(capsys.readouterr().out)
    (expected,) = make_tables(study, baseline="se post_norm")
    assert table["columns"][1]["difference"]["p"] == expected.columns[1].difference.p
    assert table["baseline"] == "se post_norm"
    assert cli.main(["report", "--grid", "study"]) == 0, "without files the study that is recorded"
    assert "0 of the 21 runs of the grid study are missing\n" in capsys.readouterr().err


def test_report_draws_and_tells_mistakes(file, tmp_path, capsys):
    assert cli.main(["report", str(file), "--plot", str(tmp_path / "plot.png")]) == 0
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
    with file.open("a") as end:
        end.write(json.dumps(made_record(seed=0, accuracy=0.1)) + "\n")
    capsys.readouterr()
    for path, message in ((file, "got two of resnet20-none"), (tmp_path / "nowhere.jsonl", "nowhere.jsonl")):
        assert cli.main(["report", str(path)]) == 2
        assert message in capsys.readouterr().err


def test_sweep_shows_what_is_left(tmp_path, capsys):
    arguments = ["sweep", "study", "--runs", str(tmp_path), "--seeds", "0", "1", "--show"]
    assert cli.main(arguments) == 0
    shown = capsys.readouterr()
    assert shown.out.splitlines()[0] == "left  resnet20-none-cifar10-budget-s0"
    assert "runs: 14, done: 0, left: 14" in shown.err
    assert list(tmp_path.iterdir()) == [], "it starts nothing, so it locks nothing"
    assert cli.main([*arguments, "--part", "2/7"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


@pytest.fixture
def swept(monkeypatch, tmp_path):
    """Call `simam-edu sweep smoke` with a sweep that starts nothing, and return what it was called with."""

    def call(outcome, *arguments):
        fakes = {name: Mock() for name in ("in_processes", "in_streams", "load")}
        fakes["sweep"] = Mock(side_effect=[outcome])
        for name, fake in fakes.items():
            monkeypatch.setattr(cli_study, name, fake)
        monkeypatch.chdir(tmp_path)
        return cli.main(["sweep", "smoke", *arguments]), fakes

    return call


def test_sweep_starts_the_training_of_this_package(swept):
    arguments = ("--jobs", "3", "--data", "images", "--device", "cpu")
    status, fakes = swept(Outcome(done=4, left=(), failures={}), *arguments)
    (runs,), options = fakes["sweep"].call_args
    (command, jobs), _ = fakes["in_processes"].call_args
    assert (status, runs, jobs, options["jobs"]) == (0, grid("smoke"), 3, 3)
    assert command[0] == sys.executable
    assert " ".join(command[1:]) == "-m simam_edu.cli train --device cpu --data images"
    assert options["work"] is fakes["in_processes"].return_value
    assert options["records"] == options["folder"] / "records.jsonl" == Path("runs/smoke/records.jsonl")


def test_sweep_on_a_card_takes_streams(swept, monkeypatch):
    monkeypatch.setattr(cli_study.World, "device", lambda *_: Mock(type="cuda"))
    _, fakes = swept(Outcome(done=4, left=(), failures={}))
    assert fakes["in_streams"].call_args[0][0].keys() == {"shapes"}
    assert not fakes["in_processes"].called


def test_sweep_tells_what_failed_what_is_elsewhere_and_how_to_go_on_when_it_was_interrupted(swept, capsys):
    end = Outcome(done=2, left=("a", "b"), failures={"a": "status 3\nlast line"})
    assert swept(end, "--record", "r.jsonl")[0] == 1
    said = capsys.readouterr().err
    assert "a failed: status 3\nlast line\n" in said
    assert "left to other sweeps, which have their locks: b\n" in said
    assert "done: 2, left: 2; `simam-edu report r.jsonl` shows the results" in said
    assert swept(KeyboardInterrupt())[0] == 130
    assert "the same command goes on" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--part", "3/2"], "a part K/N must have K from 1 to N"), (["--seeds", "1", "1"], "seeds must")],
)
def test_mistakes_in_a_sweep_are_told(arguments, message, swept, capsys):
    assert swept(None, *arguments)[0] == 2
    assert message in capsys.readouterr().err
