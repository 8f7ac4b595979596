"""SimAM where something watches: dispatch modes, hooks, the profiler, compiled autograd.

What is computed and what is saved is the same whoever watches, in either pass.
"""

import contextlib
import shutil

import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx
from torch.profiler import profile
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.checkpoint import CheckpointPolicy, checkpoint, create_selective_checkpoint_contexts
from torch.utils.flop_counter import FlopCounterMode

from simam_edu import SimAM, kernels
from simam_edu.kernels import eager, native, plain
from simam_edu.kernels.options import Options

STATISTICS = ["shared", "leave_one_out"]


class Names(TorchDispatchMode):
    """Keep the names of the operators that are seen."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.seen.append(str(func))
        return func(*args, **(kwargs or {}))


WATCHERS = {
    "nobody": contextlib.nullcontext,
    "dispatch mode": Names,
    "flop counter": lambda: FlopCounterMode(display=False),
    "anomaly mode": lambda: torch.autograd.detect_anomaly(check_nan=True),
    "profiler": profile,
    "saved on the CPU": torch.autograd.graph.save_on_cpu,
    "saved-tensor hooks": lambda: torch.autograd.graph.saved_tensors_hooks(torch.clone, torch.clone),
}


@pytest.fixture(params=["native", "torch", "plain"])
def path(request):
    """Each path that runs on the CPU."""
    if request.param == "native":
        if not any(shutil.which(name) for name in native.COMPILERS):
            pytest.skip("the native kernel needs a C++ compiler, and there is none here")
        kernels.build()
    return request.param


@pytest.fixture
def compiled_autograd():
    """Return a context in which backward passes are compiled; it counts the graphs."""
    graphs = []

    def keep(graph, _inputs):
        graphs.append(graph.code)
        return graph.forward

    @contextlib.contextmanager
    def enabled(backend=keep):
        with torch._dynamo.compiled_autograd._enable(torch.compile(backend=backend, fullgraph=True)):
            yield graphs

    torch._dynamo.reset()
    yield enabled
    torch._dynamo.reset()


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def gradient(
    call, forward=contextlib.nullcontext, backward=contextlib.nullcontext, layout=torch.contiguous_format
):
    """Return the output and the gradient, each pass in its context."""
    x = draw(2, 3, 8, 8).contiguous(memory_format=layout).requires_grad_()
    with forward():
        y = call(x)
    with backward():
        y.backward(draw(2, 3, 8, 8, seed=1))
    return y.detach(), x.grad


@pytest.mark.filterwarnings("ignore:Anomaly Detection")
@pytest.mark.parametrize("side", ["forward", "backward"])
@pytest.mark.parametrize("watcher", WATCHERS)
@pytest.mark.parametrize("reentrant", [None, False, True], ids=["kept", "recomputed", "reentrant"])
def test_a_watcher_of_one_pass_changes_no_bit(path, watcher, side, reentrant):
    for statistics in STATISTICS:
        module = SimAM(path=path, statistics=statistics)
        expected = gradient(module)

        def call(x, module=module):
            return module(x) if reentrant is None else checkpoint(module, x, use_reentrant=reentrant)

        found = gradient(call, **{side: WATCHERS[watcher]})
        for a, b in zip(found, expected, strict=True):
            assert torch.equal(a, b), statistics


@pytest.mark.parametrize("watched", [(), ("forward",), ("backward",), ("forward", "backward")], ids=str)
def test_the_default_module_is_recomputed_under_any_watch(watched):
    expected = gradient(SimAM())
    found = gradient(lambda x: checkpoint(SimAM(), x, use_reentrant=False), **dict.fromkeys(watched, Names))
    assert torch.equal(found[1], expected[1])


@pytest.mark.parametrize("path", ["native"], indirect=True)
def test_a_dispatch_mode_sees_one_operator_a_pass(path):
    x = draw(2, 3, 8, 8).requires_grad_()
    with Names() as forward:
        y = SimAM(path=path)(x)
    assert forward.seen == ["simam_edu.native.default"]
    with Names() as backward:
        torch.autograd.grad(y.sum(), x)
    assert "simam_edu.native_backward.default" in backward.seen


@pytest.mark.parametrize("path", ["native"], indirect=True)
@pytest.mark.parametrize("policy", [CheckpointPolicy.MUST_SAVE, CheckpointPolicy.PREFER_RECOMPUTE])
def test_selective_checkpointing_may_keep_the_operator_or_not(path, policy):
    def context():
        return create_selective_checkpoint_contexts(lambda *_args, **_kwargs: policy)

    module = SimAM(path=path)
    expected = gradient(module)
    found = gradient(lambda x: checkpoint(module, x, use_reentrant=False, context_fn=context))
    assert torch.equal(found[1], expected[1])


@pytest.mark.usefixtures("path")
@pytest.mark.parametrize("path", ["native"], indirect=True)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=["contiguous", "last"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.float64], ids=str)
def test_the_operators_keep_to_their_schemas_and_shapes(layout, dtype):
    x = draw(2, 3, 8, 8).to(dtype).contiguous(memory_format=layout)
    forward = torch.ops.simam_edu.native.default
    _, statistics = forward(x, 1e-4, 1, False)
    tests = ("test_schema", "test_faketensor")
    torch.library.opcheck(forward, (x, 1e-4, 1, False), test_utils=tests)
    backward = torch.ops.simam_edu.native_backward.default
    torch.library.opcheck(backward, (x, x, statistics, 1e-4, 1, False), test_utils=tests)


@pytest.mark.parametrize("tracing", ["real", "fake", "symbolic"])
@pytest.mark.parametrize("pre_dispatch", [False, True])
def test_tracing_takes_the_reference(path, tracing, pre_dispatch):
    x = draw(2, 3, 8, 8)
    traced = make_fx(SimAM(path=path), tracing_mode=tracing, pre_dispatch=pre_dispatch)(x)
    assert not any("simam_edu" in str(node.target) for node in traced.graph.nodes)
    torch.testing.assert_close(traced(2 * x), SimAM(path=path)(2 * x))


def test_what_is_kept_under_a_mode_that_wraps_serves_later_calls():
    """A number that is made once must be a plain tensor, whatever a mode makes of new ones."""

    class Wrong(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            y = func(*args, **(kwargs or {}))
            return y + 1 if isinstance(y, torch.Tensor) and y.ndim == 0 else y

    eager._number.cache_clear()
    x = draw(1, 2, 4, 4)
    with Wrong():
        eager._number(0.5, torch.float32)
    torch.testing.assert_close(SimAM(path="torch")(x), plain.simam(x, Options()))
    eager._number.cache_clear()


# Torch's own compiler looks at .grad of what the reference saves.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=["contiguous", "last"])
@pytest.mark.parametrize("statistics", STATISTICS)
def test_compiled_autograd_gives_the_same_gradient(path, compiled_autograd, statistics, layout):
    module = SimAM(path=path, statistics=statistics)
    expected = gradient(module, layout=layout)
    found = gradient(module, backward=compiled_autograd, layout=layout)
    torch.testing.assert_close(found[1], expected[1], rtol=1e-6, atol=1e-7)
    with compiled_autograd() as graphs:
        assert len(graphs) == 1, "the backward pass was not compiled"


@pytest.mark.parametrize("path", ["native"], indirect=True)
def test_compiled_autograd_knows_the_options_apart(path, compiled_autograd):
    for options in ({"lam": 0.3}, {"lam": 1e-4}, {"correction": 0}, {"statistics": "leave_one_out"}):
        module = SimAM(path=path, **options)
        assert torch.equal(gradient(module, backward=compiled_autograd)[1], gradient(module)[1]), options


@pytest.mark.parametrize("path", ["native"], indirect=True)
def test_compiled_autograd_takes_saved_tensor_hooks_and_a_traced_backend(path, compiled_autograd):
    module = SimAM(path=path)
    expected = gradient(module)
    found = gradient(
        module,
        WATCHERS["saved-tensor hooks"],
        lambda: compiled_autograd("aot_eager"),
    )
    assert torch.equal(found[1], expected[1])


@pytest.mark.parametrize("path", ["native"], indirect=True)
def test_a_compiled_step_with_compiled_autograd_is_the_eager_one(path):
    torch._dynamo.reset()
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 3, 3, padding=1), SimAM(path=path))

    def step(x):
        network.zero_grad()
        (network(x).square().sum()).backward()
        return network[0].weight.grad.clone()

    expected = step(draw(2, 3, 8, 8))
    with torch._dynamo.config.patch(compiled_autograd=True):
        found = torch.compile(step, backend="aot_eager")(draw(2, 3, 8, 8))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
