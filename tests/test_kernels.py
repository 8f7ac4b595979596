"""The forms of SimAM against the float64 oracle: over dtypes, layouts, options and magnitudes."""

import math
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch

from simam_edu import SimAM, energy, kernels
from simam_edu.kernels import eager, native, plain
from simam_edu.kernels.options import Options

DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]
SHAPES = [
    (2, 3, 8, 8), (1, 1, 1, 2), (3, 17, 7, 5), (2, 64, 7, 7), (1, 70, 3, 3), (2, 16, 12, 11), (1, 5, 50, 50),
]  # fmt: skip
VARIANTS = {  # of the module, and what the oracle calls the same
    "authors": ({}, "shared"),
    "printed": ({"correction": 0}, "population"),
    "exact": ({"statistics": "leave_one_out"}, "leave_one_out"),
}


@pytest.fixture(scope="session")
def _native_kernel():
    """Build the native kernel, unless it is there."""
    if not any(shutil.which(name) for name in native.COMPILERS):
        pytest.skip("the native kernel needs a C++ compiler, and there is none here")
    kernels.build()


@pytest.fixture(params=["native", "torch", "plain"])
def path(request):
    """Each path that runs on the CPU."""
    if request.param == "native":
        request.getfixturevalue("_native_kernel")
    return request.param


def draw(shape, dtype, *, mean=0.0, spread=1.0, seed=0):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (mean + spread * x).to(dtype)


def oracle(x, statistics="shared", lam=1e-4):
    maps = x.double().contiguous().numpy()
    flat = maps.reshape(*maps.shape[:2], 1, -1)
    return torch.from_numpy(energy.gain(flat, lam=lam, statistics=statistics).reshape(maps.shape) * maps)


def ulps(y, expected):
    """Return the largest error in units of the last place of the expected values."""
    dtype = y.dtype
    unit = torch.finfo(dtype).eps * expected.abs().clamp_min(torch.finfo(dtype).tiny)
    return float(((y.double() - expected).abs() / unit).max()) if y.numel() else 0.0


def layouts(x):
    last = x.movedim(1, -1).contiguous().movedim(-1, 1)
    wide = torch.stack([x, x], dim=-1)[..., 0]  # neither contiguous nor channels_last
    return {"contiguous": x.contiguous(), "channels_last": last, "strided": wide}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_path_is_the_oracle(path, shape, dtype, variant):
    options, statistics = VARIANTS[variant]
    for layout, x in layouts(draw(shape, dtype, mean=0.5, spread=2.0)).items():
        y = SimAM(path=path, **options)(x)
        assert y.dtype == dtype
        assert ulps(y, oracle(x, statistics)) <= 4, layout


