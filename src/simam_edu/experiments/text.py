"""Tables as text that reads well in a terminal and is a table on a page as well."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from simam_edu.experiments.report import Column, Table
from simam_edu.experiments.statistics import Estimate

WORDS = {
    "none": "no module", "simam": "SimAM", "se": "SE", "cbam": "CBAM", "eca": "ECA", "gc": "GC",
    "other_image": "another image", "one_sided": "one-sided",
    "pre_norm": "before the norm", "post_norm": "after the norm",
}  # fmt: skip
"""What the parts of a column's name are called in prose; all others stay as they are."""


def interval(estimate: Estimate | None, form: str) -> str:
    """Return the ends of an interval, or nothing where there is none."""
    ends = [] if estimate is None or estimate.low is None else [estimate.low, estimate.high]
    return " to ".join(format(end, form) for end in ends)


def p_value(p: float | None) -> str:
    """Return a p-value with three decimals, or nothing where there is none."""
    return "" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


Cells = tuple[tuple[str, Callable[[Column], str]], ...]
"""The head of each column of a text, and what stands in its cells."""

ACCURACY: Cells = (
    ("module", lambda c: c.name),
    ("runs", lambda c: str(c.accuracy.n)),
    ("accuracy, %", lambda c: f"{c.accuracy.mean:.2f}"),
    ("std", lambda c: "" if c.accuracy.std is None else f"{c.accuracy.std:.2f}"),
    ("95 % interval", lambda c: interval(c.accuracy, ".2f")),
)
DIFFERENCE: Cells = (
    ("minus {baseline}, points", lambda c: f"{c.difference.mean:+.2f}" if c.difference else ""),
    ("95 % interval", lambda c: interval(c.difference, "+.2f")),
    ("p", lambda c: p_value(c.difference.p if c.difference else None)),
    ("p, corrected", lambda c: p_value(c.corrected_p)),
    ("minutes", lambda c: f"{c.minutes:.0f}" if c.minutes >= 10 else f"{c.minutes:.1f}"),
)


def markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown, its columns aligned so that it reads as well in a terminal.

    Raises:
        ValueError: If a row has another number of cells than the heads.

    >>> print(markdown(["module", "runs"], [["SimAM", "3"]]))
    | module | runs |
    | ------ | ---- |
    | SimAM  | 3    |
    """
    for row in rows:
        if len(row) != len(heads):
            raise ValueError(f"each row must have {len(heads)} cells, got {len(row)}: {row}")
    widths = [max(len(line[k]) for line in [heads, *rows]) for k in range(len(heads))]
    lines = [heads, ["-" * width for width in widths], *rows]
    padded = ([cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in padded)


def accuracy_table(table: Table) -> str:
    """Return the columns of a table, each by itself: runs, mean, standard deviation and interval."""
    return _markdown(table, ACCURACY)


def difference_table(table: Table) -> str:
    """Return the differences from the baseline: over how many seeds, mean, interval and p-values."""
    seeds: Cells = (ACCURACY[0], ("seeds", lambda c: str(c.difference.n if c.difference else 0)))
    others = tuple(column for column in table.columns if column.name != table.baseline)
    return _markdown(replace(table, columns=others), seeds + DIFFERENCE[:-1])


def _markdown(table: Table, cells: Cells) -> str:
    heads = [head.format(baseline=table.baseline) for head, _ in cells]
    return markdown(heads, [[cell(column) for _, cell in cells] for column in table.columns])


def describe(table: Table) -> str:
    """Return the whole text on a table: what it is of, its columns, and what is missing or repeated."""
    common = table.common
    lines = [
        f"{table.network} on {table.dataset}, recipe {table.recipe}. Epochs: {common['epochs']}. Images "
        f"to learn from: {common['training_images']}, to test on: {common['test_images']}. In "
        f"{common['precision']}.",
        f"Images: {common['source']}",
        *(f"Machine: {machine}" for machine in table.machines),
        "",
        _markdown(table, ACCURACY + DIFFERENCE),
        "",
    ]
    if table.column(table.baseline) is None:
        names = ", ".join(column.name for column in table.columns)
        lines.append(f"Nothing is compared: {table.baseline} has no record. There are {names}.")
    if table.missing:
        lines.append(f"Missing for a full table: {', '.join(table.missing)}")
    if table.repeated:
        lines.append(f"Records that were there twice, word for word, and count once: {table.repeated}")
    return "\n".join(lines).rstrip() + "\n"


def column_in_words(name: str) -> str:
    """Return the name of a column as readers know it.

    >>> column_in_words("simam lam=0.1 pre_norm")
    'SimAM lam=0.1 before the norm'
    """
    return " ".join(WORDS.get(part, part) for part in name.split())


def table_in_words(table: Table) -> Table:
    """Return the table with its columns named by :func:`column_in_words`.

    >>> from simam_edu.experiments import make_tables
    >>> from simam_edu.training import recorded
    >>> (table,) = make_tables(recorded("study"))
    >>> [column.name for column in table_in_words(table).columns[:3]]
    ['no module', 'CBAM after the norm', 'ECA after the norm']
    """
    columns = tuple(replace(column, name=column_in_words(column.name)) for column in table.columns)
    return replace(table, baseline=column_in_words(table.baseline), columns=columns)


def in_words(difference: Estimate | None, corrected_p: float | None) -> str:
    """Return what can be said of a difference: larger than the noise or not, alone and among the others.

    Its p-value is corrected for the comparisons that were made with it; ``None`` shares no seed.

    >>> from simam_edu.experiments import estimate
    >>> in_words(estimate([0.25, 0.5, 0.75]), corrected_p=0.12)
    'above, but by no more than the noise'
    >>> in_words(estimate([0.25, 0.5, 0.5, 0.75]), corrected_p=0.06)
    'above, and by more than the noise if it were the only comparison; corrected, not'
    """
    if difference is None:
        return "no seed is shared yet, so nothing can be said"
    if difference.p is None or corrected_p is None:
        seeds = "one seed" if difference.n == 1 else f"{difference.n} seeds without any spread"
        return f"{seeds}, so nothing can be said about the noise"
    direction = "above" if difference.mean > 0 else "below" if difference.mean < 0 else "level"
    if corrected_p < 0.05:
        return f"{direction}, and by more than the noise"
    if difference.p < 0.05:
        return f"{direction}, and by more than the noise if it were the only comparison; corrected, not"
    return f"{direction}, but by no more than the noise"
