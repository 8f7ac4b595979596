"""SimAM where torch changes how a module runs: compile, export, ONNX, torch.func, autocast, DDP, copies."""

import copy
import pickle
import subprocess
import sys

import pytest
import torch
from torch import nn

from simam_cases import draw, gradient
from simam_edu import SimAM
from simam_edu.kernels import reference
from simam_edu.kernels.options import Options

two_statistics = pytest.mark.parametrize("statistics", ["shared", "leave_one_out"])


@two_statistics
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
        x, grad_output = draw(*shape), draw(*shape, seed=1)
        expected = gradient(SimAM(backend="torch"), x, grad_output)
        torch.testing.assert_close(gradient(module, x, grad_output), expected, rtol=1e-4, atol=1e-5)


@two_statistics
def test_exported_for_any_batch_and_map_one_position_gives_the_limit(statistics):
    """A recorded program has no checks: what the docstring says of it."""
    module = SimAM(statistics=statistics).eval()
    sizes = {0: torch.export.Dim("n"), 2: torch.export.Dim("h"), 3: torch.export.Dim("w")}
    program = torch.export.export(module, (draw(2, 3, 8, 8),), dynamic_shapes={"x": sizes}).module()
    for shape in [(2, 3, 8, 8), (5, 3, 7, 9)]:
        torch.testing.assert_close(program(draw(*shape)), module(draw(*shape)))
    x = draw(2, 3, 1, 1)
    torch.testing.assert_close(program(x), x * torch.tensor(0.5).sigmoid())


def test_exported_by_a_process_that_has_loaded_no_kernel():
    """To decompose a program, as torch.compile does too, torch looks through all operators there are."""
    code = (
        "import torch\n"
        "from simam_edu import SimAM\n"
        "torch.export.export(SimAM(), (torch.zeros(2, 3, 4, 4),)).run_decompositions()"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


@two_statistics
def test_vmap_is_a_loop(statistics):
    module = SimAM(statistics=statistics)
    x = draw(4, 2, 3, 5, 5, dtype=torch.float64)
    torch.testing.assert_close(torch.func.vmap(module)(x), torch.stack([module(part) for part in x]))
    moved = torch.func.vmap(module, in_dims=2, out_dims=2)(x.movedim(0, 2))
    torch.testing.assert_close(moved.movedim(2, 0), torch.func.vmap(module)(x))


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")  # torch's own
def test_jvp_grad_and_hessian_of_func_are_those_of_autograd():
    x, direction = draw(1, 1, 2, 3, dtype=torch.float64), draw(1, 1, 2, 3, dtype=torch.float64, seed=1)

    def loss(value):
        return SimAM()(value).square().sum()

    y, change = torch.func.jvp(SimAM(), (x,), (direction,))
    torch.testing.assert_close(y, SimAM()(x))
    torch.testing.assert_close(change, torch.autograd.functional.jvp(SimAM(), x, direction)[1])
    with torch.autograd.forward_ad.dual_level():
        dual = SimAM()(torch.autograd.forward_ad.make_dual(x, direction))
        torch.testing.assert_close(torch.autograd.forward_ad.unpack_dual(dual).tangent, change)
    torch.testing.assert_close(torch.func.grad(loss)(x), gradient(loss, x, torch.ones((), dtype=x.dtype)))
    torch.testing.assert_close(torch.func.hessian(loss)(x), torch.autograd.functional.hessian(loss, x))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_autocast_on_the_cpu_changes_nothing(dtype):
    x = (1000 * draw(2, 3, 32, 32)).to(dtype)
    outside = SimAM()(x)
    for backend in ("auto", "torch", "reference"):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            inside = SimAM(backend=backend)(x)
        assert inside.dtype == dtype
        torch.testing.assert_close(inside, outside, rtol=2 * torch.finfo(dtype).eps, atol=0)


def test_gradients_in_a_batch_are_those_one_by_one(backend):
    x = draw(2, 3, 4, 5).requires_grad_()
    y = SimAM(backend=backend)(x)
    several = torch.stack([draw(2, 3, 4, 5, seed=k) for k in (1, 2, 3)])
    (together,) = torch.autograd.grad(y, x, several, is_grads_batched=True, retain_graph=True)
    one_by_one = [torch.autograd.grad(y, x, grad, retain_graph=True)[0] for grad in several]
    torch.testing.assert_close(together, torch.stack(one_by_one))


def test_a_negative_view_a_meta_tensor_and_a_subclass_are_taken_as_what_they_are():
    x = torch._neg_view(draw(2, 3, 4, 5))
    assert x.is_neg()
    torch.testing.assert_close(SimAM()(x), SimAM()(x.resolve_neg()))
    assert SimAM()(torch.empty(2, 3, 4, 4, device="meta")).is_meta

    class Marked(torch.Tensor):
        pass

    y = SimAM()(x.as_subclass(Marked))
    assert isinstance(y, Marked)
    torch.testing.assert_close(y.as_subclass(torch.Tensor), reference.simam(x, Options()))


def test_an_input_that_is_changed_before_the_backward_pass_is_noticed():
    held = draw(2, 3, 8, 8).requires_grad_() * 1.0
    y = SimAM()(held)
    held.add_(1.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_copies_and_pickles_are_the_same_module():
    options = {"dims": 1, "statistics": "population", "one_position": "half", "backend": "torch"}
    module, x = SimAM(lam=0.1, **options), draw(1, 2, 9)
    shown = ", ".join(f"{name}={value}" for name, value in options.items())
    for twin in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert repr(twin) == repr(module) == f"SimAM(lam=0.1, {shown})"
        assert torch.equal(twin(x), module(x))


def test_in_a_network_under_ddp(tmp_path):
    network = nn.Sequential(nn.Conv2d(3, 4, 3), SimAM(), nn.Flatten(), nn.Linear(4 * 36, 2))
    twin, x = copy.deepcopy(network), draw(5, 3, 8, 8)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1
    )
    try:
        nn.parallel.DistributedDataParallel(network)(x).square().sum().backward()
    finally:
        torch.distributed.destroy_process_group()
    twin(x).square().sum().backward()
    for ours, theirs in zip(network.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad)