@pytest.mark.parametrize(
    ("dtype", "mean", "spread"),
    [
        (torch.float16, 100.0, 1.0),
        (torch.float16, 0.0, 1000.0),
        (torch.float16, 0.0, 1e-6),
        (torch.bfloat16, 0.0, 1e37),
        (torch.float32, 1e6, 1.0),
        (torch.float32, -1e6, 1.0),
        (torch.float32, 0.0, 1e37),
        (torch.float32, 0.0, 1e25),
        (torch.float32, 0.0, 1e-25),
        (torch.float32, 0.0, 1e-37),
        (torch.float64, 1e8, 1.0),
        (torch.float64, 0.0, 1e300),
        (torch.float64, 0.0, 1e-300),
    ],
    ids=str,
)
@pytest.mark.parametrize("lam", [0.0, 1e-4])
@pytest.mark.parametrize("statistics", ["shared", "leave_one_out"])
def test_no_magnitude_is_too_large_or_too_small(path, dtype, mean, spread, lam, statistics):
    for layout, x in layouts(draw((2, 3, 16, 16), dtype, mean=mean, spread=spread)).items():
        assert x.isfinite().all()
        y = SimAM(lam=lam, path=path, statistics=statistics)(x)
        assert ulps(y, oracle(x, statistics, lam)) <= 4, layout


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_the_largest_finite_values_are_fine(path, dtype):
    x = torch.tensor([1.0, -1.0, 1.0, 0.5], dtype=dtype).reshape(1, 1, 2, 2) * torch.finfo(dtype).max
    assert ulps(SimAM(path=path)(x), oracle(x)) <= 4


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("lam", [0.0, 1e-4])
@pytest.mark.parametrize("value", [0.0, 0.1, -3e4])
@pytest.mark.parametrize("statistics", ["shared", "leave_one_out"])
def test_a_constant_channel_keeps_sigmoid_of_one_half(path, dtype, lam, value, statistics):
    for x in layouts(torch.full((2, 3, 7, 7), value, dtype=dtype)).values():
        x = x.detach().requires_grad_()
        y = SimAM(lam=lam, path=path, statistics=statistics)(x)
        half = x.double() / (1 + math.exp(-0.5))
        assert ulps(y.detach(), half.detach()) <= 1
        (gradient,) = torch.autograd.grad(y.sum(), x)
        assert gradient.isfinite().all()


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_gradient_is_that_of_the_plain_form_in_float64(path, shape, dtype, variant):
    options = VARIANTS[variant][0]
    exact = Options(1e-4, options.get("correction", 1), variant == "exact")
    for layout, x in layouts(draw(shape, dtype, mean=0.5, spread=2.0)).items():
        x = x.detach().requires_grad_()
        incoming = draw(shape, dtype, seed=1)
        (gradient,) = torch.autograd.grad(SimAM(path=path, **options)(x), x, incoming)
        wide = x.detach().double().requires_grad_()
        (expected,) = torch.autograd.grad(plain.simam(wide, exact), wide, incoming.double())
        assert gradient.dtype == dtype
        largest = expected.abs().amax((-2, -1), keepdim=True)
        assert ((gradient - expected).abs() <= 16 * torch.finfo(dtype).eps * largest).all(), layout


