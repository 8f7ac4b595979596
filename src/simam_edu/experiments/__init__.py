"""Studies: grids of runs that resume, and what their records say.

The sweep itself is in :mod:`simam_edu.experiments.sweep`; it locks files as only Unix does, so it is imported
where it is used and everything else works everywhere.
"""

from simam_edu.experiments.grid import GRIDS, Run, grid, part, run_id
from simam_edu.experiments.paper import paper_differences, paper_table
from simam_edu.experiments.report import Column, Table, make_tables, missing_runs
from simam_edu.experiments.statistics import Estimate, estimate, holm, power, runs_needed, welch
from simam_edu.experiments.text import in_words, markdown

__all__ = [
    "GRIDS",
    "Column",
    "Estimate",
    "Run",
    "Table",
    "estimate",
    "grid",
    "holm",
    "in_words",
    "make_tables",
    "markdown",
    "missing_runs",
    "paper_differences",
    "paper_table",
    "part",
    "power",
    "run_id",
    "runs_needed",
    "welch",
]
