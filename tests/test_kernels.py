"""The backends of SimAM against the float64 oracle: over dtypes, layouts, options and magnitudes."""

import math
import platform

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from simam_cases import DTYPES, STATISTICS, draw, gradient, layouts, oracle, ulps
from simam_edu import SimAM, kernels
from simam_edu.kernels import fused, native, reference
from simam_edu.kernels.options import Options

F16, BF16, F32, F64 = DTYPES
SHAPES = [  # the last are too long for a tile on a GPU, in one layout or both
    (2, 3, 8, 8), (1, 1, 1, 2), (3, 17, 7, 5), (2, 64, 7, 7), (1, 70, 3, 3), (2, 16, 12, 11), (1, 5, 50, 50),
    (1, 2, 91, 93),
]  # fmt: skip
BACKENDS_AND_SHAPES = [  # interpreted, many programs take long
    (backend, shape)
    for backend in ("native", "torch", "reference", "triton")
    for shape in SHAPES
    if backend != "triton" or shape[1] <= 8
]
MAGNITUDES = [  # dtype, mean, standard deviation
    (F16, 100.0, 1.0), (F16, 0.0, 1000.0), (F16, 0.0, 1e-6), (BF16, 0.0, 1e37), (F32, 1e6, 1.0),
    (F32, -1e6, 1.0), (F32, 0.0, 1e37), (F32, 0.0, 1e25), (F32, 0.0, 1e-25), (F32, 0.0, 1e-37),
    (F64, 1e8, 1.0), (F64, 0.0, 1e300), (F64, 0.0, 1e-300),
]  # fmt: skip
every_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=str)
every_statistics = pytest.mark.parametrize("statistics", STATISTICS)
two_statistics = pytest.mark.parametrize("statistics", ["shared", "leave_one_out"])
short_and_long = pytest.mark.parametrize("size", [(6, 7), (91, 93)], ids=str)
needs_native = pytest.mark.usefixtures("native_kernel")


@every_statistics
@every_dtype
@pytest.mark.parametrize(("backend", "shape"), BACKENDS_AND_SHAPES, indirect=["backend"], ids=str)
def test_output_is_the_oracles_to_4_ulps_and_gradient_the_references_in_float64(
    backend, shape, dtype, statistics
):
    module, exact = SimAM(backend=backend, statistics=statistics), Options(1e-4, statistics)
    grad_output = draw(*shape, dtype=dtype, seed=1)
    for layout, x in layouts(draw(*shape, dtype=dtype, mean=0.5, std=2.0)).items():
        y, found = passes(module, x, grad_output)
        assert y.dtype == found.dtype == dtype
        assert ulps(y, oracle(x, statistics)) <= 4, layout
        wanted = gradient(lambda t: reference.simam(t, exact), x.double(), grad_output.double())
        largest = wanted.abs().amax((-2, -1), keepdim=True)
        bound = (16 if math.prod(shape[2:]) < 5000 else 64) * torch.finfo(dtype).eps  # of a long sum
        assert ((found - wanted).abs() <= bound * largest).all(), layout


def passes(call, x, grad_output):
    leaf = x.detach().requires_grad_()
    y = call(leaf)
    return y.detach(), torch.autograd.grad(y, leaf, grad_output)[0]


@pytest.mark.parametrize(("dtype", "mean", "std"), MAGNITUDES, ids=str)
@short_and_long
@two_statistics
def test_no_magnitude_is_too_large_or_too_small(backend, dtype, mean, std, size, statistics):
    for layout, x in layouts(draw(1, 1, *size, dtype=dtype, mean=mean, std=std)).items():
        assert x.isfinite().all()
        for lam in (0.0, 1e-4, 1.0):
            y = SimAM(lam=lam, backend=backend, statistics=statistics)(x)
            assert ulps(y, oracle(x, statistics, lam)) <= 4, (layout, lam)


@short_and_long
@pytest.mark.parametrize("largest", [1.0, 1e37])
def test_magnitudes_may_differ_within_a_map(backend, size, largest):
    each = torch.logspace(-30, 0, math.prod(size), dtype=F64).reshape(size)
    for x in layouts((draw(1, 1, *size, dtype=F64) * each * largest).float()).values():
        assert ulps(SimAM(lam=0.0, backend=backend)(x), oracle(x, lam=0.0)) <= 4
        y = SimAM(backend=backend)(x.flip(-1, -2))
        assert ulps(y, oracle(x).flip(-1, -2)) <= 4


