"""SimAM where something watches: dispatch modes, hooks, the profiler, compiled autograd.

What is computed and what is saved is the same whoever watches, in either pass.
"""

import contextlib
from itertools import product

import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx
from torch.profiler import profile
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.checkpoint import CheckpointPolicy, checkpoint, create_selective_checkpoint_contexts
from torch.utils.flop_counter import FlopCounterMode

from simam_cases import draw
from simam_edu import SimAM

only_native = pytest.mark.parametrize("backend", ["native"], indirect=True)
both_layouts = pytest.mark.parametrize(
    "layout", [torch.contiguous_format, torch.channels_last], ids=["contiguous", "last"]
)


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


def passes(
    call, forward=contextlib.nullcontext, backward=contextlib.nullcontext, layout=torch.contiguous_format
):
    """Return the output and the gradient, each pass in its context."""
    x = draw(2, 3, 8, 8).contiguous(memory_format=layout).requires_grad_()
    with forward():
        y = call(x)
    with backward():
        y.backward(draw(2, 3, 8, 8, seed=1))
    return y.detach(), x.grad


def recomputed(module, **how):
    return lambda x: checkpoint(module, x, **({"use_reentrant": False} | how))


@pytest.mark.filterwarnings("ignore:Anomaly Detection")
@pytest.mark.parametrize(
    ("watcher", "side"), [("nobody", "forward"), *product([*WATCHERS][1:], ("forward", "backward"))]
)
@pytest.mark.parametrize("reentrant", [None, False, True], ids=["kept", "recomputed", "reentrant"])
def test_a_watcher_of_one_pass_changes_no_bit(backend, watcher, side, reentrant):
    module = SimAM(backend=backend, statistics="leave_one_out")
    call = module if reentrant is None else recomputed(module, use_reentrant=reentrant)
    found = passes(call, **{side: WATCHERS[watcher]})
    assert all(map(torch.equal, found, passes(module)))


@only_native
def test_a_dispatch_mode_sees_one_operator_per_pass(backend):
    x = draw(2, 3, 8, 8).requires_grad_()
    with Names() as forward:
        y = SimAM(backend=backend)(x)
    assert forward.seen == ["simam_edu.native.default"]
    with Names() as backward:
        torch.autograd.grad(y.sum(), x)
    assert "simam_edu.native_backward.default" in backward.seen


@only_native
@pytest.mark.parametrize("policy", [CheckpointPolicy.MUST_SAVE, CheckpointPolicy.PREFER_RECOMPUTE])
def test_selective_checkpointing_may_keep_the_operator_or_not(backend, policy):
    def context():
        return create_selective_checkpoint_contexts(lambda *_args, **_kwargs: policy)

    module = SimAM(backend=backend)
    assert torch.equal(passes(recomputed(module, context_fn=context))[1], passes(module)[1])


@pytest.mark.usefixtures("native_kernel")
@both_layouts
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.float64], ids=str)
def test_the_operators_keep_to_their_schemas_and_shapes(layout, dtype):
    x = draw(2, 3, 8, 8).to(dtype).contiguous(memory_format=layout)
    options, tests = (1e-4, 1, False), ("test_schema", "test_faketensor")
    forward, backward = torch.ops.simam_edu.native.default, torch.ops.simam_edu.native_backward.default
    torch.library.opcheck(forward, (x, *options), test_utils=tests)
    torch.library.opcheck(backward, (x, x, forward(x, *options)[1], *options), test_utils=tests)


@pytest.mark.parametrize("tracing", ["real", "fake", "symbolic"])
@pytest.mark.parametrize("pre_dispatch", [False, True])
def test_tracing_takes_the_reference(backend, tracing, pre_dispatch):
    x = draw(2, 3, 8, 8)
    traced = make_fx(SimAM(backend=backend), tracing_mode=tracing, pre_dispatch=pre_dispatch)(x)
    assert not any("simam_edu" in str(node.target) for node in traced.graph.nodes)
    other = draw(2, 3, 8, 8, seed=1)
    torch.testing.assert_close(traced(other), SimAM(backend=backend)(other))


# Torch's own compiler looks at .grad of what the reference saves.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")
@pytest.mark.parametrize("backend", ["native", "torch", "reference"], indirect=True)
@both_layouts
@pytest.mark.parametrize("statistics", ["shared", "leave_one_out"])
def test_compiled_autograd_gives_the_same_gradient(backend, compiled_autograd, statistics, layout):
    module = SimAM(backend=backend, statistics=statistics)
    expected = passes(module, layout=layout)
    found = passes(module, backward=compiled_autograd, layout=layout)
    torch.testing.assert_close(found[1], expected[1], rtol=1e-6, atol=1e-7)
    with compiled_autograd() as graphs:
        assert len(graphs) == 1, "the backward pass was not compiled"


@only_native
def test_compiled_autograd_knows_the_options_apart(backend, compiled_autograd):
    for options in ({"lam": 0.3}, {}, {"statistics": "population"}, {"statistics": "leave_one_out"}):
        module = SimAM(backend=backend, **options)
        assert torch.equal(passes(module, backward=compiled_autograd)[1], passes(module)[1]), options


@only_native
def test_compiled_autograd_takes_saved_tensor_hooks_and_a_traced_backend(backend, compiled_autograd):
    module = SimAM(backend=backend)
    found = passes(module, WATCHERS["saved-tensor hooks"], lambda: compiled_autograd("aot_eager"))
    assert torch.equal(found[1], passes(module)[1])
