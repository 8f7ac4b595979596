"""The Triton kernels: their numbers under the interpreter, and the memory traffic of the code they become.

Triton decides when it is imported whether it interprets or compiles. So the kernels are run in one other
process, which interprets all cases at once; this one compiles.
"""

import importlib.util
import math
import os
import pickle
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import NamedTuple

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from simam_cases import DTYPES, STATISTICS, channels_last, draw, oracle
from simam_edu.kernels import inspect, tiling, triton_kernels
from simam_edu.kernels.options import Options, accumulation_dtype

HAS_TRITON = importlib.util.find_spec("triton") is not None
needs_triton = pytest.mark.skipif(not HAS_TRITON, reason="triton is not installed")
needs_compiler = pytest.mark.skipif(
    not HAS_TRITON or os.environ.get("TRITON_INTERPRET") == "1", reason="needs triton, not interpreting"
)
LEAST_GAIN = 1 / (1 + math.exp(-0.5))


class Case(NamedTuple):
    x: torch.Tensor
    lam: float = 1e-4
    statistics: str = "shared"
    grad: torch.Tensor | None = None

    @property
    def options(self):
        return Options(self.lam, self.statistics, self.x.ndim - 2)

    @property
    def grad_output(self):
        return normal(*self.x.shape, seed=9).to(self.x.dtype) if self.grad is None else self.grad


def normal(*shape, seed=0):
    return draw(*shape, dtype=torch.float64, seed=seed)


def name_of(dtype):
    return str(dtype).removeprefix("torch.")


LAYOUTS = {"contiguous": lambda x: x, "channels last": channels_last}


def grid_of_cases():
    """Every dtype in every layout, with every statistics for one short and one long shape each."""
    short = [(2, 3, 7, 7), (2, 3, 1, 2), (3, 5, 5, 3), (1, 2, 56, 56), (2, 3, 11), (1, 2, 3, 4, 5)]
    grid = [
        *((2 * normal(*short[0]) + 1, layout, STATISTICS, 0.1) for layout in LAYOUTS),
        *(
            (2 * normal(*s) + 1, layout, STATISTICS[k % 3 :][:1], 0.1)
            for k, s in enumerate(short[1:])
            for layout in LAYOUTS
        ),
        (normal(1, 2, 91, 93) - 3, "contiguous", STATISTICS, 1e-4),
        (normal(1, 9, 29, 37), "channels last", STATISTICS, 1e-4),
    ]
    return {
        f"{'x'.join(map(str, x.shape))} {name_of(dtype)} {layout} {one}": Case(
            LAYOUTS[layout](x.to(dtype)), lam=lam, statistics=one
        )
        for x, layout, statistics, lam in grid
        for dtype in DTYPES
        for one in statistics
    }


def hard_cases():
    """Inputs on which a careless sum overflows, vanishes or loses all digits."""
    map_ = normal(1, 2, 6, 7)
    map_[0, 1, 2, 3] += 6
    long = normal(1, 1, 92, 93, seed=1)
    growing = long * torch.logspace(-30, 0, 92 * 93, dtype=torch.float64).reshape(92, 93)
    outlier = map_.clone()
    outlier[..., 0, 0] = 1e6
    largest = {"float32": 8e37, "bfloat16": 8e37, "float64": 4e307}
    cases = {
        "mean 1e6 in float32": Case((map_ + 1e6).float()),
        "mean 1e6 in float32, long": Case((long + 1e6).float()),
        "mean 100 in float16": Case((map_ + 100).half()),
        "spread 1000 in float16": Case((map_ * 1000).half()),
        "an outlier comes first": Case(outlier.float()),
        "values of all sizes, long": Case((growing * 1e20).float(), lam=0.0),
        "values that grow, long": Case((growing * 1e38).float(), lam=0.0),
        "a penalty beyond float32": Case((map_ * 1e-30).float(), lam=1.0),
    }
    for name, factor in largest.items():
        dtype = getattr(torch, name)
        for statistics in STATISTICS:
            cases[f"huge {name} {statistics}"] = Case((map_ * (factor / 4)).to(dtype), statistics=statistics)
        cases[f"huge {name} with a huge penalty"] = Case((map_ * (factor / 4)).to(dtype), lam=1e300)
        cases[f"huge {name}, long"] = Case((long * (factor / 8)).to(dtype))
    for name, factor in {"float32": 1e-36, "bfloat16": 1e-32, "float64": 1e-306, "float16": 1e-3}.items():
        dtype = getattr(torch, name)
        cases[f"tiny {name}"] = Case((map_ * factor).to(dtype), lam=0.0)
        cases[f"tiny {name}, long"] = Case((long * factor).to(dtype), lam=0.0)
    return cases


