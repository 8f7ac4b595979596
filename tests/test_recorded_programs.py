"""All five modules in the programs that other tools make of a network: ONNX by both
exporters, torch.fx, torch.jit."""

import warnings

import numpy as np
import pytest
import torch
from torch import nn

from simam_cases import draw
from simam_edu import SimAM
from simam_edu.attention import CBAM, ECA, Attention, GlobalContext, SqueezeExcite

CHANNELS = 8
SIZES = [(2, 8, 6, 5), (3, 8, 4, 7), (1, 8, 17, 32)]  # the first one is recorded

pytestmark = pytest.mark.filterwarnings("ignore")  # of torch, of its own older parts


def inputs(*shape, seed=0):
    return draw(*shape, mean=1.0, std=3.0, seed=seed)


def context():
    module = GlobalContext(CHANNELS)
    nn.init.normal_(module.expand.weight, std=0.1)  # else it adds zeros
    return module


MODULES = {
    "simam": SimAM,
    "simam population": lambda: SimAM(statistics="population"),
    "simam leave_one_out": lambda: SimAM(statistics="leave_one_out"),
    "se": lambda: SqueezeExcite(CHANNELS),
    "cbam": lambda: CBAM(CHANNELS),
    "eca": lambda: ECA(CHANNELS),
    "gc": context,
}
every_module = pytest.mark.parametrize("name", MODULES)


def make(name):
    torch.manual_seed(0)
    return MODULES[name]().eval()


class Side(nn.Module):
    """Each module on the same input."""

    def __init__(self):
        super().__init__()
        self.parts = nn.ModuleList([make(name) for name in MODULES])

    def forward(self, x):
        return torch.cat([part(x) for part in self.parts], dim=1)


class Detector(nn.Module):
    """The parts of a YOLO neck: conv, norm, SimAM and SiLU, upsampled and put beside a skip."""

    def __init__(self):
        super().__init__()
        self.stem = self.block(8, 8, 1)
        self.down = self.block(8, 12, 2)
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        self.head = nn.Sequential(self.block(20, 16, 1), nn.Conv2d(16, 6, 1))

    @staticmethod
    def block(channels_in, channels_out, stride):
        conv = nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False)
        return nn.Sequential(conv, nn.BatchNorm2d(channels_out), SimAM(), nn.SiLU())

    def forward(self, x):
        x = self.stem(x)
        return self.head(torch.cat([self.up(self.down(x)), x], dim=1))


