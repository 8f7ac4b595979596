"""The form of SimAM that exporters are given: against the reference, in float16, and of what operators."""

import numpy as np
import pytest
import torch

from simam_cases import STATISTICS, draw, gradient
from simam_edu import SimAM
from simam_edu.kernels import exported, reference
from simam_edu.kernels.options import Options

pytestmark = pytest.mark.filterwarnings("ignore")  # of torch, of its own older parts

SIZES = [(7, 7), (32, 32), (80, 80)]
SPREADS = np.geomspace(0.1, 3.0, 8)
INPUTS = {
    "std 1": (0, 1),
    "std 30": (0, 30),
    "std 300": (0, 300),
    "mean 100": (100, 1),
    "mixed": (0, SPREADS),
}
PLAIN = {
    "Add", "Constant", "Div", "Mul", "ReduceMax", "ReduceMean", "ReduceMin", "Reciprocal", "Relu", "Sigmoid",
    "Sqrt", "Sub",
}  # fmt: skip
OF_SIZES = {"Cast", "Concat", "Gather", "Shape", "Squeeze", "Unsqueeze"}
every_statistics = pytest.mark.parametrize("statistics", STATISTICS)


def maps(name, shape, dtype=torch.float32):
    mean, std = INPUTS[name]
    each = torch.as_tensor(std).expand(8).reshape(1, 8, *(1,) * len(shape))
    return (mean + each * draw(2, 8, *shape, dtype=torch.float64)).to(dtype)


def gain_error(y, x, options):
    """Return the largest error of a gain where it can be read off: away from zero."""
    exact = x.double()
    wanted = reference.simam(exact, options) / exact
    far = exact.abs() > exact.abs().amax((-2, -1), keepdim=True) / 20
    return float(((y.double() / exact - wanted).abs() * far).max())