@pytest.mark.parametrize("spread", [1e-30, 1e30])
def test_gradient_of_extreme_inputs(path, spread):
    x = draw((1, 2, 6, 6), torch.float32, spread=spread).requires_grad_()
    incoming = draw((1, 2, 6, 6), torch.float32, seed=1)
    (gradient,) = torch.autograd.grad(SimAM(lam=0.0, path=path)(x), x, incoming)
    scaled = (x.detach().double() / spread).requires_grad_()  # at lam = 0 a scale changes no gradient
    (expected,) = torch.autograd.grad(plain.simam(scaled, Options(0.0)), scaled, incoming.double())
    torch.testing.assert_close(gradient.double(), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("lam", [0.0, 0.3])
def test_first_and_second_derivative_by_differences(path, variant, lam):
    x = draw((1, 2, 3, 4), torch.float64).requires_grad_()
    module = SimAM(lam=lam, path=path, **VARIANTS[variant][0])
    assert torch.autograd.gradcheck(module, (x,))
    assert torch.autograd.gradgradcheck(module, (x,))


@pytest.mark.parametrize("shape", [(2, 3, 9), (2, 3, 4, 5), (2, 3, 2, 3, 4)], ids=str)
def test_any_number_of_map_axes(path, shape):
    x = draw(shape, torch.float64)
    flat = SimAM(path=path)(x.reshape(2, 3, 1, -1)).reshape(shape)
    module = SimAM(dims=len(shape) - 2, path=path)
    torch.testing.assert_close(module(x), flat, rtol=1e-14, atol=0)
    last = x.movedim(1, -1).contiguous().movedim(-1, 1).requires_grad_()
    y = module(last)
    assert y.stride() == last.stride(), "the memory format must be kept"
    torch.testing.assert_close(y, flat, rtol=1e-14, atol=0)
    y.sum().backward()
    assert last.grad.stride() == last.stride()


@pytest.mark.parametrize("shape", [(0, 3, 4, 4), (0, 64, 7, 7)], ids=str)
def test_an_empty_batch_stays_empty(path, shape):
    for x in layouts(torch.zeros(shape)).values():
        x = x.detach().requires_grad_()
        y = SimAM(path=path)(x)
        y.sum().backward()
        assert y.shape == x.grad.shape == shape


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_spoils_its_channel_and_no_other(path, bad):
    for x in layouts(draw((2, 3, 5, 5), torch.float32)).values():
        x = x.clone(memory_format=torch.preserve_format)
        clean = SimAM(path=path)(x)
        x[1, 2, 3, 3] = bad
        y = SimAM(path=path)(x)
        assert y[1, 2].isnan().all()
        y[1, 2], clean[1, 2] = 0, 0
        torch.testing.assert_close(y, clean)


def test_an_outlier_among_equals_keeps_its_value(path):
    for lam in (0.0, 1e-12):
        x = torch.ones(1, 1, 4, 4)
        x[..., 2, 1] = 3.0
        x.requires_grad_()
        y = SimAM(lam=lam, path=path, statistics="leave_one_out")(x)
        assert float(y.detach()[..., 2, 1]) == 3.0
        y.sum().backward()
        assert x.grad.isfinite().all()


def test_gradient_may_come_in_any_layout_and_be_expanded(path):
    x = draw((2, 3, 4, 4), torch.float64).requires_grad_()
    module = SimAM(path=path)
    expanded = torch.ones((), dtype=torch.float64).expand(2, 3, 4, 4)
    for incoming in (expanded, *layouts(draw((2, 3, 4, 4), torch.float64)).values()):
        (gradient,) = torch.autograd.grad(module(x), x, incoming)
        (expected,) = torch.autograd.grad(plain.simam(x, Options()), x, incoming)
        torch.testing.assert_close(gradient, expected)


def saved_bytes(module, x):
    """Return the bytes of the distinct memory that autograd keeps for the backward pass."""
    kept = {}
    with torch.autograd.graph.saved_tensors_hooks(
        lambda t: kept.setdefault(t.untyped_storage().data_ptr(), t) is None or t, lambda t: t
    ):
        y = module(x)
    del y
    return sum(t.untyped_storage().nbytes() for t in kept.values())


@pytest.mark.parametrize("path", ["native", "torch"])
@pytest.mark.parametrize("shape", [(4, 16, 32, 32), (4, 64, 8, 8)], ids=str)
def test_the_input_and_two_numbers_a_channel_are_kept(path, shape, request):
    if path == "native":
        request.getfixturevalue("_native_kernel")
    x = draw(shape, torch.float32).requires_grad_()
    assert saved_bytes(SimAM(path=path), x) == 4 * (x.numel() + 2 * shape[0] * shape[1])


@pytest.mark.usefixtures("_native_kernel")
def test_the_path_is_told_and_can_be_chosen(monkeypatch):
    x = torch.zeros(1, 1, 2, 2)
    assert kernels.path_for(x) == "native"
    assert kernels.path_for(x, "torch") == "torch"
    assert kernels.path_for(x.to("meta")) == "plain"
    monkeypatch.setattr(native, "is_built", lambda: False)
    assert kernels.path_for(x) == "torch"
    with pytest.raises(ValueError, match=r"on cpu and none; build it by simam-edu kernels"):
        kernels.path_for(x, "native")
    with pytest.raises(
        ValueError, match=r"path must be one of auto, native, torch, triton, plain, got 'fast'"
    ):
        kernels.path_for(x, "fast")
    with pytest.raises(ValueError, match=r"path 'triton' must have a float tensor on CUDA and triton"):
        kernels.path_for(x, "triton")


def test_without_a_compiler_the_error_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr(native, "library", lambda: tmp_path / "kernels" / "simam.so")
    monkeypatch.setenv("CXX", "")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(OSError, match=r"a C\+\+ compiler is needed .* install one, or go on without"):
        native.build()
    assert not (tmp_path / "kernels" / "simam.so").exists()


def test_a_failed_compilation_is_told_and_leaves_nothing(monkeypatch, tmp_path):
    compiler = tmp_path / "broken"
    compiler.write_text("#!/bin/sh\necho 'no space left' >&2\nexit 1\n")
    compiler.chmod(0o755)
    monkeypatch.setattr(native, "library", lambda: tmp_path / "kernels" / "simam.so")
    monkeypatch.setenv("CXX", str(compiler))
    with pytest.raises(OSError, match=r"must take native\.cpp, a C\+\+20 source, but says: no space left"):
        native.build()
    assert list((tmp_path / "kernels").iterdir()) == []


@pytest.mark.usefixtures("_native_kernel")
def test_nothing_is_compiled_at_import_or_in_a_call():
    code = (
        "import subprocess, torch\n"
        "def refuse(*a, **k): raise AssertionError('a compiler was called')\n"
        "subprocess.run = subprocess.Popen = refuse\n"
        "from simam_edu import SimAM\n"
        "SimAM()(torch.randn(1, 2, 3, 3, requires_grad=True)).sum().backward()"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


@pytest.mark.usefixtures("_native_kernel")
def test_threads_do_not_change_the_result():
    x = draw((8, 64, 16, 16), torch.float32)
    before = torch.get_num_threads()
    try:
        results = []
        for threads in (1, 2):
            torch.set_num_threads(threads)
            results.append(SimAM(path="native")(x))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*results)


@pytest.mark.usefixtures("_native_kernel")
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=["contiguous", "last"])
def test_a_batch_so_large_that_its_memory_is_new_is_that_of_its_images(layout):
    x = draw((5, 64, 176, 176), torch.float32).contiguous(memory_format=layout).requires_grad_()
    assert x.nbytes > 2**25, "below this the kernel does not ask for pages"
    module = SimAM(path="native")
    y = module(x)
    (gradient,) = torch.autograd.grad(y, x, x.detach())
    for k in range(len(x)):
        image = x.detach()[k : k + 1].requires_grad_()
        one = module(image)
        assert torch.equal(y[k : k + 1], one), k
        assert torch.equal(gradient[k : k + 1], torch.autograd.grad(one, image, image.detach())[0]), k


