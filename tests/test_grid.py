"""The grids: which runs they are, in which order, under which names."""

import hashlib
from functools import partial

import pytest

from records import made_record
from simam_edu.experiments import GRIDS, Run, grid, run_id, shard
from simam_edu.experiments.grid import PAPER_NETWORKS
from simam_edu.experiments.paper import paper_table
from simam_edu.training import recorded

BASE = made_record("simam")


def test_the_study_has_seven_columns_seed_by_seed():
    runs = grid("study")
    assert [run.seed for run in runs] == [0] * 7 + [1] * 7 + [2] * 7
    columns = [(run.attention, run.slot) for run in runs[:7]]
    assert columns[1:6] == [
        ("simam", "pre_norm"), ("se", "post_norm"), ("cbam", "post_norm"), ("eca", "post_norm"),
        ("gc", "post_norm"),
    ]  # fmt: skip
    assert (columns[0][0], columns[6]) == ("none", ("simam", "post_norm"))
    assert {(run.network, run.dataset, run.recipe, run.epochs, run.held_out) for run in runs} == {
        ("resnet20", "cifar10", "budget", None, 0.0)
    }


def test_the_paper_has_the_cells_of_its_table_with_five_seeds():
    runs = grid("paper")
    cells = {(run.network, run.dataset) for run in runs}
    assert len(cells) == len(paper_table())
    assert len(runs) == len(cells) * 6 * 5
    letters = {name.lower().replace("-", "").replace("_", "") for name, _ in paper_table()}
    assert {n.replace("_bottleneck", "").replace("_", "") for n in PAPER_NETWORKS} == letters


@pytest.mark.parametrize("name", GRIDS)
def test_every_run_of_a_grid_has_a_name_of_its_own_and_can_be_started(name):
    runs = grid(name)
    assert len({run.id for run in runs}) == len(runs)
    for run in runs:
        run.check()


@pytest.mark.parametrize("name", ["study", "paper", "smoke"])
def test_whole_seeds_come_first(name):
    assert [run.seed for run in grid(name)] == sorted(run.seed for run in grid(name))


def test_the_ablation_fills_its_first_four_columns_before_the_others():
    runs = grid("ablation")
    assert [run.attention for run in runs[:4]] == ["none", "simam", "shuffled", "reversed"]
    assert [run.seed for run in runs] == [0] * 4 + [1] * 4 + [2] * 4 + [3] * 4 + [4] * 4 + [
        seed for seed in range(5) for _ in range(4)
    ]
    # The columns that the study has are the study's runs, so its records count for both.
    study = {run.id for run in grid("study")}
    assert {run.id for run in runs} & study == {
        run.id for run in grid("study") if run.attention in ("none", "simam") and run.slot == "pre_norm"
    }


def test_options_are_in_the_name_and_in_the_arguments():
    runs = [run for run in grid("ablation", seeds=[0]) if run.attention_options]
    assert [run.arguments()[-2:] for run in runs] == [["--statistics", "leave_one_out"], ["--lam", "0.1"]]
    for run in runs:
        assert run.id == run_id(BASE | {"attention_options": dict(run.attention_options)})


def test_more_seeds_leave_the_other_runs_as_they_are():
    assert grid("study", seeds=[0, 1, 2, 3])[:21] == grid("study")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: grid("big"), "grid must be one of study, ablation, paper, smoke, got 'big'"),
        *((partial(grid, "study", seeds=seeds), r"seeds? must be") for seeds in ([], [0, 0], [-1], [2**64])),
        *(
            (partial(shard, [], text), "shard must be K/N")
            for text in ("0/3", "4/3", "1", "a/b", "1/0", "-1/3", "1/3/5", "", "1.0/2", "²/3")
        ),
    ],
)
def test_an_unknown_grid_a_bad_seed_and_a_bad_shard_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        wrong()


@pytest.mark.parametrize("count", [1, 2, 3, 8, 30])
def test_the_shards_are_disjoint_and_all(count):
    runs = grid("study")
    parts = [shard(runs, f"{k + 1}/{count}") for k in range(count)]
    together = [run.id for piece in parts for run in piece]
    assert sorted(together) == sorted(run.id for run in runs)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_every_difference_of_the_configuration_gives_another_name():
    changes = [
        {}, {"network": "resnet56"}, {"attention": "none"}, {"slot": "post_norm"}, {"dataset": "cifar100"},
        {"recipe": "smoke"}, {"seed": 1}, {"epochs": 20}, {"held_out": 0.1},
        {"attention_options": {"lam": 0.1}}, {"attention_options": {"lam": 0.01}},
        {"epochs": 20, "held_out": 0.1},
    ]  # fmt: skip
    names = [run_id(BASE | change) for change in changes]
    assert len(set(names)) == len(names)
    assert names[2] == "resnet20-none-cifar10-budget-s0", "without a module there is no place"
    assert names[0] == "resnet20-simam-pre_norm-cifar10-budget-s0"
    assert all(name.startswith(names[0] + "-") for name in names[7:])


def test_the_name_is_the_same_on_every_machine():
    """The hash is of text, not of Python's own hash, which differs from process to process."""
    record = BASE | {"held_out": 0.1, "attention_options": {"lam": 0.5, "a": 1.0}}
    name = run_id(record)
    assert name == run_id(record | {"attention_options": {"a": 1.0, "lam": 0.5}})
    hashed = '["resnet20", "simam", "pre_norm", "cifar10", "budget", "s0", null, 0.1, {"a": 1.0, "lam": 0.5}]'
    assert name.rpartition("-")[2] == hashlib.sha256(hashed.encode()).hexdigest()[:8]


@pytest.mark.parametrize("attention", ["none", "simam"])
@pytest.mark.parametrize("epochs", [None, 10, 20])
@pytest.mark.parametrize("held_out", [0.0, 0.1])
def test_a_run_and_its_record_have_the_same_name(attention, epochs, held_out):
    changes = {"epochs": epochs or 10, "held_out": held_out}
    run = Run(attention=attention, epochs=epochs, held_out=held_out)
    assert run.id == run_id(made_record(attention, **changes))
    assert len({run_id(record) for record in recorded("resnet20_cifar10")}) == 2


def test_arguments_are_those_of_the_command_line():
    run = grid("smoke")[1]
    assert " ".join(run.arguments()) == (
        "--network resnet20 --attention simam --slot pre_norm --first-weights he --dataset shapes "
        "--recipe smoke --seed 0 --held-out 0.0 --epochs 1"
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"network": "resnet21"}, "network must be one of"),
        ({"attention": "gated"}, "attention must be one of"),
        ({"slot": "middle"}, "slot must be one of"),
        ({"dataset": "mnist"}, "dataset must be one of"),
        ({"recipe": "fast"}, "recipe must be one of"),
        ({"seed": -1}, "seed must be a whole number in"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_unknown_names_are_told(change, message):
    Run().check()
    with pytest.raises(ValueError, match=message):
        Run(**change).check()
