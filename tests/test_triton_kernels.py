"""The Triton kernels: their numbers under the interpreter, and the memory traffic of the code they become.

Triton decides when it is imported whether it interprets or compiles. So the kernels are run in one other
process, which interprets all cases at once; this one compiles.
"""

import importlib.util
import math
import os
import subprocess
import sys
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from simam_edu import energy
from simam_edu.kernels import generated_code, tiling, triton_kernels

HAS_TRITON = importlib.util.find_spec("triton") is not None
needs_triton = pytest.mark.skipif(not HAS_TRITON, reason="triton is not installed")
needs_compiler = pytest.mark.skipif(
    not HAS_TRITON or os.environ.get("TRITON_INTERPRET") == "1", reason="needs triton, not interpreting"
)
DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
SETTINGS = {"sample": (1, False), "population": (0, False), "leave_one_out": (1, True)}
FLOOR = 1 / (1 + math.exp(-0.5))

INTERPRETED = """
import sys, torch
from simam_edu.kernels import triton_kernels
results = {}
for name, (x, grad, options) in torch.load(sys.argv[1]).items():
    assert triton_kernels.supports(x) or x.numel() == 0, name
    y, saved = triton_kernels.forward(x, **options)
    results[name] = y, saved, triton_kernels.backward(x, grad, saved, **options)
torch.save(results, sys.argv[2])
"""


@dataclass(frozen=True, kw_only=True)
class Case:
    x: torch.Tensor
    lam: float = 1e-4
    setting: str = "sample"
    grad: torch.Tensor = field(default=None)  # type: ignore[assignment]

    @property
    def options(self) -> dict[str, Any]:
        correction, leave_one_out = SETTINGS[self.setting]
        spatial = self.x.ndim - 2
        return {
            "lam": self.lam,
            "correction": correction,
            "leave_one_out": leave_one_out,
            "spatial": spatial,
        }


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def channels_last(x: torch.Tensor) -> torch.Tensor:
    """The same values with the channel as the fastest axis, for any number of map axes."""
    return x.movedim(1, -1).contiguous().movedim(-1, 1)