@pytest.mark.usefixtures("_native_kernel")
def test_every_half_number_is_widened_and_narrowed_as_torch_does():
    """A constant channel of each value: its output is the value times one constant, rounded once."""
    bits = torch.arange(-(2**15), 2**15, dtype=torch.int32).to(torch.int16)
    for dtype in (torch.float16, torch.bfloat16):
        values = bits.view(dtype)
        values = values[values.isfinite()]
        x = values.reshape(1, -1, 1, 1).expand(1, -1, 2, 2).contiguous()
        y = SimAM(path="native")(x)[0, :, 0, 0]
        assert ulps(y, values.double() / (1 + math.exp(-0.5))) <= 0.51 * 2


def test_powers_of_two_are_exact():
    """The plain form scales by exp2 of a whole number, which must be exact where torch runs."""
    for dtype, reach in plain.REACH.items():
        whole = torch.arange(-reach, reach + 1, dtype=dtype)
        expected = np.ldexp(1.0, whole.int().numpy())
        assert torch.equal(whole.exp2().double(), torch.from_numpy(expected))


def test_eager_takes_the_plain_form_of_extreme_channels():
    x = draw((1, 1, 4, 4), torch.float32, spread=1e30)
    y, saved = eager.forward(x, Options())
    assert saved == ()
    assert torch.equal(y, plain.simam(x, Options()))


@pytest.mark.parametrize(
    "first_call", [torch.inference_mode, lambda: torch.device("meta")], ids=["inference", "meta"]
)
def test_what_a_first_call_keeps_serves_later_ones(first_call):
    eager._number.cache_clear()
    x, module = draw((2, 3, 8, 8), torch.float32), SimAM(path="torch")
    with first_call():
        module(x)
    again = x.clone().requires_grad_()
    y = module(again)
    y.sum().backward()
    assert ulps(y.detach(), oracle(x)) < 4
    torch.testing.assert_close(
        again.grad, plain.gradient(x, torch.ones_like(x), Options(), create_graph=False)
    )