@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
def test_the_largest_finite_values_are_fine(backend, dtype):
    x = torch.tensor([1.0, -1.0, 1.0, 0.5], dtype=dtype).reshape(1, 1, 2, 2) * torch.finfo(dtype).max
    for lam in (1e-4, 1e300):
        assert ulps(SimAM(backend=backend, lam=lam)(x), oracle(x, lam=lam)) <= 4


@pytest.mark.parametrize(
    ("backend", "dtype"),
    [
        *((backend, dtype) for backend in ("native", "torch", "reference") for dtype in (F16, BF16)),
        ("triton", F16),  # the interpreter does not round bfloat16, it truncates
    ],
    indirect=["backend"],
    ids=str,
)
def test_half_precision_is_computed_in_float32_and_rounded_once(backend, dtype):
    x = draw(1, 2, 32, 32, std=20.0, dtype=dtype)  # the sum of squares overflows in float16
    module = SimAM(backend=backend)
    assert torch.equal(module(x), module(x.float()).to(dtype))


@every_dtype
@pytest.mark.parametrize(("lam", "size"), [(0.0, (6, 7)), (1e-4, (6, 7)), (0.0, (91, 93))])
@two_statistics
def test_a_constant_channel_has_the_gain_and_gradient_sigmoid_of_one_half(
    backend, dtype, lam, size, statistics
):
    info = torch.finfo(dtype)
    values = [-0.1, info.max] if size == (91, 93) else [0.0, 0.1, -3e4, 2 * info.tiny, info.max, -info.max]
    if size != (91, 93) and info.max > 1e18:  # lam is subnormal beside them
        values += [1e18, 1e155] if dtype == F64 else [1e18]
    module = SimAM(lam=lam, backend=backend, statistics=statistics)
    for x in layouts(torch.tensor(values, dtype=dtype).reshape(1, -1, 1, 1).expand(1, -1, *size)).values():
        y, grad = passes(module, x, torch.ones_like(x))
        assert ulps(y, x.double() / (1 + math.exp(-0.5))) <= 1
        torch.testing.assert_close(grad, torch.full_like(grad, 1 / (1 + math.exp(-0.5))))


@pytest.mark.parametrize("backend", ["native", "torch", "triton"], indirect=True)
@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
@pytest.mark.parametrize("spread", [0.0, 1e-4, 0.5])
@pytest.mark.parametrize("lam", [0.0, 1e-4])
def test_gradient_at_the_largest_values_is_that_of_scaled_ones(backend, dtype, spread, lam):
    """The upstream gradient times the input overflows; autograd of the reference takes just that."""
    largest = torch.finfo(dtype).max
    scaled = 1.0 - spread * draw(1, 2, 6, 7, dtype=F64).abs() / 4.0
    grad_output = 10.0 * draw(1, 2, 6, 7, dtype=dtype, seed=1)
    for layout, x in layouts((scaled * largest).to(dtype)).items():
        found = gradient(SimAM(lam=lam, backend=backend), x, grad_output)
        wanted = gradient(
            lambda t: reference.simam(t, Options(0.0)), x.double() / largest, grad_output.double()
        )
        assert ((found - wanted).abs() <= 16 * torch.finfo(dtype).eps * wanted.abs().amax()).all(), layout


@pytest.mark.parametrize("std", [1e-30, 1e30])
def test_gradient_of_extreme_inputs_is_that_of_scaled_ones(backend, std):
    x, grad_output = draw(1, 2, 6, 6, std=std), draw(1, 2, 6, 6, seed=1)
    found = gradient(SimAM(lam=0.0, backend=backend), x, grad_output)
    # At lam = 0 a scale changes no gradient.
    wanted = gradient(lambda t: reference.simam(t, Options(0.0)), x.double() / std, grad_output.double())
    torch.testing.assert_close(found.double(), wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("statistics", "lam"), [*zip(STATISTICS, (0.3, 0.3, 0.0), strict=True)])
def test_first_and_second_derivative_are_those_by_differences(backend, statistics, lam):
    x = draw(1, 1, 2, 3, dtype=F64).requires_grad_()
    module = SimAM(lam=lam, backend=backend, statistics=statistics)
    assert torch.autograd.gradcheck(module, (x,))
    assert torch.autograd.gradgradcheck(module, (x,))


