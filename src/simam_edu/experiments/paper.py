"""Table 2 of the paper, and what its means and standard deviations say.

Source: Yang, Zhang, Li, Xie, "SimAM: A Simple, Parameter-Free Attention Module for Convolutional Neural
Networks", ICML 2021, Table 2.
"""

import csv
from importlib.resources import files

from simam_edu.experiments.statistics import Estimate, welch

TRIALS = 5
"""Runs per cell, as the paper says."""

Cell = tuple[str, str]
"""A network and a data set."""


def paper_table() -> dict[Cell, dict[str, tuple[float, float]]]:
    """Return mean and deviation of the top-1 accuracy in percent, by cell and module.

    >>> paper_table()["ResNet-20", "CIFAR-10"]["simam"]
    (92.73, 0.18)
    """
    text = files("simam_edu.results").joinpath("paper_table2.csv").read_text(encoding="utf-8")
    table: dict[Cell, dict[str, tuple[float, float]]] = {}
    for row in csv.DictReader(text.splitlines()):
        cell = table.setdefault((row["network"], row["dataset"]), {})
        cell[row["module"]] = (float(row["mean"]), float(row["std"]))
    return table


def paper_differences(module: str, baseline: str = "none") -> dict[Cell, Estimate]:
    """Return the difference of two modules in each cell, in percentage points, by :func:`.welch`.

    The paper does not say how it divides in its standard deviation; one less than the number of runs is
    assumed.

    Raises:
        ValueError: If a module is none of ``"none"``, ``"se"``, ``"cbam"``, ``"eca"``, ``"gc"``, ``"simam"``.

    >>> found = paper_differences("simam").values()
    >>> len(found), sum(difference.clear for difference in found)
    (16, 10)
    """
    table = paper_table()
    names = list(next(iter(table.values())))
    for argument, name in (("module", module), ("baseline", baseline)):
        if name not in names:
            raise ValueError(f"{argument} must be one of {', '.join(names)}, got {name!r}")
    return {cell: welch(*row[module], *row[baseline], n=TRIALS) for cell, row in table.items()}