def constant_cases():
    """Constant channels without a penalty, where the formula is 0 / 0."""
    cases = {}
    for dtype in DTYPES:
        info = torch.finfo(dtype)
        # The interpreter makes zeros of bfloat16 below the smallest normal number.
        least = info.smallest_normal * (2 if dtype == torch.bfloat16 else 0.25)
        levels = torch.tensor([0.0, -0.1, 1000.1, info.max, -info.max, least], dtype=torch.float64)
        levels = torch.cat([levels, normal(20)])
        for statistics in ("shared", "leave_one_out"):
            x = levels.to(dtype).reshape(1, -1, 1, 1).expand(1, -1, 5, 7).contiguous()
            cases[f"constant {name_of(dtype)} {statistics}"] = Case(x, lam=0.0, statistics=statistics)
        x = levels[1:4:2].to(dtype).reshape(1, -1, 1, 1).expand(1, -1, 91, 93).contiguous()
        cases[f"constant and long {name_of(dtype)}"] = Case(x, lam=0.0)
    return cases


def other_cases():
    x = normal(2, 4, 6, 8, seed=2).float()
    lonely = torch.zeros(1, 1, 3, 3)
    lonely[0, 0, 1, 1] = 1.0
    broken = x.clone()
    broken[0, 1, 2, 3], broken[1, 2, 3, 4] = math.nan, math.inf
    return {
        "no image": Case(torch.zeros(0, 3, 4, 4)),
        "no channel": Case(torch.zeros(2, 0, 4, 4)),
        "plain": Case(x, lam=0.0),
        "times a power of two": Case(x * 2.0**40, lam=0.0),
        "strided": Case(torch.stack([x, -x], dim=-1)[..., 0], lam=0.0),
        "transposed": Case(x.transpose(2, 3).contiguous().transpose(2, 3), lam=0.0),
        "expanded gradient": Case(x, lam=0.0, grad=torch.ones(()).expand(x.shape)),
        "lonely float32": Case(lonely, lam=0.0, statistics="leave_one_out"),
        "lonely float64": Case(lonely.double(), lam=0.0, statistics="leave_one_out"),
        "two positions": Case(x[..., :1, :2].contiguous(), lam=0.0, statistics="leave_one_out"),
        "not finite": Case(broken),
    }


COMPARED = grid_of_cases() | hard_cases()
CONSTANT, OTHER = constant_cases(), other_cases()
CASES = COMPARED | CONSTANT | OTHER


# What is run in the process that interprets.


def run_all():
    """Whether Triton is loaded before a kernel runs; each case's output, saved numbers and gradient."""
    loaded, results = "triton" in sys.modules, {}
    for name, case in CASES.items():
        assert triton_kernels.supports(case.x) or not case.x.numel(), name
        y, saved = triton_kernels.forward(case.x, case.options)
        results[name] = y, saved[0], triton_kernels.backward(case.x, case.grad_output, saved, case.options)
    return pickle.dumps((loaded, results))  # by value: the process ends before they are read


def generate():
    inspect.generate("forward", torch.empty(1, 1, 4, 4, device="meta"))