def in_float16(model):
    """Return a model with every float32 in it as float16, as converters make it."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    float32, float16 = onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16

    def convert(tensor):
        if tensor.data_type == float32:
            half = onnx.numpy_helper.to_array(tensor).astype(np.float16)
            tensor.CopyFrom(onnx.numpy_helper.from_array(half, tensor.name))

    for tensor in model.graph.initializer:
        convert(tensor)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = float16
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.name == "value":
                convert(attribute.t)
            if node.op_type == "Cast" and attribute.i == float32:
                attribute.i = float16
    del model.graph.value_info[:]
    return model


def write(module, file, shape, *, dynamo=False, dynamic=True):
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    if dynamo:
        pytest.importorskip("onnxscript", reason="onnxscript is not installed")
    dim = torch.export.Dim
    if dynamo:
        sizes = {"dynamic_shapes": ({0: dim("n"), 2: dim("h", min=2), 3: dim("w", min=2)},)}
    else:
        sizes = {"dynamic_axes": {"x": {0: "n", 2: "h", 3: "w"}}} if dynamic else {}
        sizes["input_names"] = ["x"]
    torch.onnx.export(module, (draw(*shape),), file, dynamo=dynamo, opset_version=18, verbose=False, **sizes)
    return onnx.load(file)


@every_statistics
@pytest.mark.parametrize("lam", [0.0, 1e-4])
def test_its_gain_is_the_references_to_1e_6_at_any_spread_mean_and_size(statistics, lam):
    for shape in (*SIZES, (1, 2), (300,), (3, 4, 5)):
        options = Options(lam, statistics, len(shape))
        for name in INPUTS:
            x = maps(name, shape)
            assert gain_error(exported.simam(x, options), x, options) <= 1e-6, (name, shape)


@every_statistics
@pytest.mark.parametrize("lam", [0.0, 1e-4])
@pytest.mark.parametrize("value", [0.0, 0.1, -3e4])
def test_a_constant_channel_has_the_gain_of_one_half(statistics, lam, value):
    x, options = torch.full((1, 2, 7, 7), value), Options(lam, statistics)
    torch.testing.assert_close(exported.simam(x, options), x * torch.tensor(0.5).sigmoid())
    if lam:
        assert gradient(lambda t: exported.simam(t, options), x, torch.ones_like(x)).isfinite().all()


@every_statistics
def test_its_gradient_is_the_references(statistics):
    x, grad_output = draw(2, 3, 5, 6, dtype=torch.float64), draw(2, 3, 5, 6, dtype=torch.float64, seed=1)
    found, wanted = (
        gradient(lambda t: form.simam(t, Options(0.1, statistics)), x, grad_output)  # noqa: B023
        for form in (exported, reference)
    )
    torch.testing.assert_close(found, wanted)


def test_the_error_of_a_reciprocal_drops_out(monkeypatch):
    """One converter adds 1e-4 to what it divides by, which would be another lam in the ten lines."""
    x, options = 0.005 * draw(1, 2, 9, 9), Options(1e-7)
    exact = torch.Tensor.reciprocal
    monkeypatch.setattr(torch.Tensor, "reciprocal", lambda t: exact(t + 1e-4))
    assert gain_error(exported.simam(x, options), x, options) <= 1e-6


def test_an_outlier_among_equals_keeps_its_value():
    x = torch.ones(1, 1, 4, 4)
    x[..., 2, 1] = 3.0
    for lam in (0.0, 1e-12):
        assert float(exported.simam(x, Options(lam, "leave_one_out"))[..., 2, 1]) == 3.0


RECORDED = {
    "export": lambda module, x: str(torch.export.export(module, (x,), strict=False).graph),
    "strict export": lambda module, x: str(torch.export.export(module, (x,), strict=True).graph),
    "jit.trace": lambda module, x: str(torch.jit.trace(module, x).inlined_graph),
}


@pytest.mark.parametrize("record", RECORDED.values(), ids=RECORDED)
@pytest.mark.parametrize("backend", ["auto", "torch", "reference"])
def test_simam_takes_it_where_it_is_recorded_for_another_runtime(record, backend):
    program = record(SimAM(backend=backend), draw(2, 3, 6, 7))
    assert "amin" in program
    assert "log2" not in program


@every_statistics
@pytest.mark.parametrize("dynamo", [False, True], ids=["older", "newer"])
def test_both_exporters_agree_in_float32_for_any_size_and_write_plain_operators(tmp_path, dynamo, statistics):
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    file, module = str(tmp_path / "simam.onnx"), SimAM(statistics=statistics)
    model = write(module, file, (2, 8, 6, 10), dynamo=dynamo)
    assert {node.op_type for node in model.graph.node} <= PLAIN | OF_SIZES
    session = runtime.InferenceSession(file, providers=["CPUExecutionProvider"])
    (entry,) = session.get_inputs()
    for shape in SIZES:
        for name in INPUTS:
            x = maps(name, shape)
            (y,) = session.run(None, {entry.name: x.numpy()})
            assert gain_error(torch.from_numpy(y), x, Options(1e-4, statistics)) <= 1e-6, (name, shape)


@every_statistics
@pytest.mark.parametrize("lam", [1e-7, 1e-4])
@pytest.mark.parametrize("shape", [*SIZES, (16, 16)], ids=str)
def test_in_a_file_of_float16_its_gain_is_right_to_2e_3(tmp_path, statistics, lam, shape):
    """Evaluated in float16 throughout, which onnxruntime does not do on a CPU."""
    evaluation = pytest.importorskip("onnx.reference", reason="onnx is not installed")
    module = SimAM(lam=lam, statistics=statistics)
    fixed = shape == (16, 16)  # short maps are summed at once where that is sure
    file, recorded = str(tmp_path / "simam.onnx"), (2, 8, *shape) if fixed else (2, 8, 6, 10)
    model = write(module, file, recorded, dynamic=not fixed)
    if fixed:
        assert {node.op_type for node in model.graph.node} <= PLAIN
    model = in_float16(model)
    session = evaluation.ReferenceEvaluator(model)
    for name in INPUTS:
        x = maps(name, shape, torch.float16)
        (y,) = session.run(None, {"x": x.numpy()})
        assert y.dtype == np.float16
        assert gain_error(torch.from_numpy(y), x, Options(lam, statistics)) <= 2e-3, name


def test_a_running_sum_in_float16_costs_no_digit_of_a_large_map():
    """Some runtimes add one number after another; numpy's accumulate does, too."""

    def mean(x, axes):
        values = x.movedim(axes, tuple(range(-len(axes), 0))).flatten(-len(axes)).numpy()
        total = np.add.accumulate(values, axis=-1, dtype=np.float16)[..., -1] / np.float16(values.shape[-1])
        return torch.from_numpy(total)[(..., *(None,) * len(axes))]

    x, options = maps("std 1", (80, 80), torch.float16)[:1], Options()
    for take, bound in ((exported._mean, 4e-3), (lambda t, o: mean(t, o.axes), np.inf)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch.Tensor, "mean", lambda t, axes, **_: mean(t, axes))
            found = take(x.square(), options).double()
        error = (found / x.double().square().mean((-2, -1), keepdim=True) - 1).abs().max()
        assert error <= bound
    assert error > 0.05, "one running sum of the map loses digits, or this test sees nothing"