@pytest.mark.parametrize("shape", [(2, 3, 9), (2, 3, 4, 5), (2, 3, 2, 3, 4)], ids=str)
def test_any_number_of_map_axes_is_one_and_the_memory_format_is_kept(backend, shape):
    x = draw(*shape, dtype=F64)
    flat = SimAM(backend=backend)(x.reshape(2, 3, 1, -1)).reshape(shape)
    module = SimAM(dims=len(shape) - 2, backend=backend)
    for given in (x, layouts(x)["channels_last"]):
        y, grad = passes(module, given, torch.ones_like(given))
        assert y.stride() == grad.stride() == given.stride()
        torch.testing.assert_close(y, flat, rtol=1e-14, atol=0)


@pytest.mark.parametrize("shape", [(0, 3, 4, 4), (0, 64, 7, 7)], ids=str)
def test_an_empty_batch_stays_empty(backend, shape):
    for x in layouts(torch.zeros(shape)).values():
        y, grad = passes(SimAM(backend=backend), x, x)
        assert y.shape == grad.shape == shape


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_spoils_its_channel_and_no_other(backend, bad):
    for x in layouts(draw(2, 3, 5, 5)).values():
        x = x.clone(memory_format=torch.preserve_format)
        clean = passes(SimAM(backend=backend), x, x)
        x[1, 2, 3, 3] = bad
        for found, wanted in zip(passes(SimAM(backend=backend), x, x), clean, strict=True):
            assert found[1, 2].isnan().all()
            found[1, 2], wanted[1, 2] = 0, 0
            torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("lam", [0.0, 1e-12])
@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
def test_an_outlier_among_equals_keeps_its_value_and_its_gradient(backend, dtype, lam):
    x = torch.ones(1, 1, 4, 4, dtype=dtype)
    x[..., 2, 1] = 3.0
    y, grad = passes(SimAM(lam=lam, backend=backend, statistics="leave_one_out"), x, torch.ones_like(x))
    assert float(y[..., 2, 1]) == 3.0
    assert float(grad[..., 2, 1]) == pytest.approx(1.0, rel=1e-4)
    assert grad.isfinite().all()


def test_grad_output_may_come_in_any_layout_and_be_expanded(backend):
    x = draw(2, 3, 4, 4, dtype=F64)
    expanded = torch.ones((), dtype=F64).expand(2, 3, 4, 4)
    for grad_output in (expanded, *layouts(draw(2, 3, 4, 4, dtype=F64)).values()):
        found = gradient(SimAM(backend=backend), x, grad_output)
        torch.testing.assert_close(found, gradient(lambda t: reference.simam(t, Options()), x, grad_output))


@pytest.mark.parametrize("backend", ["native", "torch", "triton"], indirect=True)
def test_the_input_and_two_numbers_per_channel_are_saved(backend):
    x, saved = draw(2, 8, 16, 16).requires_grad_(), {}

    def pack(t):
        saved[t.untyped_storage().data_ptr()] = t  # held, so that no address is used twice
        return t

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        SimAM(backend=backend)(x)
    assert sum(t.untyped_storage().nbytes() for t in saved.values()) == 4 * (x.numel() + 2 * 2 * 8)


# The selection.


@needs_native
def test_backend_for_says_what_runs_and_refuses_what_cannot(monkeypatch):
    x = torch.zeros(1, 1, 2, 2)
    assert kernels.backend_for(x) == "native"
    assert kernels.backend_for(x, "torch") == "torch"
    assert kernels.backend_for(x.to("meta")) == "reference"
    monkeypatch.setattr(native, "is_built", lambda: False)
    assert kernels.backend_for(x) == "torch"
    for name, message in {
        "native": "on cpu; simam-edu kernels builds it",
        "triton": "backend 'triton' must have a float tensor on CUDA and triton",
        "fast": "backend must be one of auto, native, torch, triton, reference, got 'fast'",
    }.items():
        with pytest.raises(ValueError, match=message):
            kernels.backend_for(x, name)


# What single backends do beside.


@needs_native
@every_dtype
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=["contiguous", "last"])
def test_threads_change_no_bit_of_the_native_kernel(dtype, layout):
    x = draw(8, 64, 16, 16, dtype=dtype).contiguous(memory_format=layout)
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            results.append(passes(SimAM(backend="native"), x, x))
    finally:
        torch.set_num_threads(before)
    assert all(map(torch.equal, *results))