@pytest.fixture(scope="module")
def interpreter():
    """One other process, in which Triton interprets."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TRITON_INTERPRET", "1")
            pool.submit(os.getpid).result()  # starts it
        yield pool


@pytest.fixture(scope="module")
def run(interpreter):
    return pickle.loads(interpreter.submit(run_all).result())


@pytest.fixture(scope="module")
def results(run):
    return run[1]


def gradient_by_autograd(case):
    """The input gradient in float64, of the formula with the variance written out, on a scale that fits."""
    scale = case.x.abs().amax().double()
    x = (case.x.double() / scale).requires_grad_()
    axes, m = tuple(range(2, x.ndim)), math.prod(x.shape[2:])
    distance = x - x.mean(axes, keepdim=True)
    squares = distance.square().sum(axes, keepdim=True)
    if case.statistics == "leave_one_out":
        variance = (squares - m / (m - 1) * distance.square()) / (m - 1)
        distance = distance * m / (m - 1)
    else:
        variance = squares / (m - (case.statistics == "shared"))
    y = x * torch.sigmoid(0.5 + distance.square() / (4 * (variance + case.lam / scale / scale)))
    return torch.autograd.grad(y, x, case.grad_output.double())[0]


@needs_triton
@pytest.mark.parametrize("name", COMPARED)
def test_output_is_the_oracles_gradient_autograds_and_saved_are_mean_and_scale(results, name):
    case, (y, saved, grad) = COMPARED[name], results[name]
    x = case.x.double()
    for found in (y, grad):
        assert found.dtype == case.x.dtype
        assert found.stride() == case.x.stride(), "the memory format must be kept"
    # The output: in units of the last place of the input's dtype.
    info = torch.finfo(y.dtype)
    rtol = (1 if y.itemsize == 2 else 8) * info.eps
    wanted = oracle(case.x, case.statistics, case.lam)
    assert wanted.isfinite().all(), "the oracle itself"
    torch.testing.assert_close(y.double(), wanted, rtol=rtol, atol=info.smallest_normal)
    # The gradient: the terms of the sum are as large as the largest, and cancel.
    wanted = gradient_by_autograd(case)
    assert wanted.isfinite().all(), "the oracle itself"
    atol = 16 * info.eps * float(wanted.abs().max())
    torch.testing.assert_close(grad.double(), wanted, rtol=0, atol=atol)
    # What is saved: the mean on the scale, and a power of two.
    assert saved.shape == (2, *x.shape[:2]), "two numbers per channel are saved, no more"
    assert saved.dtype == accumulation_dtype(case.x.dtype)
    axes, (mean, scale) = tuple(range(2, x.ndim)), saved.double()
    scaled = x * scale.reshape(*scale.shape, *(1 for _ in axes))
    largest = scaled.abs().amax(axes)
    assert ((largest >= 1) & (largest < 4)).all()
    assert (scale.frexp().mantissa == 0.5).all()
    torch.testing.assert_close(mean, scaled.mean(axes), rtol=0, atol=8 * torch.finfo(saved.dtype).eps)


@needs_triton
@pytest.mark.parametrize("name", CONSTANT)
def test_a_constant_channel_has_its_exact_mean_the_lowest_gain_and_its_gradient(results, name):
    """A GPU divides to two units in the last place, so the deviations might not vanish otherwise."""
    case, (y, (mean, scale), grad) = CONSTANT[name], results[name]
    assert torch.equal(mean.double(), case.x[..., 0, 0].double() * scale.double())
    tolerance = {"rtol": torch.finfo(y.dtype).eps, "atol": torch.finfo(y.dtype).smallest_normal / 4}
    torch.testing.assert_close(y, (case.x.double() * LEAST_GAIN).to(y.dtype), **tolerance)
    torch.testing.assert_close(grad, (case.grad_output.double() * LEAST_GAIN).to(y.dtype), **tolerance)


@needs_triton
@pytest.mark.parametrize("name", ["no image", "no channel"])
def test_an_empty_batch_stays_empty(results, name):
    y, saved, grad = results[name]
    assert y.shape == grad.shape == OTHER[name].x.shape
    assert saved.numel() == 0


@needs_triton
def test_without_a_penalty_a_power_of_two_passes_through(results):
    (y, _, grad), (larger, _, same) = results["plain"], results["times a power of two"]
    assert torch.equal(larger, y * 2.0**40)
    assert torch.equal(same, grad)


@needs_triton
@pytest.mark.parametrize("name", ["strided", "transposed"])
def test_other_strides_give_the_same(results, name):
    assert not OTHER[name].x.is_contiguous()
    for found, wanted in zip(results[name], results["plain"], strict=True):
        assert torch.equal(found, wanted)
        assert found.is_contiguous()


@needs_triton
def test_a_gradient_without_memory_of_its_own_is_taken(results):
    name = "expanded gradient"
    wanted = gradient_by_autograd(OTHER[name])
    torch.testing.assert_close(results[name][2].double(), wanted, rtol=0, atol=1e-5)


@needs_triton
@pytest.mark.parametrize("name", ["lonely float32", "lonely float64", "two positions"])
def test_an_infinite_importance_is_the_gain_one_and_a_finite_gradient(results, name):
    case, (y, _, grad) = OTHER[name], results[name]
    infinite = torch.ones_like(case.x, dtype=torch.bool) if name == "two positions" else case.x == 1.0
    torch.testing.assert_close(y[infinite], case.x[infinite], rtol=0, atol=0)
    torch.testing.assert_close(grad[infinite], case.grad_output[infinite], rtol=1e-5, atol=1e-6)
    assert grad.isfinite().all()


@needs_triton
def test_nan_and_inf_spoil_their_channel_and_no_other(results):
    x, (y, _, grad) = OTHER["not finite"].x, results["not finite"]
    spoiled = ~x.isfinite().all(dim=-1).all(dim=-1)
    assert int(spoiled.sum()) == 2
    for values in (y, grad):
        assert values[spoiled].isnan().all()
        assert values[~spoiled].isfinite().all()


# The generated code.

SHORT_AND_LONG = {
    "short": ((4, 8, 14, 14), False),
    "at the limit": ((1, 4, 64, 64), False),
    "short, channels last": ((4, 32, 14, 14), True),
    "at the limit, channels last": ((2, 16, 32, 32), True),
    "long": ((1, 2, 91, 93), False),
    "long, channels last": ((1, 16, 56, 56), True),
}
READS = {"forward": (1, 3), "backward": (2, 5)}  # of map-sized tensors, on chip and beyond


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory):
    """Compile anew, and leave no trace among the kernels of the user."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRITON_CACHE_DIR", str(tmp_path_factory.mktemp("triton")))
        yield


