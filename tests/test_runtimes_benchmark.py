"""The benchmark of runtimes: what it measures of a conversion, and how its record is written."""

import json
import sys
from pathlib import Path

import pytest
import torch

import runtimes
from simam_edu import SimAM
from simam_edu.export import FEEDS
from toolchains import measure

LINES = [json.loads(line) for line in runtimes.OUT.read_text("utf-8").splitlines()]


def conversion(**options):
    """One that runs the module itself, and counts how often it was asked."""
    asked = []

    def convert(module, x, folder, spare=False):  # noqa: ARG001
        asked.append((x.shape[-1], spare))
        return measure.Converted(lambda x: module(torch.from_numpy(x)).detach(), {"Mul": 1})

    return measure.Conversion(convert, **options), asked


@pytest.mark.parametrize(
    ("options", "conversions"),
    [({"free": True}, 1), ({}, 2), ({"calibrated": True}, 2 * len(FEEDS))],
    ids=["free", "fixed", "calibrated"],
)
def test_each_form_is_converted_as_often_as_its_precision_needs(tmp_path, options, conversions):
    how, asked = conversion(**options)
    for form in ("ten lines", "ours", "instance norm"):
        line = measure.gain(how, form, [8, 12], tmp_path)
        assert line["verdict"] == "right", form
        assert len(line["findings"]) == 2 * len(FEEDS)
    assert len(asked) == 3 * conversions


def test_what_a_conversion_says_is_kept_without_the_folders_of_this_machine(tmp_path):
    def convert(_module, _x, folder):
        raise RuntimeError(f"cannot write {folder}/m.onnx")

    line = measure.gain(measure.Conversion(convert), "ours", [8], tmp_path)
    assert (line["converts"], line["findings"]) == (False, [])
    assert line["message"].startswith("RuntimeError: cannot write ")
    assert str(tmp_path) not in line["message"]


def test_a_network_in_float_is_right_and_one_without_attention_keeps_nothing(tmp_path, monkeypatch):
    how, asked = conversion()
    line = measure.recipe(how, "ours", True, tmp_path)
    assert line["error"] < 1e-6
    assert line["kept"] == pytest.approx(1, abs=1e-5)
    assert asked == [(32, True)]

    def without(module, x, folder, spare):  # noqa: ARG001
        module[2] = measure.Off()
        return measure.Converted(lambda x: module(torch.from_numpy(x)).detach(), {})

    assert measure.recipe(measure.Conversion(without), "ours", False, tmp_path)["kept"] == 0
    monkeypatch.setitem(measure.FORMS, "ours", lambda: SimAM(lam=10.0))
    assert measure.recipe(how, "ours", False, tmp_path)["error"] < 1e-6


def test_forms_are_timed_against_the_ten_lines(tmp_path):
    how, _ = conversion()
    line = measure.latency(how.convert, [1, 2, 4, 4], 2, tmp_path)
    assert line["ratio"]["ten lines"] == 1
    assert min(line["milliseconds"].values()) > 0


def test_a_process_that_ends_costs_one_line(monkeypatch):
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    pytest.importorskip("onnxscript", reason="onnxscript is not installed")
    monkeypatch.setitem(runtimes.RUNTIMES, "onnxruntime", ("ort", ["onnxruntime==0"]))
    job = {"kind": "gain", "precision": "float32, newer exporter", "form": "ours", "sizes": [8]}
    jobs = [job | {"precision": "none"}, job]
    lost, found = runtimes.measure("onnxruntime", jobs, Path(sys.executable))
    assert lost["message"] == "ended with 1: KeyError: 'none'"
    assert found["verdict"] == "right"
    assert set(found["versions"]) == {"torch", "onnxruntime"}


def test_a_line_takes_the_place_of_its_own_kind_alone(tmp_path):
    out = tmp_path / "lines.jsonl"
    gain = {"runtime": "mnn", "kind": "gain", "precision": "float32", "form": "ours"}
    gain["verdict"] = "wrong"
    recipe = gain | {"kind": "recipe", "recipe": "default"}
    for line in (gain, recipe, recipe | {"recipe": "SimAM in float"}, gain | {"verdict": "right"}):
        runtimes.write(line, out)
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    found = [line.get("recipe", line["verdict"]) for line in lines]
    assert found == ["default", "SimAM in float", "right"]


def test_jobs_and_lines_have_the_same_identity():
    for name in runtimes.RUNTIMES:
        for job in runtimes.jobs(name, timed=False):
            line = {key: job[key] for key in job if key not in ("sizes", "spare")}
            line["runtime"] = name
            if job["kind"] == "recipe":
                line["recipe"] = "SimAM in float" if job["spare"] else "default"
            assert runtimes.identity(line) == runtimes.identity({"runtime": name} | job)


def test_the_record_has_silent_failures_of_the_ten_lines_and_none_of_ours_but_inside_int8():
    gains = {(x["runtime"], x["precision"], x["form"]): x for x in LINES if x["kind"] == "gain"}
    for (runtime, precision, form), line in gains.items():
        if form == "ours" and "int8" not in precision:
            assert line["converts"], (runtime, precision)
            assert line.get("verdict") in ("right", "rounded", None), (runtime, precision)
    assert gains["onnxruntime", "float16 as declared", "ten lines"]["verdict"] == "NaN"
    assert gains["ncnn", "float32", "ten lines"]["verdict"] == "wrong"


def test_the_record_says_what_keeps_attention_in_int8():
    names = ("runtime", "precision", "form", "recipe")
    recipes = {tuple(x[n] for n in names): x for x in LINES if x["kind"] == "recipe"}
    for (runtime, precision, form, how), line in recipes.items():
        if how == "SimAM in float" and form == "ours":
            assert line["kept"] == pytest.approx(1, abs=0.1), (runtime, precision, form)
    assert recipes["openvino", "int8 by nncf", "ten lines", "default"]["kept"] < 0.2