@needs_native
def test_where_subnormal_numbers_are_taken_for_zero_those_of_float16_are_still_read():
    x = torch.full((1, 1, 2, 2), 5e-5, dtype=torch.float16)
    wanted = SimAM(backend="native")(x)
    if platform.machine() not in ("x86_64", "AMD64") or not torch.set_flush_denormal(True):
        pytest.skip("for x86 only, as the kernel says")
    try:
        found = SimAM(backend="native")(x)
    finally:
        torch.set_flush_denormal(False)
    assert torch.equal(found, wanted)
    assert found.all()


@needs_native
@pytest.mark.parametrize(
    "x",
    [torch.ones(()).expand(1, 2, 64, 64), torch.ones(1, 2, 8, 8)[..., ::2], torch.ones(1, 2, 4, 4).long(),
     torch.ones(1, 2, 1, 1), torch.ones(2, 3)],
    ids=["expanded", "cut", "integers", "one position", "no map"],
)  # fmt: skip
def test_the_operator_reads_no_memory_that_is_none_of_its_maps(x):
    with pytest.raises(RuntimeError, match=r"x must be dense maps .*; call simam_edu.SimAM"):
        torch.ops.simam_edu.native(x, 1e-4, 1, False)


@pytest.mark.parametrize("backend", ["native", "torch", "triton"], indirect=True)
def test_what_a_hook_lays_out_anew_has_the_same_gradient(backend):
    x, module = draw(2, 3, 6, 6), SimAM(backend=backend)
    wide = lambda t: torch.nn.functional.pad(t, (0, 1))  # noqa: E731
    with torch.autograd.graph.saved_tensors_hooks(wide, lambda t: t[..., :-1]):
        found = passes(module, x, x)
    assert all(map(torch.equal, found, passes(module, x, x)))


@needs_native
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=["contiguous", "last"])
def test_native_gives_a_batch_with_new_memory_what_its_images_get(layout):
    x = draw(3, 64, 214, 214).contiguous(memory_format=layout)
    assert x.nbytes > 2**25, "below this the kernel does not ask for pages"
    batch = passes(SimAM(backend="native"), x, x)
    for k in range(len(x)):
        image = x[k : k + 1]
        for all_of_them, one in zip(batch, passes(SimAM(backend="native"), image, image), strict=True):
            assert torch.equal(all_of_them[k : k + 1], one), k


@needs_native
@pytest.mark.parametrize("dtype", [F16, BF16], ids=str)
def test_native_widens_and_rounds_every_half_number_as_torch_does(dtype):
    """A constant channel of each value: its output is the value times one constant, rounded once."""
    values = torch.arange(-(2**15), 2**15, dtype=torch.int32).to(torch.int16).view(dtype)
    values = values[values.isfinite()]
    x = values.reshape(1, -1, 1, 1).expand(1, -1, 2, 2).contiguous()
    y = SimAM(backend="native")(x)[0, :, 0, 0]
    assert ulps(y, values.double() / (1 + math.exp(-0.5))) <= 0.51 * 2


@pytest.mark.filterwarnings("ignore")  # of the compiler's own Python
def test_powers_of_two_are_exact():
    """The reference scales by one, which must be exact where torch runs, eagerly and compiled."""
    for dtype, reach in reference.REACH.items():
        whole = torch.arange(-reach, reach + 1, dtype=dtype)
        wanted = torch.from_numpy(np.ldexp(1.0, whole.int().numpy()))
        compiled = torch.compile(lambda t: torch.pow(2.0, t), fullgraph=True)
        assert torch.equal(compiled(whole).double(), wanted)
        for size in (1, 3, 8, 17, len(whole)):  # batches that fill a vector or not
            found = torch.cat([torch.pow(2.0, part) for part in whole.split(size)])
            assert torch.equal(found.double(), wanted), size


class Wrong(TorchDispatchMode):
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        y = func(*args, **(kwargs or {}))
        return y + 1 if isinstance(y, torch.Tensor) and y.ndim == 0 else y


@pytest.mark.parametrize("first_call", [torch.inference_mode, lambda: torch.device("meta"), Wrong])
def test_constants_of_a_first_call_in_another_mode_serve_later_calls(first_call):
    fused._number.cache_clear()
    lam = 0.25
    x, module = draw(2, 3, 8, 8), SimAM(backend="torch", lam=lam)
    with first_call():
        module(x)
    y, grad = passes(module, x, x)
    assert ulps(y, oracle(x, lam=lam)) < 4
    torch.testing.assert_close(grad, gradient(SimAM(backend="reference", lam=lam), x, x))