def meta_tensor(where, dtype):
    shape, last = SHORT_AND_LONG[where]
    x = torch.empty(shape, dtype=dtype, device="meta")
    return x.to(memory_format=torch.channels_last) if last else x


@needs_compiler
@pytest.mark.parametrize("which", READS)
@pytest.mark.parametrize(
    ("where", "dtype", "leave_one_out"),
    [(where, torch.float32, False) for where in SHORT_AND_LONG]
    + [(where, torch.float16, True) for where in ("at the limit", "at the limit, channels last", "long")]
    + [(where, torch.float64, False) for where in ("at the limit", "long, channels last")],
)
def test_the_code_touches_memory_as_often_as_promised(which, where, dtype, leave_one_out):
    code = inspect.generate(which, meta_tensor(where, dtype), leave_one_out=leave_one_out)
    cut, found, size = code.plan, inspect.accesses(code), 8 if dtype == torch.float64 else 4
    assert cut.looped == where.startswith("long")
    maps = [access for access in found if access.elements == cut.block_c * cut.block_m]
    tile = cut.block_c * cut.block_m * dtype.itemsize
    assert {access.size for access in maps} == {tile}
    reads, writes = (sum(access.kind == kind for access in maps) for kind in ("load", "store"))
    assert (reads, writes) == (READS[which][cut.looped], 1)
    # The rest is the mean and the scale of each channel.
    rest = [access for access in found if access not in maps]
    assert rest == [("store" if which == "forward" else "load", cut.block_c, cut.block_c * size)] * 2
    # In the assembly language: what one thread moves, times the threads, is the tile, so none is moved twice.
    kind, times = ("load", reads) if which == "forward" else ("store", 1)
    assert inspect.thread_bytes(code, kind) * 32 * cut.warps == times * tile
    assert ".local" not in code.ptx


