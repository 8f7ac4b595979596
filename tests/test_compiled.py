"""SimAM inside torch.compile: one node for each pass, the numbers of eager, and no graph for each size."""

import warnings

import pytest
import torch
from torch._dynamo.backends.common import aot_autograd
from torch._dynamo.testing import CompileCounter
from torch._functorch.aot_autograd import make_boxed_func
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd import forward_ad

from simam_cases import DTYPES, STATISTICS, channels_last, draw, gradient, oracle, ulps
from simam_edu import SimAM
from simam_edu.kernels import native, operators
from simam_edu.kernels.options import Options

pytestmark = [
    pytest.mark.skipif(torch.__version__.startswith("2.6."), reason="torch 2.6 is given the reference"),
    pytest.mark.usefixtures("native_kernel"),
    pytest.mark.filterwarnings("ignore"),  # of the compiler's own Python
]
LAYOUTS = {"contiguous": lambda x: x, "channels last": channels_last}
SIZES = [(2, 3, 8, 8), (4, 5, 6, 7), (3, 8, 9, 11), (7, 6, 12, 13)]


@pytest.fixture(autouse=True)
def nothing_compiled():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


class Nodes:
    """A backend of torch.compile that keeps what is called in the forward and the backward graph."""

    def __init__(self):
        self.forward, self.backward = [], []

    def __call__(self, graph, inputs):
        compiler = aot_autograd(fw_compiler=self.keep(self.forward), bw_compiler=self.keep(self.backward))
        return compiler(graph, inputs)

    def keep(self, names):
        def compile_graph(graph, _inputs):
            found = (str(node.target) for node in graph.graph.nodes if node.op == "call_function")
            # All that computes: what autograd detaches is the same memory.
            names.extend(n for n in found if n.startswith(("simam_edu", "aten")) and "detach" not in n)
            return make_boxed_func(graph.forward)

        return compile_graph


@pytest.mark.parametrize("backend", ["native", "triton"], indirect=True)
@pytest.mark.parametrize(
    ("statistics", "dtype"),
    [*((STATISTICS[0], dtype) for dtype in DTYPES), *((other, torch.float32) for other in STATISTICS[1:])],
    ids=str,
)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_kernel_is_one_node_a_pass_and_gives_the_numbers_and_layout_of_eager(
    backend, layout, dtype, statistics
):
    module, nodes = SimAM(statistics=statistics, backend=backend), Nodes()
    compiled = torch.compile(module, fullgraph=True, backend=nodes)
    x, grad_output = (LAYOUTS[layout](draw(2, 3, 6, 7, seed=k).to(dtype)) for k in (0, 1))
    grad = gradient(compiled, x, grad_output)
    assert nodes.forward == [f"simam_edu.{backend}.default"]
    assert nodes.backward == [f"simam_edu.{backend}_backward.default"]
    y = compiled(x)
    assert y.stride() == grad.stride() == x.stride()
    assert torch.equal(y, module(x))
    assert torch.equal(grad, gradient(module, x, grad_output))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_inductor_keeps_numbers_and_layout_within_a_network(layout):
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), SimAM(), torch.nn.ReLU())
    x = LAYOUTS[layout](draw(2, 3, 9, 10))
    compiled = torch.compile(network, fullgraph=True)
    assert compiled(x).stride() == network(x).stride()
    torch.testing.assert_close(compiled(x), network(x))
    grad_output = torch.ones_like(network(x))
    torch.testing.assert_close(gradient(compiled, x, grad_output), gradient(network, x, grad_output))


def test_triton_is_chosen_on_a_card_that_need_not_be_there(monkeypatch):
    """The forward graph alone: without a card autograd cannot run backward on fake tensors of one."""
    pytest.importorskip("triton", reason="triton is not installed")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device: (8, 0))
    monkeypatch.setattr(torch.version, "hip", None)
    graphs = []
    with FakeTensorMode(allow_non_fake_inputs=True):
        x = torch.empty(2, 3, 8, 8, device="cuda").to(memory_format=torch.channels_last)
        torch.compile(SimAM(), fullgraph=True, backend=lambda g, _: graphs.append(g) or g.forward)(x)
    assert "simam_edu.triton(" in graphs[0].code


@pytest.mark.parametrize("backend", ["native", "torch"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_one_graph_serves_all_sizes_after_the_first(layout, backend):
    counter, module = CompileCounter(), SimAM(backend=backend)
    compiled = torch.compile(module, fullgraph=True, backend=counter)
    for shape in SIZES:
        x = LAYOUTS[layout](draw(*shape))
        torch.testing.assert_close(compiled(x), module(x))
    assert counter.frame_count == 2, "the first size, and one for all"


def test_a_new_lam_is_heeded():
    module = SimAM()
    compiled, x = torch.compile(module, fullgraph=True, backend="aot_eager"), draw(2, 3, 8, 8)
    for lam in (1e-4, 0.1, 1.0):
        module.lam = lam
        assert torch.equal(compiled(x), SimAM(lam=lam)(x))


@pytest.mark.parametrize("view", ["transposed", "strided", "expanded"])
def test_other_strides_give_the_same(view):
    x = draw(2, 3, 6, 6)
    wide = torch.stack([x, x], -1)[..., 0]
    x = {"transposed": x.mT, "strided": wide, "expanded": x[:, :1].expand(2, 3, 6, 6)}[view]
    compiled = torch.compile(SimAM(), fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(x), SimAM()(x))
    assert torch.equal(gradient(compiled, x, x.mT), gradient(SimAM(), x, x.mT))


def test_a_second_derivative_of_the_compiled_is_refused_and_of_the_operator_right():
    x = draw(2, 3, 4, 5).requires_grad_()
    for backend in ("native", "torch"):
        with pytest.raises(RuntimeError, match=r"create_graph|double backward"):
            second_derivative(torch.compile(SimAM(backend=backend), backend="aot_eager"), x)
    found, wanted = (
        second_derivative(call, x)
        for call in (lambda t: operators.simam(t, "native", Options()), SimAM(backend="reference"))
    )
    torch.testing.assert_close(found, wanted)


def second_derivative(call, x):
    (grad,) = torch.autograd.grad(call(x).square().sum(), x, create_graph=True)
    return torch.autograd.grad(grad.square().sum(), x)[0]


def tangent(call, x):
    with forward_ad.dual_level():
        return forward_ad.unpack_dual(call(forward_ad.make_dual(x, x))).tangent


TRANSFORMS = {
    "vmap": lambda call: torch.func.vmap(call),
    "grad": lambda call: torch.func.grad(lambda x: call(x).square().sum()),
    "jvp": lambda call: lambda x: torch.func.jvp(call, (x,), (x,))[1],
}


@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)
def test_transforms_inside_take_the_reference(transform):
    x, call = draw(2, 3, 4, 4, 5), transform(SimAM(dims=2 if transform is TRANSFORMS["vmap"] else 3))
    compiled = torch.compile(call, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x), call(x))


