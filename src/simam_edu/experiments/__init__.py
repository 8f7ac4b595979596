"""Studies: grids of runs that resume, and what their records say.

The sweep itself is in :mod:`simam_edu.experiments.sweep`, which starts processes; import it where it is used.
"""

from simam_edu._renamed import renamed
from simam_edu.experiments.grid import GRIDS, Run, grid, run_id, shard
from simam_edu.experiments.paper import paper_differences, paper_table
from simam_edu.experiments.report import Column, Table, make_tables, missing_runs
from simam_edu.experiments.statistics import Estimate, estimate, holm, power, runs_needed, welch
from simam_edu.experiments.text import column_in_words, in_words, markdown, table_in_words

__all__ = [
    "GRIDS", "Column", "Estimate", "Run", "Table", "column_in_words", "estimate", "grid", "holm", "in_words",
    "make_tables", "markdown", "missing_runs", "paper_differences", "paper_table", "power", "run_id",
    "runs_needed", "shard", "table_in_words", "welch",
]  # fmt: skip

__getattr__ = renamed(__name__, {"part": ("shard", shard)})
