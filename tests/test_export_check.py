"""What check says of fake runtimes with one fault each, and which nodes are SimAM's."""

import numpy as np
import pytest
import torch
from torch import nn

from simam_edu import SimAM
from simam_edu.energy import gain
from simam_edu.export import FEEDS, OFF, VERDICTS, check, feed, simam_nodes
from test_exported_form import write

pytestmark = pytest.mark.filterwarnings("ignore")  # of torch's older exporter


def ten_lines(x, dtype=np.float32, positions=None):
    """The ten lines in a dtype, for a number of positions that may be frozen."""
    x = x.astype(dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        square = np.square(x - x.mean((-2, -1), keepdims=True, dtype=dtype))
        n = dtype((positions or x.shape[-2] * x.shape[-1]) - 1)
        v = square.sum((-2, -1), keepdims=True, dtype=dtype) / n
        importance = square / (dtype(4) * (v + dtype(1e-4))) + dtype(0.5)
        return x / (dtype(1) + np.exp(-importance))


def to_steps(values, bits=8, span=None):
    """Round to the steps of an integer, one scale for all channels."""
    step = (np.abs(values).max() if span is None else span) / (2 ** (bits - 1) - 1)
    return np.round(values / step) * step


def variance_in_int8(x):
    """The ten lines with squares and variances in eight bits of one scale."""
    square = np.square(x - x.mean((-2, -1), keepdims=True))
    v = to_steps(square.mean((-2, -1), keepdims=True))
    return x / (1 + np.exp(-0.5 - to_steps(square) / (4 * (v + 1e-4))))


def verdicts(report):
    """The worst verdict of each feed."""
    return {
        name: max((f.verdict for f in report.findings if f.feed == name), key=VERDICTS.index)
        for name in FEEDS
    }


@pytest.mark.parametrize("module", [SimAM(), nn.Identity()], ids=["ours", "without"])
def test_ours_is_right_and_its_absence_is_saturated(module):
    report = check(lambda x: module(torch.from_numpy(x)))
    assert {finding.verdict for finding in report.findings} == {
        "saturated" if isinstance(module, nn.Identity) else "right"
    }


def test_what_is_right_has_no_advice_and_all_of_the_attention():
    report = check(lambda x: SimAM()(torch.from_numpy(x)))
    assert report.verdict == "right"
    assert report.advice == ()
    assert all(f.error < 1e-6 and f.kept == pytest.approx(1, abs=1e-5) for f in report.findings)


def test_an_output_in_bfloat16_is_read():
    report = check(lambda x: SimAM()(torch.from_numpy(x).bfloat16()), feeds=["std 1"], tolerance=0.02)
    assert report.verdict == "right"


def test_the_ten_lines_in_float16_are_off_at_std_30_and_nan_at_300():
    report = check(lambda x: ten_lines(x, np.float16))
    found = verdicts(report)
    assert (found["std 1"], found["std 30"], found["std 300"]) == ("right", "off", "NaN")
    assert "float16" in report.advice[0]


def test_a_frozen_size_is_wrong_at_another():
    report = check(lambda x: ten_lines(x, positions=32 * 32), shapes=[(1, 8, 32, 32), (1, 8, 80, 80)])
    assert {f.verdict for f in report.findings if f.shape[2] == 32} == {"right"}
    assert {f.verdict for f in report.findings if f.shape[2] == 80} == {"wrong"}
    assert len(report.advice) == 1
    assert "size" in report.advice[0]


def test_a_constant_gain_is_off_for_every_input():
    report = check(lambda x: x * OFF)
    assert {finding.verdict for finding in report.findings} == {"off"}
    assert all(finding.kept == pytest.approx(0, abs=1e-6) for finding in report.findings)
    assert "every input" in report.advice[0]


def test_int8_inside_is_wrong_where_channels_differ_and_names_the_cure():
    report = check(variance_in_int8)
    found = verdicts(report)
    assert found["std 1"] in ("right", "rounded")
    assert VERDICTS.index(found["mixed"]) >= VERDICTS.index("wrong")
    assert any("exclude the nodes" in line for line in report.advice)


def test_int8_outside_is_rounded_even_where_a_channel_has_a_step_or_two():
    report = check(lambda x: to_steps(to_steps(x) * gain(to_steps(x))))
    assert {finding.verdict for finding in report.findings} == {"rounded"}
    assert "16 bits" in report.advice[0]


@pytest.mark.parametrize(("one_gain", "verdict"), [(OFF, "off"), (1.0, "saturated")])
def test_rounding_hides_no_attention_that_is_lost(one_gain, verdict):
    report = check(lambda x: to_steps(x * one_gain), feeds=["std 1", "std 300", "mean 100"])
    assert {finding.verdict for finding in report.findings} == {verdict}


def test_a_networks_modules_are_told_apart():
    def run(x):
        y = SimAM()(torch.from_numpy(x))
        return {"stem": (x, y), "head": (y, y * OFF)}

    report = check(run, feeds=["std 1"])
    assert {(f.module, f.verdict) for f in report.findings} == {("stem", "right"), ("head", "off")}
    assert report.advice[0].startswith("head: ")
    assert "head" in str(report)


def test_a_channel_that_is_silenced_is_right_if_it_stays_so():
    def checked(left):
        def run(x):
            x = torch.from_numpy(x) * torch.tensor([1.0, 0.0])[:, None, None]
            return {"m": (x, SimAM()(x) + left * (x == 0))}

        return check(run, shapes=[(1, 2, 8, 8)], feeds=["std 1"]).findings[0]

    assert checked(0.0)[3:5] == ("right", pytest.approx(0.0, abs=1e-6))
    assert checked(torch.rand(8, 8))[3:5] == ("wrong", np.inf)


def test_lam_and_statistics_are_those_of_the_module():
    module = SimAM(lam=0.5, statistics="leave_one_out")
    run = lambda x: module(torch.from_numpy(x))  # noqa: E731
    assert check(run, lam=0.5, statistics="leave_one_out").verdict == "right"
    assert check(run, feeds=["std 1"]).verdict == "wrong"


def test_a_runtime_may_compute_in_place():
    def run(x):
        y = x * gain(x)
        x[:] = 0
        return y

    assert check(run).verdict == "right"


@pytest.mark.parametrize("name", FEEDS)
def test_a_feed_is_exact_in_float16(name):
    x = feed(name, (1, 8, 14, 14))
    assert x.dtype == np.float32
    assert (x == x.astype(np.float16)).all()


def test_what_cannot_be_checked_is_refused():
    with pytest.raises(ValueError, match=r"run must return an output .* got \(1, 8\)"):
        check(lambda x: x.mean((-2, -1)))
    with pytest.raises(ValueError, match="shapes and feeds"):
        check(lambda x: x, shapes=[])
    with pytest.raises(ValueError, match="name must be one of std 1"):
        feed("std 2", (1, 8, 14, 14))


class Gate(nn.Module):
    """Squeeze-and-excitation, with weights."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 1)

    def forward(self, x):
        return x * self.conv(x.mean((2, 3), keepdim=True)).sigmoid()


class TenLines(nn.Module):
    def forward(self, x):
        square = (x - x.mean(dim=[2, 3], keepdim=True)).pow(2)
        v = square.sum(dim=[2, 3], keepdim=True) / (x.shape[2] * x.shape[3] - 1)
        return x * (square / (4 * (v + 1e-4)) + 0.5).sigmoid()


@pytest.mark.parametrize("dynamo", [False, True], ids=["older", "newer"])
@pytest.mark.parametrize("dynamic", [False, True], ids=["fixed", "any size"])
def test_the_nodes_of_each_simam_are_named_and_no_others(tmp_path, dynamo, dynamic):
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.SiLU(), SimAM(), Gate(), nn.Conv2d(4, 4, 3), TenLines(), nn.ReLU()
    ).eval()
    model = write(network, str(tmp_path / "net.onnx"), (2, 3, 12, 14), dynamo=dynamo, dynamic=dynamic)
    named = simam_nodes(model)
    kinds = {node.name: node.op_type for node in model.graph.node}
    assert len(named) == 2
    assert not {kinds[name] for names in named for name in names} & {"Conv", "Relu"}
    ours, ten = ([kinds[name] for name in names] for names in named)
    assert {"ReduceMax", "Sqrt", "Sigmoid"} <= set(ours)
    assert "ReduceSum" in ten
    assert [names.count("Sigmoid") for names in (ours, ten)] == [1, 1]
    assert ours[-1] == ten[-1] == "Mul"


def test_nodes_without_a_name_are_refused(tmp_path):
    model = write(TenLines(), str(tmp_path / "ten.onnx"), (2, 3, 12, 14))
    for node in model.graph.node:
        node.name = ""
    with pytest.raises(ValueError, match="must have names"):
        simam_nodes(model)