def test_a_dual_tensor_inside_keeps_its_tangent():
    x = draw(2, 3, 4, 5)
    compiled = torch.compile(SimAM(), backend="eager")
    torch.testing.assert_close(tangent(compiled, x), tangent(SimAM(), x))


def test_the_reference_is_compiled_where_it_is_asked_for():
    nodes = Nodes()
    torch.compile(SimAM(backend="reference"), fullgraph=True, backend=nodes)(draw(2, 3, 8, 8))
    assert "aten.log2.default" in nodes.forward
    assert not any("simam_edu" in name for name in nodes.forward)


# Without a kernel: torch's operations, as three passes.


F16, BF16, F32, _ = DTYPES
HARD = [  # dtype, mean, standard deviation
    (F32, 0.5, 2.0), (F32, 1e6, 1.0), (F32, 0.0, 8e37), (F32, 0.0, 1e-36), (F32, 3.0, 0.0),
    (F32, torch.finfo(F32).max, 0.0), (F32, 3e38, 1e34),
    (F16, 100.0, 1.0), (F16, 0.0, 1e-6), (BF16, 0.0, 1e37),
]  # fmt: skip


@pytest.mark.parametrize(
    ("lam", "statistics"), [(0.0, "shared"), (1e-4, "shared"), (1e-4, "population"), (0.0, "leave_one_out")]
)
def test_without_a_kernel_hard_inputs_are_the_oracles_and_gradients_the_references(lam, statistics):
    without_a_kernel(lam, statistics, "aot_eager", HARD)


def test_without_a_kernel_inductor_gives_the_oracles_numbers():
    without_a_kernel(0.0, "shared", "inductor", HARD[:7])


def without_a_kernel(lam, statistics, backend, inputs):
    module = SimAM(lam=lam, statistics=statistics, backend="torch")
    for layout in LAYOUTS.values():
        torch._dynamo.reset()
        compiled = torch.compile(module, fullgraph=True, dynamic=False, backend=backend)
        for dtype, mean, std in inputs:
            x = layout(draw(2, 3, 8, 9, dtype=dtype, mean=mean, std=std))
            grad_output = layout(draw(2, 3, 8, 9, dtype=dtype, seed=1))
            assert x.isfinite().all()
            y, found = compiled(x), gradient(compiled, x, grad_output)
            assert y.stride() == found.stride() == x.stride()
            assert ulps(y, oracle(x, statistics, lam)) <= 4, (dtype, mean, std)
            exact = SimAM(lam=lam, statistics=statistics, backend="reference")
            wanted = gradient(exact, x.double(), grad_output.double())
            largest = wanted.abs().amax((-2, -1), keepdim=True)
            assert ((found - wanted).abs() <= 16 * torch.finfo(dtype).eps * largest).all(), (dtype, mean, std)


def test_without_a_kernel_a_hard_channel_is_right_beside_easy_ones():
    x = draw(2, 3, 8, 8)
    x[0, 0], x[0, 1] = x[0, 0] * 1e37, 5.0
    x[1, 0, :2, :2] = torch.finfo(x.dtype).max * torch.tensor([[1.0, -1.0], [1.0, 0.5]])
    compiled = torch.compile(SimAM(backend="torch"), fullgraph=True, backend="aot_eager")
    assert ulps(compiled(x), oracle(x)) <= 4


def test_without_a_kernel_the_statistics_alone_are_an_operator(monkeypatch):
    monkeypatch.setattr(native, "is_built", lambda: False)
    nodes, x = Nodes(), draw(2, 3, 8, 8)
    gradient(torch.compile(SimAM(), fullgraph=True, backend=nodes), x, x)
    ours = [name for name in nodes.forward + nodes.backward if "simam_edu" in name]
    assert ours == ["simam_edu.statistics.default"]


@pytest.mark.parametrize("without", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("backend", ["auto", "native"])
def test_without_gradients_the_kernel_is_left_to_those_who_ask_for_it(backend, without):
    nodes, x = Nodes(), draw(2, 3, 8, 8)
    with without(), warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)
        y = torch.compile(SimAM(backend=backend), fullgraph=True, backend=nodes)(x)
    ours = [name for name in nodes.forward if "simam_edu" in name]
    assert ours == [{"auto": "simam_edu.statistics.default", "native": "simam_edu.native.default"}[backend]]
    torch.testing.assert_close(y, SimAM()(x))
