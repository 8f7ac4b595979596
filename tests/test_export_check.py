"""What check says of fake runtimes with one fault each, and which nodes are SimAM's."""

import numpy as np
import pytest
import torch
from torch import nn

from simam_edu import SimAM
from simam_edu.energy import gain
from simam_edu.export import FEEDS, OFF, VERDICTS, check, feed, simam_nodes
from test_exported_form import write
from toolchains import TenLines

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


def to_steps(values, bits=8):
    """Round to the steps of an integer, one scale for all channels."""
    step = np.abs(values).max() / (2 ** (bits - 1) - 1)
    return np.round(values / step) * step


def variance_in_int8(x):
    """The ten lines with squares and variances in eight bits of one scale."""
    square = np.square(x - x.mean((-2, -1), keepdims=True))
    v = to_steps(square.mean((-2, -1), keepdims=True))
    return x / (1 + np.exp(-0.5 - to_steps(square) / (4 * (v + 1e-4))))


def in_place(x):
    y = x * gain(x)
    x[:] = 0
    return y


@pytest.mark.parametrize(
    ("run", "verdict", "advice"),
    [
        (lambda x: SimAM()(torch.from_numpy(x)), "right", None),
        (in_place, "right", None),
        (lambda x: x, "saturated", "every size"),
        (lambda x: x * OFF, "off", "every size"),
        (lambda x: to_steps(to_steps(x) * gain(to_steps(x))), "rounded", "16 bits"),
    ],
)
def test_for_every_input_the_verdict_and_the_advice_are(run, verdict, advice):
    report = check(run)
    assert {finding.verdict for finding in report.findings} == {verdict}
    assert len(report.advice) == (advice is not None)
    assert all(advice in line for line in report.advice)
    kept = {"right": 1, "off": 0}.get(verdict)
    assert kept is None or all(found.kept == pytest.approx(kept, abs=0.05) for found in report.findings)
    if verdict in ("saturated", "off"):  # rounding hides no attention that is lost
        rounded = check(lambda x: to_steps(run(x)), feeds=["std 1", "std 300", "mean 100"])
        assert {finding.verdict for finding in rounded.findings} == {verdict}


def test_each_fault_shows_at_its_inputs_and_names_its_cure():
    def verdicts(run):
        report = check(run)
        worst = {
            name: max((f.verdict for f in report.findings if f.feed == name), key=VERDICTS.index)
            for name in FEEDS
        }
        return worst, str(report)

    half, advice = verdicts(lambda x: ten_lines(x, np.float16))
    assert (half["std 1"], half["std 30"], half["std 300"]) == ("right", "off", "NaN")
    assert "float16" in advice
    loud = check(lambda x: ten_lines(x, np.float16), feeds=["std 30", "std 300"])
    assert ["at every size" in line for line in loud.advice] == [True], "no cause without std 1"
    int8, advice = verdicts(variance_in_int8)
    assert int8["std 1"] in ("right", "rounded")
    assert VERDICTS.index(int8["mixed"]) >= VERDICTS.index("wrong")
    assert "exclude the nodes" in advice
    frozen = check(lambda x: ten_lines(x, positions=32 * 32), shapes=[(1, 8, 32, 32), (1, 8, 80, 80)])
    assert {f.verdict for f in frozen.findings if f.shape[2] == 32} == {"right"}
    assert {f.verdict for f in frozen.findings if f.shape[2] == 80} == {"wrong"}
    assert ["froze the map size" in line for line in frozen.advice] == [True]


def test_lam_statistics_and_tolerance_are_those_of_the_module():
    module = SimAM(lam=0.5, statistics="leave_one_out")
    run = lambda x: module(torch.from_numpy(x))  # noqa: E731
    assert check(run, lam=0.5, statistics="leave_one_out").verdict == "right"
    assert check(run, feeds=["std 1"]).verdict == "wrong"
    half = check(lambda x: SimAM()(torch.from_numpy(x).bfloat16()), feeds=["std 1"], tolerance=0.02)
    assert half.verdict == "right"
    run = lambda x: SimAM()(torch.from_numpy(x).bfloat16())  # noqa: E731
    assert check(run, feeds=["std 1"], tolerance=1e-4).verdict == "rounded"


@pytest.mark.parametrize("name", FEEDS)
def test_a_feed_is_exact_in_float16(name):
    x = feed(name, (1, 8, 14, 14))
    assert x.dtype == np.float32
    assert (x == x.astype(np.float16)).all()


def test_a_shape_may_be_a_list():
    (found,) = check(lambda x: SimAM()(torch.from_numpy(x)), shapes=[[1, 8, 4, 4]], feeds=["std 1"]).findings
    assert (found.verdict, found.shape) == ("right", (1, 8, 4, 4))


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


def test_the_nodes_of_the_form_by_a_built_in_norm_are_named_too():
    parser = pytest.importorskip("onnx.parser", reason="onnx is not installed")
    model = parser.parse_model("""<ir_version: 10, opset_import: ["" : 18]>
        net (float[n, 2, h, w] x) => (float[n, 2, h, w] y)
        <float[2] s = {1.0, 1.0}, float[2] b = {0.0, 0.0}> {
            [norm] z = InstanceNormalization (x, s, b)
            [square] w = Mul (z, z)
            [gain] g = Sigmoid (w)
            [out] y = Mul (x, g)
        }""")
    assert simam_nodes(model) == (("norm", "square", "gain", "out"),)


@pytest.mark.parametrize(("dynamo", "dynamic"), [(False, False), (False, True), (True, True)])
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
    for node in model.graph.node:
        node.name = ""
    with pytest.raises(ValueError, match="must have names"):
        simam_nodes(model)
