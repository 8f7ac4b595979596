"""From records to tables: a column for each module and place, a row for each seed."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from simam_edu.experiments.grid import UNSAID, Run, run_id
from simam_edu.experiments.statistics import Estimate, estimate, holm
from simam_edu.training.record import Record

EQUAL_IN_A_TABLE = (
    "source", "recipe_values", "epochs", "held_out", "training_images", "test_images", "precision",
    "processes",
)  # fmt: skip
"""What changes the quantity that is measured: all records of a table must agree in it."""

EQUAL_IN_A_ROW: dict[str, Callable[[Record], str]] = {
    "torch": lambda record: record["environment"]["torch"],
    "device": lambda record: record["device"].partition(":")[0],  # cuda:0 and cuda:1 are the same
}
"""What changes the rounding and the random numbers: the records of one seed must agree in it.

A paired difference is to be the module's alone. Between seeds these may differ, as the seeds do, so that
seeds can be added on another machine or with a later torch.
"""


@dataclass(frozen=True, kw_only=True)
class Column:
    """One module in one place, over the seeds."""

    name: str  #: see column_name
    accuracies: Mapping[int, float]  #: test accuracy in percent, by seed
    accuracy: Estimate  #: their mean, with its interval
    #: To the baseline over the seeds that both have, in percentage points; None where no seed is shared.
    difference: Estimate | None
    corrected_p: float | None  #: of the difference, corrected by Holm for the columns of the table
    minutes: float  #: mean per run


@dataclass(frozen=True, kw_only=True)
class Table:
    """The records of one network, data set and recipe."""

    network: str
    dataset: str
    recipe: str
    common: Mapping[str, Any]  #: what all records share, by the keys of EQUAL_IN_A_TABLE
    baseline: str  #: the column that the others are compared with
    columns: tuple[Column, ...]  #: the baseline first, then the others in the order of their names
    missing: tuple[str, ...]  #: names of runs that would make the table full: its columns times its seeds
    repeated: int  #: how many records were there a second time, word for word, and were left out
    machines: tuple[str, ...]  #: the processors and versions of torch of the records

    def column(self, name: str) -> Column | None:
        """Return the column of a name, or ``None``."""
        return next((column for column in self.columns if column.name == name), None)


def make_tables(records: Iterable[Record], *, baseline: str = "none") -> list[Table]:
    """Return one table for each network, data set and recipe of the records.

    Args:
        records: Of finished runs, in any order.
        baseline: The column that the others are compared with, seed by seed. Where it has no records, nothing
            is compared.

    Raises:
        ValueError: If there is no record; one is not that of a run; two records of a run differ; or records
            differ in what they must share (:data:`EQUAL_IN_A_TABLE`, :data:`EQUAL_IN_A_ROW`).

    >>> from simam_edu.training import recorded
    >>> (table,) = make_tables(recorded("study"))
    >>> table.column("simam pre_norm").difference.clear, len(table.columns)
    (True, 7)
    """
    every = [UNSAID | record for record in records]
    if not every:
        raise ValueError("records must be at least one, got none; run a sweep first")
    try:
        by_table = _grouped(every, itemgetter("network", "dataset", "recipe"))
        return [_table(rows, baseline) for _, rows in sorted(by_table.items())]
    except KeyError as error:
        raise ValueError(f"records must be those of runs, got one without {error}") from error


def missing_runs(records: Iterable[Record], runs: Iterable[Run]) -> list[str]:
    """Return the names of those runs of a grid that have no record.

    >>> from simam_edu.experiments import grid
    >>> missing_runs([], grid("smoke", seeds=[7]))[0]
    'resnet20-none-shapes-smoke-s7-8b5d74b1'
    """
    there = {run_id(record) for record in records}
    return [run.id for run in runs if run.id not in there]


def column_name(record: Record) -> str:
    """Return the name of a record's column: module, options and place, ``"simam lam=0.1 pre_norm"``.

    ``"none"`` has no place. First weights other than ``"he"`` follow.
    """
    options = [
        f"{key}={value if isinstance(value, str) else format(value, 'g')}"
        for key, value in sorted(record["attention_options"].items())
    ]
    place = [] if record["attention"] == "none" else [record["slot"]]
    weights = {**UNSAID, **record}["first_weights"]
    start = [] if weights == "he" else [f"first_weights={weights}"]
    return " ".join([record["attention"], *options, *place, *start])


def _grouped(records: Iterable[Record], key: Callable[[Record], Any]) -> dict[Any, list[Record]]:
    groups: dict[Any, list[Record]] = {}
    for record in records:
        groups.setdefault(key(record), []).append(record)
    return groups


def _table(records: list[Record], baseline: str) -> Table:
    unique = _without_repeats(records)
    runs = sorted(unique.values(), key=itemgetter("seed"))
    common = {key: _agreed(runs, key, itemgetter(key), "all records of a table") for key in EQUAL_IN_A_TABLE}
    by_seed = _grouped(runs, itemgetter("seed"))
    for seed, row in by_seed.items():
        for key, value in EQUAL_IN_A_ROW.items():
            _agreed(row, key, value, f"all records of seed {seed}")
    by_column = _grouped(runs, column_name)
    wanted = [run_id({**rows[0], "seed": seed}) for seed in by_seed for rows in by_column.values()]
    return Table(
        network=records[0]["network"],
        dataset=records[0]["dataset"],
        recipe=records[0]["recipe"],
        common=common,
        baseline=baseline,
        columns=_columns(by_column, baseline),
        missing=tuple(name for name in wanted if name not in unique),
        repeated=len(records) - len(unique),
        machines=tuple(sorted({_machine(record) for record in runs})),
    )


def _columns(by_column: Mapping[str, list[Record]], baseline: str) -> tuple[Column, ...]:
    accuracies = {
        name: {record["seed"]: 100 * record["test_accuracy"] for record in by_column[name]}
        for name in sorted(by_column, key=lambda name: (name != baseline, name))
    }
    base = accuracies.get(baseline, {})
    differences = {
        # Accuracies are counts over counts: what differs behind the ninth decimal is rounding.
        name: estimate([round(of_seed[seed] - base[seed], 9) for seed in of_seed if seed in base])
        for name, of_seed in accuracies.items()
        if name != baseline and of_seed.keys() & base.keys()
    }
    tested = {name: found.p for name, found in differences.items() if found.p is not None}
    corrected = dict(zip(tested, holm(list(tested.values())), strict=True))
    return tuple(
        Column(
            name=name,
            accuracies=of_seed,
            accuracy=estimate(list(of_seed.values())),
            difference=differences.get(name),
            corrected_p=corrected.get(name),
            minutes=sum(record["minutes"] for record in by_column[name]) / len(of_seed),
        )
        for name, of_seed in accuracies.items()
    )


def _without_repeats(records: list[Record]) -> dict[str, Record]:
    unique: dict[str, Record] = {}
    for record in records:
        name = run_id(record)
        if unique.setdefault(name, record) != record:
            raise ValueError(
                f"each run must have one record, got two of {name} that differ, finished "
                f"{unique[name]['finished']} and {record['finished']}; leave one of them out"
            )
    return unique


def _agreed(records: list[Record], key: str, value: Callable[[Record], Any], which: str) -> Any:
    """Return the value that all records have."""
    found = {json.dumps(value(record), sort_keys=True): run_id(record) for record in records}
    if len(found) > 1:
        told = " and ".join(f"{value} ({name})" for value, name in list(found.items())[:2])
        raise ValueError(f"{which} must have the same {key}, got {told}; report on them apart")
    return value(records[0])


def _machine(record: Record) -> str:
    where = record["environment"]
    return f"{where['processor']}, threads: {where['threads']}, {record['device']}, torch {where['torch']}"