@needs_compiler
@pytest.mark.parametrize(
    ("dtype", "capability"),
    [*((torch.float16, capability) for capability in (70, 75, 90)), (torch.bfloat16, 80)],
)
def test_older_and_newer_cards_and_bfloat16_are_compiled_for(dtype, capability):
    code = inspect.generate("backward", meta_tensor("short", dtype), capability=capability)
    assert f".target sm_{capability}" in code.ptx
    maps = [access for access in inspect.accesses(code) if access.elements > code.plan.block_c]
    assert maps[0].size == code.plan.block_c * code.plan.block_m * 2


@given(st.integers(1, 40), st.integers(1, 300), st.integers(2, 40000), st.booleans(), st.sampled_from(DTYPES))
def test_the_tiles_cover_the_tensor_and_fit(n, c, positions, last, dtype):
    x = torch.empty(n, positions, c, dtype=dtype, device="meta").movedim(-1, 1)
    x = x if last else x.contiguous()
    cut = tiling.plan(x)
    assert cut.images * cut.channels == n * c
    assert cut.programs * cut.block_c >= n * c
    strides = (1, c) if cut.last else (positions, 1)
    assert strides in {(x.stride(1), x.stride(2)), (positions, 1)}
    assert cut.looped or cut.block_m >= positions
    size = cut.block_c * cut.block_m * (8 if dtype == torch.float64 else 4)
    assert size <= tiling.TILE_BYTES
    assert {side.bit_count() for side in (cut.block_c, cut.block_m)} == {1}, "Triton wants powers of two"
    assert 1 <= cut.warps <= 32
    limit = 1024 if last and c >= 8 and not x.is_contiguous() else (4096 if dtype == torch.float64 else 8192)
    assert cut.looped == (positions > limit) or (last and c < 8), "the limit of the documentation"


# What is not supported, and what is said where Triton is missing.


@needs_triton
@pytest.mark.parametrize(
    "x",
    [
        torch.zeros(2, 3),
        torch.zeros(2, 3, 4, 4, dtype=torch.int64),
        torch.zeros(2, 3, 1, 1),
        torch.zeros(2, 3, 0, 4),
        torch.empty(1, 1, 2**16, 2**15, device="meta"),
    ],
    ids=str,
)
def test_what_has_no_dtype_or_map_for_the_kernels_is_not_supported(x, monkeypatch):
    monkeypatch.setattr(triton_kernels, "interpreted", lambda: True)
    assert triton_kernels.supports(torch.zeros(2, 3, 4, 4))
    assert not triton_kernels.supports(x)


@needs_compiler
def test_without_a_gpu_nothing_is_supported_and_a_launch_says_why():
    x = torch.zeros(2, 3, 4, 4)
    assert not triton_kernels.supports(x)
    with pytest.raises(RuntimeError, match="x must be on a CUDA device, got one on cpu"):
        triton_kernels.forward(x, Options())


def test_where_triton_is_missing_it_is_said(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    x = torch.zeros(2, 3, 4, 4)
    assert not triton_kernels.supports(x)
    assert not triton_kernels.interpreted()
    with pytest.raises(ModuleNotFoundError, match="triton must be installed"):
        triton_kernels.forward(x, Options())
    with pytest.raises(ModuleNotFoundError, match="triton must be installed"):
        inspect.generate("forward", x)


@needs_triton
def test_triton_is_not_loaded_before_a_kernel_runs(run):
    assert not run[0], "simam_edu.kernels.inspect and its own imports must not load it"


@needs_triton
def test_code_is_not_generated_while_interpreting(interpreter):
    with pytest.raises(RuntimeError, match="Triton must compile"):
        interpreter.submit(generate).result()