def name_of(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def grid_of_cases() -> dict[str, Case]:
    """Every shape with every dtype, layout and setting."""
    shapes = [(2, 3, 7, 7), (2, 3, 1, 2), (3, 5, 5, 3), (1, 2, 56, 56), (2, 3, 11), (1, 2, 3, 4, 5)]
    cases = {}
    for shape in shapes:
        for dtype in DTYPES:
            x = (2 * normal(*shape) + 1).to(dtype)
            for layout, values in (("contiguous", x), ("channels last", channels_last(x))):
                for setting in SETTINGS:
                    key = f"{'x'.join(map(str, shape))} {name_of(dtype)} {layout} {setting}"
                    cases[key] = Case(x=values, setting=setting, lam=0.1)
    return cases


def long_cases() -> dict[str, Case]:
    """Channels that do not fit on chip."""
    cases = {}
    for dtype in DTYPES:
        x = (normal(1, 2, 91, 93) - 3).to(dtype)
        y = channels_last(normal(1, 9, 29, 37).to(dtype))
        for setting in SETTINGS:
            cases[f"long {name_of(dtype)} contiguous {setting}"] = Case(x=x, setting=setting)
            cases[f"long {name_of(dtype)} channels last {setting}"] = Case(x=y, setting=setting)
    return cases


def hard_cases() -> dict[str, Case]:
    """Inputs on which a careless sum overflows, vanishes or loses all digits."""
    map_ = normal(1, 2, 6, 7)
    map_[0, 1, 2, 3] += 6
    long = normal(1, 1, 92, 93, seed=1)
    growing = long * torch.logspace(-30, 0, 92 * 93, dtype=torch.float64).reshape(92, 93)
    outlier = map_.clone()
    outlier[..., 0, 0] = 1e6
    largest = {"float32": 8e37, "bfloat16": 8e37, "float64": 4e307}
    cases = {
        "mean 1e6 in float32": Case(x=(map_ + 1e6).float()),
        "mean 1e6 in float32, long": Case(x=(long + 1e6).float()),
        "mean 100 in float16": Case(x=(map_ + 100).half()),
        "spread 1000 in float16": Case(x=(map_ * 1000).half()),
        "an outlier comes first": Case(x=outlier.float()),
        "values of all sizes, long": Case(x=(growing * 1e20).float(), lam=0.0),
        "values that grow, long": Case(x=(growing * 1e38).float(), lam=0.0),
        "a penalty beyond float32": Case(x=(map_ * 1e-30).float(), lam=1.0),
    }
    for name, factor in largest.items():
        dtype = getattr(torch, name)
        for setting in SETTINGS:
            cases[f"huge {name} {setting}"] = Case(x=(map_ * (factor / 4)).to(dtype), setting=setting)
        cases[f"huge {name} with a huge penalty"] = Case(x=(map_ * (factor / 4)).to(dtype), lam=1e300)
        cases[f"huge {name}, long"] = Case(x=(long * (factor / 8)).to(dtype))
    for name, factor in {"float32": 1e-36, "bfloat16": 1e-32, "float64": 1e-306, "float16": 1e-3}.items():
        dtype = getattr(torch, name)
        cases[f"tiny {name}"] = Case(x=(map_ * factor).to(dtype), lam=0.0)
        cases[f"tiny {name}, long"] = Case(x=(long * factor).to(dtype), lam=0.0)
    return cases


def constant_cases() -> dict[str, Case]:
    """Constant channels without a penalty, where the formula is 0 / 0."""
    cases = {}
    for dtype in DTYPES:
        info = torch.finfo(dtype)
        # The interpreter makes zeros of bfloat16 below the smallest normal number.
        least = info.smallest_normal * (2 if dtype == torch.bfloat16 else 0.25)
        levels = torch.tensor([0.0, -0.1, 1000.1, info.max, -info.max, least], dtype=torch.float64)
        levels = torch.cat([levels, normal(20)])
        for setting in ("sample", "leave_one_out"):
            x = levels.to(dtype).reshape(1, -1, 1, 1).expand(1, -1, 5, 7).contiguous()
            cases[f"constant {name_of(dtype)} {setting}"] = Case(x=x, lam=0.0, setting=setting)
        x = levels[1:4:2].to(dtype).reshape(1, -1, 1, 1).expand(1, -1, 91, 93).contiguous()
        cases[f"constant and long {name_of(dtype)}"] = Case(x=x, lam=0.0)
    return cases


def other_cases() -> dict[str, Case]:
    x = normal(2, 4, 6, 8, seed=2).float()
    lonely = torch.zeros(1, 1, 3, 3)
    lonely[0, 0, 1, 1] = 1.0
    broken = x.clone()
    broken[0, 1, 2, 3], broken[1, 2, 3, 4] = math.nan, math.inf
    return {
        "no image": Case(x=torch.zeros(0, 3, 4, 4)),
        "no channel": Case(x=torch.zeros(2, 0, 4, 4)),
        "plain": Case(x=x, lam=0.0),
        "times a power of two": Case(x=x * 2.0**40, lam=0.0),
        "strided": Case(x=torch.stack([x, -x], dim=-1)[..., 0], lam=0.0),
        "transposed": Case(x=x.transpose(2, 3).contiguous().transpose(2, 3), lam=0.0),
        "expanded gradient": Case(x=x, lam=0.0, grad=torch.ones(()).expand(x.shape)),
        "lonely float32": Case(x=lonely, lam=0.0, setting="leave_one_out"),
        "lonely float64": Case(x=lonely.double(), lam=0.0, setting="leave_one_out"),
        "two positions": Case(x=x[..., :1, :2].contiguous(), lam=0.0, setting="leave_one_out"),
        "not finite": Case(x=broken),
    }


GRID, LONG, HARD, CONSTANT, OTHER = (
    grid_of_cases(),
    long_cases(),
    hard_cases(),
    constant_cases(),
    other_cases(),
)
COMPARED = GRID | LONG | HARD
CASES = COMPARED | CONSTANT | OTHER


def gradient_of(case: Case) -> torch.Tensor:
    return normal(*case.x.shape, seed=9).to(case.x.dtype) if case.grad is None else case.grad


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """What the kernels give for every case: output, saved numbers, input gradient."""
    assert len(CASES) == sum(map(len, (GRID, LONG, HARD, CONSTANT, OTHER))), "a name is used twice"
    folder = tmp_path_factory.mktemp("interpreted")
    torch.save({key: (case.x, gradient_of(case), case.options) for key, case in CASES.items()}, folder / "in")
    command = [sys.executable, "-c", INTERPRETED, str(folder / "in"), str(folder / "out")]
    environment = {**os.environ, "TRITON_INTERPRET": "1"}
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return torch.load(folder / "out")


def gain_by_oracle(case: Case) -> torch.Tensor:
    statistics = "shared" if case.setting == "sample" else case.setting
    maps = case.x.double().reshape(*case.x.shape[:2], 1, -1).numpy()
    return torch.from_numpy(energy.gain(maps, lam=case.lam, statistics=statistics)).reshape(case.x.shape)


def gradient_by_autograd(case: Case) -> torch.Tensor:
    """The input gradient in float64, of the formula with the variance written out, on a scale that fits."""
    scale = case.x.abs().amax().double()
    x = (case.x.double() / scale).requires_grad_()
    lam = case.lam / scale / scale
    axes = tuple(range(2, x.ndim))
    count = math.prod(x.shape[2:])
    correction, leave_one_out = SETTINGS[case.setting]
    distance = x - x.mean(axes, keepdim=True)
    squares = distance.square().sum(axes, keepdim=True)
    if leave_one_out:
        variance = (squares - count / (count - 1) * distance.square()) / (count - 1)
        distance = distance * count / (count - 1)
    else:
        variance = squares / (count - correction)
    y = x * torch.sigmoid(0.5 + distance.square() / (4 * (variance + lam)))
    return torch.autograd.grad(y, x, gradient_of(case).double())[0]


@needs_triton
@pytest.mark.parametrize("name", COMPARED)
def test_the_output_is_that_of_the_oracle(results, name):
    case, (y, saved, _) = COMPARED[name], results[name]
    assert y.dtype == case.x.dtype
    assert y.stride() == case.x.stride(), "the memory format must be kept"
    assert saved.shape == (2, *case.x.shape[:2]), "two numbers a channel are kept, no more"
    assert saved.dtype == (torch.float64 if case.x.dtype == torch.float64 else torch.float32)
    # In units of the last place of the input's dtype.
    ulps = 1 if case.x.itemsize == 2 else 8
    torch.testing.assert_close(
        y.double(),
        case.x.double() * gain_by_oracle(case),
        rtol=ulps * torch.finfo(y.dtype).eps,
        atol=torch.finfo(y.dtype).smallest_normal,
    )


@needs_triton
@pytest.mark.parametrize("name", COMPARED)
def test_the_gradient_is_that_of_autograd(results, name):
    case, (_, _, grad) = COMPARED[name], results[name]
    assert grad.dtype == case.x.dtype
    assert grad.stride() == case.x.stride(), "the memory format must be kept"
    wanted = gradient_by_autograd(case)
    largest = float(wanted.abs().max())  # the terms of the sum are of this size, and cancel
    tolerance = 16 * torch.finfo(grad.dtype).eps * largest
    torch.testing.assert_close(grad.double(), wanted, rtol=0, atol=tolerance)


@needs_triton
@pytest.mark.parametrize("name", COMPARED)
def test_what_is_saved_is_the_mean_and_a_power_of_two(results, name):
    case, (mean, scale) = COMPARED[name], results[name][1].double()
    axes = tuple(range(2, case.x.ndim))
    largest = case.x.double().abs().amax(axes) * scale
    assert ((largest >= 1) & (largest < 4)).all()
    assert (scale.frexp().mantissa == 0.5).all()
    wanted = (case.x.double() * scale.reshape(*scale.shape, *(1 for _ in axes))).mean(axes)
    eps = torch.finfo(results[name][1].dtype).eps
    torch.testing.assert_close(mean, wanted, rtol=0, atol=8 * eps)


@needs_triton
@pytest.mark.parametrize("name", CONSTANT)
def test_the_mean_of_a_constant_channel_is_exact(results, name):
    """A GPU divides to two units in the last place, so the deviations might not vanish otherwise."""
    mean, scale = results[name][1].double()
    torch.testing.assert_close(mean, CONSTANT[name].x[..., 0, 0].double() * scale, rtol=0, atol=0)


@needs_triton
@pytest.mark.parametrize("name", CONSTANT)
def test_a_constant_channel_keeps_the_lowest_gain_and_its_gradient(results, name):
    case, (y, _, grad) = CONSTANT[name], results[name]
    tolerance = {"rtol": torch.finfo(y.dtype).eps, "atol": torch.finfo(y.dtype).smallest_normal / 4}
    torch.testing.assert_close(y, (case.x.double() * FLOOR).to(y.dtype), **tolerance)
    torch.testing.assert_close(grad, (gradient_of(case).double() * FLOOR).to(y.dtype), **tolerance)


@needs_triton
@pytest.mark.parametrize("name", ["no image", "no channel"])
def test_an_empty_batch_stays_empty(results, name):
    y, saved, grad = results[name]
    assert y.shape == grad.shape == OTHER[name].x.shape
    assert saved.numel() == 0


@needs_triton
def test_without_a_penalty_a_power_of_two_passes_through(results):
    (y, _, grad), (larger, _, same) = results["plain"], results["times a power of two"]
    torch.testing.assert_close(larger, y * 2.0**40, rtol=0, atol=0)
    torch.testing.assert_close(same, grad, rtol=0, atol=0)


@needs_triton
@pytest.mark.parametrize("name", ["strided", "transposed"])
def test_other_strides_give_the_same(results, name):
    assert not OTHER[name].x.is_contiguous()
    for found, wanted in zip(results[name], results["plain"], strict=True):
        torch.testing.assert_close(found, wanted, rtol=0, atol=0)
        assert found.is_contiguous()


@needs_triton
def test_a_gradient_without_memory_of_its_own_is_taken(results):
    torch.testing.assert_close(
        results["expanded gradient"][2].double(),
        gradient_by_autograd(OTHER["expanded gradient"]),
        rtol=0,
        atol=1e-5,
    )


@needs_triton
@pytest.mark.parametrize("name", ["lonely float32", "lonely float64", "two positions"])
def test_an_infinite_importance_is_the_gain_one_and_a_finite_gradient(results, name):
    case, (y, _, grad) = OTHER[name], results[name]
    infinite = torch.ones_like(case.x, dtype=torch.bool) if name == "two positions" else case.x == 1.0
    torch.testing.assert_close(y[infinite], case.x[infinite], rtol=0, atol=0)
    torch.testing.assert_close(grad[infinite], gradient_of(case)[infinite], rtol=1e-5, atol=1e-6)
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


def meta_tensor(where: str, dtype: torch.dtype) -> torch.Tensor:
    shape, last = SHORT_AND_LONG[where]
    x = torch.empty(shape, dtype=dtype, device="meta")
    return x.to(memory_format=torch.channels_last) if last else x


@needs_compiler
@pytest.mark.parametrize("which", ["forward", "backward"])
@pytest.mark.parametrize(
    ("where", "dtype", "leave_one_out"),
    [(where, torch.float32, False) for where in SHORT_AND_LONG]
    + [(where, torch.float16, True) for where in ("at the limit, channels last", "long")]
    + [(where, torch.float64, False) for where in ("at the limit", "long, channels last")],
)
def test_the_code_touches_memory_as_often_as_promised(which, where, dtype, leave_one_out):
    code = generated_code.generate(which, meta_tensor(where, dtype), leave_one_out=leave_one_out)
    assert code.plan.looped == where.startswith("long")
    tile = code.plan.block_c * code.plan.block_m
    found = generated_code.accesses(code)
    maps = [access for access in found if access.elements == tile]
    assert all(access.size == tile * dtype.itemsize for access in maps)
    reads, writes = (sum(access.kind == kind for access in maps) for kind in ("load", "store"))
    assert (reads, writes) == (READS[which][code.plan.looped], 1)
    # The rest is the mean and the scale of each channel.
    rest = [access for access in found if access.elements != tile]
    statistics = 8 if dtype == torch.float64 else 4
    wanted = ("store" if which == "forward" else "load", code.plan.block_c, code.plan.block_c * statistics)
    assert [(access.kind, access.elements, access.size) for access in rest] == [wanted, wanted]


@needs_compiler
@pytest.mark.parametrize(
    ("where", "dtype"),
    [(where, torch.float32) for where in SHORT_AND_LONG] + [("at the limit", torch.float16)],
)
def test_the_threads_share_the_tile_and_move_no_element_twice(where, dtype):
    """In the assembly language of the GPU: what one thread moves, times the threads, is the tile."""
    forward = generated_code.generate("forward", meta_tensor(where, dtype))
    cut = forward.plan
    tile = cut.block_c * cut.block_m * dtype.itemsize
    threads = 32 * cut.warps
    assert generated_code.thread_bytes(forward, "load") * threads == READS["forward"][cut.looped] * tile
    backward = generated_code.generate("backward", meta_tensor(where, dtype))
    assert generated_code.thread_bytes(backward, "store") * threads == tile
    assert ".local" not in forward.ptx + backward.ptx


@needs_compiler
@pytest.mark.parametrize("capability", [70, 75, 90])
def test_older_and_newer_cards_are_compiled_for(capability):
    code = generated_code.generate("backward", meta_tensor("short", torch.float16), capability=capability)
    assert f".target sm_{capability}" in code.ptx


@needs_compiler
def test_bfloat16_is_compiled_for():
    code = generated_code.generate("forward", meta_tensor("short", torch.bfloat16))
    assert generated_code.accesses(code)[0].size == code.plan.block_c * code.plan.block_m * 2


@given(st.integers(1, 40), st.integers(1, 300), st.integers(2, 40000), st.booleans(), st.sampled_from(DTYPES))
def test_the_tiles_cover_the_tensor_and_fit(n, c, positions, last, dtype):
    x = torch.empty(n, positions, c, dtype=dtype, device="meta").movedim(-1, 1)
    x = x if last else x.contiguous()
    cut = tiling.plan(x)
    assert cut.images * cut.channels == n * c
    assert cut.programs * cut.block_c >= n * c
    strides = {(cut.channel_stride, cut.position_stride)}
    assert strides <= {(x.stride(1), x.stride(2)), (positions, 1)}
    assert cut.looped or cut.block_m >= positions
    size = cut.block_c * cut.block_m * (8 if dtype == torch.float64 else 4)
    assert size <= tiling.TILE_BYTES
    assert {side.bit_count() for side in (cut.block_c, cut.block_m)} == {1}, "Triton wants powers of two"
    assert 1 <= cut.warps <= 32
    limit = 1024 if last and c >= 8 and not x.is_contiguous() else (4096 if dtype == torch.float64 else 8192)
    assert cut.looped == (positions > limit) or (last and c < 8), "the limit of the documentation"


# What is refused, and what is said where Triton is missing.

OPTIONS: dict[str, Any] = {"lam": 1e-4, "correction": 1, "leave_one_out": False, "spatial": 2}


@pytest.mark.parametrize(
    ("x", "change", "message"),
    [
        (torch.zeros(2, 3, 4), {}, r"axes \(n, c\) and 2 map axes, at least 1, got shape \(2, 3, 4\)"),
        (torch.zeros(2, 3), {"spatial": 0}, "0 map axes, at least 1"),
        (torch.zeros(2, 3, 4, 4, dtype=torch.int64), {}, "float64, got torch.int64"),
        (torch.zeros(2, 3, 1, 1), {}, "2 to 2\\^30 positions"),
        (torch.zeros(2, 3, 0, 4), {}, "2 to 2\\^30 positions"),
        (torch.empty(1, 1, 2**16, 2**15, device="meta"), {}, "2 to 2\\^30 positions"),
        (torch.zeros(2, 3, 4, 4), {"lam": -1.0}, "lam must be a finite number of at least 0, got -1.0"),
        (torch.zeros(2, 3, 4, 4), {"lam": math.nan}, "lam must be"),
        (torch.zeros(2, 3, 4, 4), {"correction": 2}, "correction must be 0 or 1, got 2"),
    ],
)
def test_bad_input_is_refused(x, change, message):
    saved = torch.zeros(2, *x.shape[:2])
    with pytest.raises(ValueError, match=message):
        triton_kernels.forward(x, **OPTIONS | change)
    with pytest.raises(ValueError, match=message):
        triton_kernels.backward(x, x, saved, **OPTIONS | change)


@pytest.mark.parametrize(
    ("grad", "saved", "message"),
    [
        (torch.zeros(2, 3, 4, 5), torch.zeros(2, 2, 3), "grad must have the shape, dtype and device of x"),
        (torch.zeros(2, 3, 4, 4).half(), torch.zeros(2, 2, 3), "grad must have"),
        (torch.zeros(2, 3, 4, 4), torch.zeros(2, 3, 2), "saved must be what the forward returned"),
        (torch.zeros(2, 3, 4, 4), torch.zeros(2, 2, 3).double(), "got .* of torch.float64"),
        (torch.zeros(2, 3, 4, 4), torch.zeros(3, 2, 2).permute(1, 2, 0), "contiguous"),
    ],
)
def test_a_backward_of_something_else_is_refused(grad, saved, message):
    with pytest.raises(ValueError, match=message):
        triton_kernels.backward(torch.zeros(2, 3, 4, 4), grad, saved, **OPTIONS)


@needs_compiler
def test_without_a_gpu_nothing_is_supported_and_a_launch_says_why():
    x = torch.zeros(2, 3, 4, 4)
    assert not triton_kernels.supports(x)
    with pytest.raises(RuntimeError, match="x must be on a CUDA device, got one on cpu"):
        triton_kernels.forward(x, **OPTIONS)


def test_where_triton_is_missing_it_is_said(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    x = torch.zeros(2, 3, 4, 4)
    assert not triton_kernels.supports(x)
    assert not triton_kernels.interpreted()
    with pytest.raises(ModuleNotFoundError, match="triton must be installed"):
        triton_kernels.forward(x, **OPTIONS)
    with pytest.raises(ModuleNotFoundError, match="triton must be installed"):
        generated_code.generate("forward", x)


def test_the_module_does_not_load_triton():
    code = "import sys, simam_edu.kernels.generated_code; sys.exit('triton' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, f"the import must not load triton, or failed: {run.stderr}"


@needs_triton
def test_code_is_not_generated_while_interpreting():
    code = (
        "import torch; from simam_edu.kernels.generated_code import generate\n"
        "generate('forward', torch.empty(1, 1, 4, 4, device='meta'))"
    )
    environment = {**os.environ, "TRITON_INTERPRET": "1"}
    run = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert "RuntimeError: Triton must compile" in run.stderr


def test_the_oracle_of_these_tests_has_no_nan():
    for name, case in COMPARED.items():
        assert np.isfinite(gain_by_oracle(case).numpy()).all(), name
        assert gradient_by_autograd(case).isfinite().all(), name
