"""The benchmark of M fits against one closed form runs, and writes what the page reads."""

import json
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def fits(benchmark_script):
    return benchmark_script("fits")


def test_all_methods_find_the_same_energies_across_blocks(fits, monkeypatch):
    monkeypatch.setattr(fits, "BLOCK", 7)  # does not divide the number of neurons
    x = np.random.default_rng(0).normal(50, 2, 20)
    wanted = fits.one_pass(x)
    for name, method in fits.METHODS.items():
        np.testing.assert_allclose(method(x), wanted, rtol=1e-8, err_msg=name)


def test_a_method_that_finds_something_else_is_refused(fits, monkeypatch):
    monkeypatch.setitem(fits.METHODS, "wrong", lambda x: fits.one_pass(x) + 1)
    with pytest.raises(ArithmeticError, match="wrong must find the energies of the closed form at 8 neurons"):
        fits.measure([8], repeats=1)


def test_the_record_has_what_the_page_reads(fits, tmp_path, capsys):
    out = tmp_path / "fits.jsonl"
    fits.main(["--out", str(out), "--sizes", "8", "16", "--repeats", "1"])
    (line,) = out.read_text().splitlines()
    record = json.loads(line)
    (kept,) = (ROOT / "book" / "results" / "fits.jsonl").read_text().splitlines()
    kept = json.loads(kept)
    assert record.keys() == kept.keys()
    assert record["seconds"].keys() == kept["seconds"].keys() == fits.METHODS.keys()
    assert all(len(times) == 2 and min(times) > 0 for times in record["seconds"].values())
    assert kept["sizes"] == list(fits.SIZES)
    assert {"processor", "cores", "numpy", "scipy"} <= record["environment"].keys()
    assert "16 neurons" in capsys.readouterr().out
