"""The grids: which runs they are, in which order, under which names."""

import hashlib
from dataclasses import asdict
from functools import partial

import pytest

from records import made_record
from simam_edu import cli
from simam_edu.experiments import GRIDS, Run, grid, paper_table, run_id, shard
from simam_edu.experiments.grid import PAPER_NETWORKS
from simam_edu.training import TrainConfig

BASE = made_record("simam")
# Modules in their places, in the order of the grid, and the seeds of the runs.
STUDY = [
    ("none", "pre_norm"), ("simam", "pre_norm"), ("se", "post_norm"), ("cbam", "post_norm"),
    ("eca", "post_norm"), ("gc", "post_norm"), ("simam", "post_norm"),
]  # fmt: skip
ABLATION = ["none", "simam", "shuffled", "reversed", "other_image", "one_sided", "simam", "simam"]


def test_the_study_has_seven_columns_seed_by_seed():
    runs = grid("study")
    assert [(run.seed, run.attention, run.slot) for run in runs] == [
        (seed, *variant) for seed in range(3) for variant in STUDY
    ]
    assert {(run.network, run.dataset, run.recipe, run.epochs, run.held_out) for run in runs} == {
        ("resnet20", "cifar10", "budget", None, 0.0)
    }
    assert grid("study", seeds=[0, 1, 2, 3])[:21] == runs, "more seeds leave the other runs as they are"


def test_the_paper_has_the_cells_of_its_table_with_five_seeds():
    runs = grid("paper")
    cells = {(run.network, run.dataset) for run in runs}
    assert (len(cells), len(runs)) == (len(paper_table()), len(paper_table()) * 6 * 5)
    letters = {name.lower().replace("-", "").replace("_", "") for name, _ in paper_table()}
    assert {n.replace("_bottleneck", "").replace("_", "") for n in PAPER_NETWORKS} == letters


def test_the_ablation_fills_its_first_four_columns_before_the_others():
    runs = grid("ablation")
    assert [(run.seed, run.attention) for run in runs] == [
        (seed, name) for part in (ABLATION[:4], ABLATION[4:]) for seed in range(5) for name in part
    ]
    options = [run.arguments()[-2:] for run in runs if run.attention_options]
    assert options == [["--statistics", "leave_one_out"], ["--lam", "0.1"]] * 5
    # The columns that the study has are the study's runs, so its records count for both.
    shared = {run.id for run in grid("study")} & {run.id for run in runs}
    assert shared == {run.id for run in runs[:2] + runs[4:6] + runs[8:10]}


@pytest.mark.parametrize("name", GRIDS)
def test_every_run_of_a_grid_has_a_name_of_its_own_and_whole_seeds_come_first(name):
    runs = grid(name)
    assert len({run.id for run in runs}) == len(runs)
    seeds = [run.seed for run in runs]
    half = 20 if name == "ablation" else len(runs)
    assert seeds == sorted(seeds[:half]) + sorted(seeds[half:])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: grid("big"), "grid must be one of study, ablation, paper, smoke, got 'big'"),
        *((partial(grid, "study", seeds=seeds), r"seeds? must be") for seeds in ([], [0, 0], [-1], [2**64])),
        *(
            (partial(shard, [], text), "a part K/N must have K from 1 to N")
            for text in ("0/3", "4/3", "1", "a/b", "1/0", "-1/3", "1/3/5", "", "1.0/2", "²/3")
        ),
        (partial(Run, network="resnet21"), "depth of .* got 21"),
        (partial(Run, attention="gated"), "attention must be one of"),
        (partial(Run, attention="se", attention_options={"lam": 1}), "does not take"),
        (partial(Run, slot="middle"), "slot must be one of"),
        (partial(Run, dataset="mnist"), "dataset must be one of"),
        (partial(Run, recipe="fast"), "recipe must be one of"),
        (partial(Run, epochs=2.5), "epochs must be a whole number of at least 1, got 2.5"),
        (
            Run(attention="se", attention_options={"reduction": 8}).arguments,
            "must be of lam, statistics for simam-edu train, got reduction",
        ),
    ],
)
def test_an_unknown_grid_a_bad_seed_shard_or_run_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        wrong()


@pytest.mark.parametrize("count", [1, 2, 3, 8, 30])
def test_the_shards_are_disjoint_and_all(count):
    runs = grid("study")
    parts = [shard(runs, f"{k + 1}/{count}") for k in range(count)]
    assert sorted(run.id for piece in parts for run in piece) == sorted(run.id for run in runs)
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


@pytest.mark.parametrize(
    "given",
    [
        *({"attention": name, "epochs": epochs} for name in ("none", "simam") for epochs in (None, 10, 20)),
        {"held_out": 0.1},
        {"attention_options": {"lam": 0.1}},
    ],
)
def test_a_run_and_its_record_have_the_same_name(given):
    run = Run(**given)
    changes = {"epochs": run.total_epochs, "held_out": run.held_out}
    changes["attention_options"] = dict(run.attention_options)
    assert run.id == run_id(made_record(run.attention, **changes))


@pytest.mark.parametrize("run", [*grid("smoke"), *grid("ablation", seeds=[3])], ids=lambda run: run.id)
def test_the_arguments_of_a_run_make_its_configuration_again(run):
    options = cli.parse(["train", *run.arguments()])
    read = asdict(TrainConfig.from_options(options)) | {"dataset": options.dataset}
    assert read == asdict(run)
