"""SimAM where torch changes how a module runs: compile, export, ONNX, torch.func, autocast, DDP, copies."""

import copy
import io
import pickle
import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.fx.experimental.proxy_tensor import make_fx

from simam_edu import SimAM
from simam_edu.kernels import plain
from simam_edu.kernels.options import Options

STATISTICS = ["shared", "leave_one_out"]


def draw(*shape, dtype=torch.float32, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


@pytest.mark.parametrize("statistics", STATISTICS)
def test_compiled_whole_and_once_for_all_sizes(statistics):
    """The first sizes are all different: torch takes sizes that are equal then for equal ever after."""
    torch._dynamo.reset()
    graphs = []

    def count(graph, _inputs):
        graphs.append(graph)
        return graph.forward

    module = torch.compile(SimAM(statistics=statistics), fullgraph=True, dynamic=True, backend=count)
    for n, c, h, w in [(5, 16, 7, 9), (2, 3, 8, 8), (4, 64, 32, 32), (3, 5, 14, 2)]:
        x = draw(n, c, h, w)
        torch.testing.assert_close(module(x), SimAM(statistics=statistics)(x))
    # torch 2.6 compiles anew for each of the four sizes.
    assert len(graphs) == (4 if torch.__version__.startswith("2.6.") else 1)


@pytest.mark.filterwarnings("ignore")  # of the compiler's own Python
def test_compiled_code_agrees_forward_and_backward():
    torch._dynamo.reset()
    module = torch.compile(SimAM(), fullgraph=True, dynamic=True)
    for shape in [(2, 3, 8, 8), (4, 5, 7, 9)]:
        x = draw(*shape).requires_grad_()
        incoming = draw(*shape, seed=1)
        (found,) = torch.autograd.grad(module(x), x, incoming)
        (expected,) = torch.autograd.grad(SimAM(path="torch")(x), x, incoming)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("statistics", STATISTICS)
def test_exported_for_any_batch_and_map(statistics):
    module = SimAM(statistics=statistics).eval()
    sizes = {0: torch.export.Dim("n"), 2: torch.export.Dim("h", min=2), 3: torch.export.Dim("w", min=2)}
    program = torch.export.export(module, (draw(2, 3, 8, 8),), dynamic_shapes={"x": sizes})
    for shape in [(2, 3, 8, 8), (5, 3, 7, 9)]:
        torch.testing.assert_close(program.module()(draw(*shape)), module(draw(*shape)))


def test_exported_by_a_process_that_has_loaded_no_kernel():
    """To decompose a program, as torch.compile does too, torch looks through all operators there are."""
    code = (
        "import torch\n"
        "from simam_edu import SimAM\n"
        "torch.export.export(SimAM(), (torch.zeros(2, 3, 4, 4),)).run_decompositions()"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


def test_exported_with_dynamic_sizes_one_position_gives_the_limit():
    """A recorded program has no checks: what the docstring says of it."""
    sizes = {2: torch.export.Dim("h"), 3: torch.export.Dim("w")}
    program = torch.export.export(SimAM(), (draw(2, 3, 8, 8),), dynamic_shapes={"x": sizes})
    x = draw(2, 3, 1, 1)
    torch.testing.assert_close(program.module()(x), x * torch.tensor(0.5).sigmoid())
    with pytest.raises(ValueError, match="at least two positions"):
        SimAM()(x)


@pytest.mark.parametrize("statistics", STATISTICS)
def test_vmap_is_a_loop(statistics):
    module = SimAM(statistics=statistics)
    x = draw(4, 2, 3, 5, 5, dtype=torch.float64)
    torch.testing.assert_close(torch.func.vmap(module)(x), torch.stack([module(part) for part in x]))
    moved = torch.func.vmap(module, in_dims=2, out_dims=2)(x.movedim(0, 2))
    torch.testing.assert_close(moved.movedim(2, 0), torch.func.vmap(module)(x))


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")  # torch's own, at first use
def test_jvp_is_the_derivative_along_a_direction():
    x, direction = draw(1, 2, 4, 4, dtype=torch.float64), draw(1, 2, 4, 4, dtype=torch.float64, seed=1)
    y, change = torch.func.jvp(SimAM(), (x,), (direction,))
    step = 1e-6
    differences = (SimAM()(x + step * direction) - SimAM()(x - step * direction)) / (2 * step)
    torch.testing.assert_close(y, SimAM()(x))
    torch.testing.assert_close(change, differences, rtol=1e-7, atol=1e-8)
    with torch.autograd.forward_ad.dual_level():
        dual = SimAM()(torch.autograd.forward_ad.make_dual(x, direction))
        torch.testing.assert_close(torch.autograd.forward_ad.unpack_dual(dual).tangent, change)


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")
def test_grad_and_hessian_of_func():
    x = draw(1, 1, 2, 3, dtype=torch.float64)

    def loss(value):
        return SimAM()(value).square().sum()

    wanted = x.clone().requires_grad_()
    (expected,) = torch.autograd.grad(loss(wanted), wanted)
    torch.testing.assert_close(torch.func.grad(loss)(x), expected)
    hessian = torch.func.hessian(loss)(x).reshape(6, 6)
    torch.testing.assert_close(hessian, torch.autograd.functional.hessian(loss, x).reshape(6, 6))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_autocast_on_the_cpu_changes_nothing(dtype):
    x = (1000 * draw(2, 3, 32, 32)).to(dtype)
    outside = SimAM()(x)
    for path in ("auto", "torch", "plain"):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            inside = SimAM(path=path)(x)
        assert inside.dtype == dtype
        torch.testing.assert_close(inside, outside, rtol=2 * torch.finfo(dtype).eps, atol=0)


def test_checkpointing_gives_the_same_gradient():
    x = draw(2, 3, 8, 8).requires_grad_()
    (plainly,) = torch.autograd.grad(SimAM()(x).sum(), x)
    y = torch.utils.checkpoint.checkpoint(SimAM(), x, use_reentrant=False)
    assert torch.equal(torch.autograd.grad(y.sum(), x)[0], plainly)


@pytest.mark.parametrize("path", ["auto", "torch"])
def test_gradients_in_a_batch_are_those_one_by_one(path):
    x = draw(2, 3, 4, 5).requires_grad_()
    y = SimAM(path=path)(x)
    several = torch.stack([draw(2, 3, 4, 5, seed=k) for k in (1, 2, 3)])
    (together,) = torch.autograd.grad(y, x, several, is_grads_batched=True, retain_graph=True)
    one_by_one = [torch.autograd.grad(y, x, grad, retain_graph=True)[0] for grad in several]
    torch.testing.assert_close(together, torch.stack(one_by_one))


@pytest.mark.filterwarnings("ignore")  # torch.jit.trace is deprecated, and still in use
@pytest.mark.parametrize("record", [torch.jit.trace, lambda module, x: make_fx(module)(x)], ids=["jit", "fx"])
def test_what_is_recorded_on_one_input_holds_for_another(record):
    recorded = record(SimAM(), draw(2, 3, 4, 5))
    x = draw(2, 3, 4, 5, seed=1)
    torch.testing.assert_close(recorded(x), SimAM()(x))


def test_a_view_that_is_negative_in_name_only_is_negated():
    x = torch._neg_view(draw(2, 3, 4, 5))
    assert x.is_neg()
    torch.testing.assert_close(SimAM()(x), SimAM()(x.resolve_neg()))


def test_an_input_that_is_changed_before_the_backward_pass_is_noticed():
    x = draw(2, 3, 8, 8).requires_grad_()
    held = x * 1.0
    y = SimAM()(held)
    held.add_(1.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_copies_and_pickles_are_the_same_module():
    module = SimAM(lam=0.1, dims=1, correction=0, one_position="half", path="torch")
    shown = "SimAM(lam=0.1, dims=1, correction=0, one_position=half, path=torch)"
    x = draw(1, 2, 9)
    for twin in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert repr(twin) == repr(module) == shown
        assert torch.equal(twin(x), module(x))


def old(**state):
    """A module as one of an earlier version is pickled: without dims, and with any lam."""
    module = SimAM()
    del module.__dict__["dims"]
    module.__dict__.update(state)
    file = io.BytesIO()
    torch.save(nn.Sequential(module), file)
    file.seek(0)
    return file


def test_a_pickle_from_before_dims_takes_images_and_names_dims_for_others():
    module = torch.load(old(lam=0.1), weights_only=False)
    x = draw(2, 3, 4, 4)
    assert torch.equal(module(x), SimAM(lam=0.1)(x))
    with pytest.raises(ValueError, match=r"\(n, c, l\) is for SimAM\(dims=1\)"):
        module(draw(2, 3, 4))


def test_a_pickle_with_a_tensor_for_lam_is_refused():
    with pytest.raises(ValueError, match="lam must be a number of Python or numpy, got a Tensor"):
        torch.load(old(lam=torch.tensor(0.1)), weights_only=False)


def test_in_a_network_under_ddp(tmp_path):
    network = nn.Sequential(nn.Conv2d(3, 4, 3), SimAM(), nn.Flatten(), nn.Linear(4 * 36, 2))
    twin = copy.deepcopy(network)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1
    )
    try:
        parallel = nn.parallel.DistributedDataParallel(network)
        x = draw(5, 3, 8, 8)
        parallel(x).square().sum().backward()
        twin(x).square().sum().backward()
    finally:
        torch.distributed.destroy_process_group()
    for ours, theirs in zip(network.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad)


@pytest.mark.parametrize("path", ["torch", "plain"])
def test_one_position_is_refused_or_half(path):
    x = draw(2, 3, 1, 1).requires_grad_()
    with pytest.raises(ValueError, match=r"at least two positions, got shape .* choose one_position='half'"):
        SimAM(path=path)(x)
    y = SimAM(path=path, one_position="half")(x)
    torch.testing.assert_close(y, x * torch.tensor(0.5).sigmoid())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"correction": 2}, "correction must be 1, as in the authors' code, or 0"),
        (
            {"correction": 0, "statistics": "leave_one_out"},
            "correction must be 1 with statistics 'leave_one_out'",
        ),
        ({"statistics": "exact"}, "statistics must be one of shared, leave_one_out, got 'exact'"),
        ({"one_position": "nan"}, "one_position must be one of refuse, half, got 'nan'"),
        ({"correction": True}, "correction must be 1, as in the authors' code, or 0"),
        ({"dims": torch.tensor(2)}, r"dims must be one of 1, 2, 3, got tensor\(2\)"),
        ({"dims": 4}, "dims must be one of 1, 2, 3, got 4"),
        ({"dims": True}, "dims must be one of 1, 2, 3, got True"),
        ({"dims": 2.0}, "dims must be one of 1, 2, 3, got 2.0"),
        ({"statistics": None}, "statistics must be one of shared, leave_one_out, got None"),
        ({"path": "fast"}, "path must be one of auto, native, torch, triton, plain, got 'fast'"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        SimAM(**options)


def test_the_meta_device_gives_the_shape():
    y = SimAM()(torch.empty(2, 3, 4, 4, device="meta"))
    assert y.shape == (2, 3, 4, 4)
    assert y.is_meta


def test_a_subclass_of_tensor_takes_the_plain_form():
    class Marked(torch.Tensor):
        pass

    x = draw(1, 2, 3, 3).as_subclass(Marked)
    y = SimAM()(x)
    assert isinstance(y, Marked)
    torch.testing.assert_close(y.as_subclass(torch.Tensor), plain.simam(draw(1, 2, 3, 3), Options()))