def export(module, file, *, dynamo, opset):
    """Write a program for any batch and map, and return the opset that it is in."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    if dynamo:
        pytest.importorskip("onnxscript", reason="onnxscript is not installed")
        if torch.__version__.startswith("2.6."):
            pytest.skip("the newer exporter of torch 2.6 does not translate a batch norm")
        dim = torch.export.Dim
        # Even sides for the detector, whose parts must fit; 2 * dim is torch's way to say it.
        step = 2 if isinstance(module, Detector) else 1
        sides = {axis: step * dim(name, min=2) for axis, name in ((2, "h"), (3, "w"))}
        sizes = {"dynamic_shapes": ({0: dim("n")} | sides,), "verbose": False}
    else:
        sizes = {"dynamic_axes": {"x": {0: "n", 2: "h", 3: "w"}}, "input_names": ["x"]}
    torch.onnx.export(module, (inputs(2, 8, 6, 10),), file, dynamo=dynamo, opset_version=opset, **sizes)
    return next(entry.version for entry in onnx.load(file).opset_import if not entry.domain)


NETWORKS = {Side: SIZES, Detector: [(1, 8, 16, 16), (2, 8, 6, 10), (3, 8, 32, 24)]}


@pytest.mark.parametrize(
    ("network", "dynamo", "opset"),
    [
        *((network, False, opset) for network in NETWORKS for opset in (11, 17, 20)),
        *((Side, True, 20), (Detector, True, 11)),
    ],
)
def test_both_onnx_exporters_agree_in_the_runtime_for_any_size(tmp_path, network, dynamo, opset):
    """The newer exporter writes opset 18 and leaves it where it cannot go lower."""
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    torch.manual_seed(0)
    file, module = str(tmp_path / "network.onnx"), network().eval()
    assert export(module, file, dynamo=dynamo, opset=opset) == (max(opset, 18) if dynamo else opset)
    session = runtime.InferenceSession(file, providers=["CPUExecutionProvider"])
    (name,) = (entry.name for entry in session.get_inputs())
    for shape in NETWORKS[network]:
        x = inputs(*shape, seed=1)
        (found,) = session.run(None, {name: x.numpy()})
        np.testing.assert_allclose(found, module(x).detach().numpy(), rtol=1e-5, atol=1e-5)


def network(name):
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), MODULES[name](), nn.ReLU()).eval()


class Leaves(torch.fx.Tracer):
    """Takes the attention modules whole, as the docstring of Attention says."""

    def is_leaf_module(self, m, module_qualified_name):
        return isinstance(m, Attention) or super().is_leaf_module(m, module_qualified_name)


@pytest.mark.parametrize("tracer", [torch.fx.Tracer, Leaves])
@every_module
def test_an_fx_graph_computes_and_checks_what_the_network_does_and_gives_its_features(name, tracer):
    model = network(name)
    nodes = tracer().trace(model)
    graph = torch.fx.GraphModule(model, nodes)
    for shape in SIZES:
        torch.testing.assert_close(graph(inputs(*shape)), model(inputs(*shape)))
    with pytest.raises(ValueError, match=r"a single image is x\[None\]"):
        graph(inputs(8, 4, 4))
    *_, behind, output = nodes.nodes
    output.args = (behind.args[0],)  # what the last layer is given
    nodes.erase_node(behind)
    x = inputs(*SIZES[0])
    torch.testing.assert_close(torch.fx.GraphModule(model, nodes)(x), model[:2](x))


@pytest.mark.parametrize(("name", "whole"), [("simam", False), ("simam", True), ("cbam", True)])
def test_fx_quantization_leaves_the_module_as_it_is(name, whole):
    quantize_fx = pytest.importorskip("torch.ao.quantization.quantize_fx")
    from torch.ao.quantization import get_default_qconfig_mapping
    from torch.ao.quantization.fx.custom_config import PrepareCustomConfig

    model = network(name)
    kinds = [type(model[1])] if whole else []
    custom = PrepareCustomConfig().set_non_traceable_module_classes(kinds)
    engine = next(kind for kind in torch.backends.quantized.supported_engines if kind != "none")
    prepared = quantize_fx.prepare_fx(
        model, get_default_qconfig_mapping(engine), (inputs(*SIZES[0]),), prepare_custom_config=custom
    )
    x = inputs(*SIZES[0])
    prepared(x)
    quantized = quantize_fx.convert_fx(prepared)
    assert "quantized" in type(quantized.get_submodule("0")).__module__
    steps = 4 / 255  # of the range, which the convolution and what comes after it are rounded to
    assert (quantized(x) - model(x)).abs().max() < steps * model(x).abs().max()


@every_module
def test_a_trace_holds_for_other_sizes_in_a_scripted_network(name):
    for dtype in (torch.float32, torch.float64):
        module = make(name).to(dtype)
        traced = torch.jit.trace(module, inputs(*SIZES[0]).to(dtype))
        scripted = torch.jit.script(nn.Sequential(traced, nn.ReLU()))
        for shape in SIZES:
            x = inputs(*shape, seed=1).to(dtype)
            tolerance = 16 * torch.finfo(dtype).eps
            torch.testing.assert_close(scripted(x), module(x).relu(), rtol=tolerance, atol=tolerance)


@every_module
def test_to_script_it_is_refused_with_what_to_do(name):
    kind = type(make(name)).__name__
    with pytest.raises(ValueError, match=rf"got {kind}; put torch.jit.trace\({kind}\(...\), example\)"):
        torch.jit.script(network(name))


def test_a_trace_of_simam_warns_of_nothing_of_its_own():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.jit.trace(SimAM(statistics="leave_one_out"), inputs(*SIZES[0]))
    assert not [entry for entry in caught if "simam_edu" in entry.filename]
