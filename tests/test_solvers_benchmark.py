"""The benchmark of M fits against one closed form runs, and writes what the page reads."""

import json
from pathlib import Path

import numpy as np
import pytest

KEPT = Path(__file__).resolve().parent.parent / "book" / "results" / "fits.jsonl"


@pytest.fixture(scope="module")
def fits(benchmark_script):
    return benchmark_script("fits")


def test_all_methods_find_the_same_energies_across_blocks(fits, monkeypatch):
    monkeypatch.setattr(fits, "BLOCK", 7)  # does not divide the number of neurons
    x = np.random.default_rng(0).normal(50, 2, 20)
    wanted = fits.one_pass(x)
    for name, method in fits.METHODS.items():
        np.testing.assert_allclose(method(x), wanted, rtol=1e-8, err_msg=name)
    monkeypatch.setitem(fits.METHODS, "wrong", lambda x: fits.one_pass(x) + 1)
    with pytest.raises(ArithmeticError, match="wrong must find the energies of the closed form at 8 neurons"):
        fits.measure([8], repeats=1)


def test_the_record_has_what_the_page_reads(fits, tmp_path):
    out = tmp_path / "fits.jsonl"
    fits.main(["--out", str(out), "--sizes", "8", "16", "--repeats", "1"])
    record, kept = (json.loads(file.read_text()) for file in (out, KEPT))
    assert record.keys() == kept.keys()
    assert record["seconds"].keys() == kept["seconds"].keys() == fits.METHODS.keys()
    assert all(len(times) == 2 and min(times) > 0 for times in record["seconds"].values())
    assert kept["sizes"] == list(fits.SIZES)
    assert {"processor", "cores", "numpy", "scipy"} <= record["environment"].keys()
