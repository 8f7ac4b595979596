"""The README: its first lines, its first result, its tree."""

import re

from notebooks import repository, site
from pages import ROOT
from simam_edu.experiments import make_tables
from simam_edu.training import recorded

README = (ROOT / "README.md").read_text("utf-8")


def test_first_ten_lines_have_the_book_the_first_result_and_the_install_line():
    first = "\n".join(README.splitlines()[:10])
    assert f"]({site()})" in first
    assert "First result: " in first
    assert f"pip install git+{repository()}" in first


def test_first_result_is_what_the_report_makes_of_the_records():
    (table,) = make_tables(recorded("study"))
    simam = table.column("simam pre_norm")
    gain = simam.difference
    assert f"{gain.mean:+.2f} points of test accuracy over no module" in README
    assert f"95 % interval {gain.low:+.2f} to {gain.high:+.2f} ({gain.n} seeds," in README
    assert f"{table.common['epochs']} epochs, not corrected" in README
    assert f"corrected, p = {simam.corrected_p:.3f})" in README


def test_five_seeds_and_the_shuffled_gains_are_those_of_the_ablation():
    for baseline, name, words in (
        ("none", "simam pre_norm", "seen, it is {}, {} (corrected for the ablation's comparisons, p = {})"),
        ("simam pre_norm", "shuffled pre_norm", "ends below SimAM: {} points, {} (corrected, p = {})."),
    ):
        (table,) = make_tables(recorded("ablation"), baseline=baseline)
        column = table.column(name)
        d = column.difference
        interval = f"{d.low:+.2f} to {d.high:+.2f}"
        assert words.format(f"{d.mean:+.2f}", interval, f"{column.corrected_p:.3f}") in README
        assert d.n == 5


def test_tree_has_each_module_of_the_package_and_nothing_that_is_not_there():
    package = ROOT / "src" / "simam_edu"
    tree = re.search(r"src/simam_edu/\n(.*?)^    tests/", README, re.MULTILINE | re.DOTALL)[1]
    named = set(re.findall(r"(?:^ +|; +)([a-z_]+(?:\.py|/)) ", tree, re.MULTILINE))
    parts = [path for path in package.iterdir() if path.suffix == ".py" or path.is_dir()]
    there = {path.name + "/" * path.is_dir() for path in parts}
    hidden = {name for name in there if name.startswith(("_", "cli_"))}
    assert named == there - hidden - {"arguments.py", "gallery.py"}  # the last is an old name
