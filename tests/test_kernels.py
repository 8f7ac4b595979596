"""The backends of SimAM against the float64 oracle: over dtypes, layouts, options and magnitudes."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch

from simam_cases import DTYPES, STATISTICS, draw, gradient, layouts, oracle, ulps
from simam_edu import SimAM, kernels
from simam_edu.kernels import fused, native, reference
from simam_edu.kernels.options import Options

F16, BF16, F32, F64 = DTYPES
SHAPES = [
    (2, 3, 8, 8), (1, 1, 1, 2), (3, 17, 7, 5), (2, 64, 7, 7), (1, 70, 3, 3), (2, 16, 12, 11), (1, 5, 50, 50),
]  # fmt: skip
MAGNITUDES = [  # dtype, mean, standard deviation
    (F16, 100.0, 1.0), (F16, 0.0, 1000.0), (F16, 0.0, 1e-6), (BF16, 0.0, 1e37), (F32, 1e6, 1.0),
    (F32, -1e6, 1.0), (F32, 0.0, 1e37), (F32, 0.0, 1e25), (F32, 0.0, 1e-25), (F32, 0.0, 1e-37),
    (F64, 1e8, 1.0), (F64, 0.0, 1e300), (F64, 0.0, 1e-300),
]  # fmt: skip
every_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=str)
every_statistics = pytest.mark.parametrize("statistics", STATISTICS)
two_statistics = pytest.mark.parametrize("statistics", ["shared", "leave_one_out"])
needs_native = pytest.mark.usefixtures("native_kernel")


@every_statistics
@every_dtype
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_output_is_the_oracles_to_4_ulps_and_gradient_the_references_in_float64(
    backend, shape, dtype, statistics
):
    module, exact = SimAM(backend=backend, statistics=statistics), Options(1e-4, statistics)
    grad_output = draw(*shape, dtype=dtype, seed=1)
    for layout, x in layouts(draw(*shape, dtype=dtype, mean=0.5, std=2.0)).items():
        y = module(x)
        assert y.dtype == dtype
        assert ulps(y, oracle(x, statistics)) <= 4, layout
        found = gradient(module, x, grad_output)
        wanted = gradient(lambda t: reference.simam(t, exact), x.double(), grad_output.double())
        assert found.dtype == dtype
        largest = wanted.abs().amax((-2, -1), keepdim=True)
        assert ((found - wanted).abs() <= 16 * torch.finfo(dtype).eps * largest).all(), layout


@pytest.mark.parametrize(("dtype", "mean", "std"), MAGNITUDES, ids=str)
@pytest.mark.parametrize("lam", [0.0, 1e-4, 1.0])
@two_statistics
def test_no_magnitude_is_too_large_or_too_small(backend, dtype, mean, std, lam, statistics):
    for layout, x in layouts(draw(2, 3, 16, 16, dtype=dtype, mean=mean, std=std)).items():
        assert x.isfinite().all()
        y = SimAM(lam=lam, backend=backend, statistics=statistics)(x)
        assert ulps(y, oracle(x, statistics, lam)) <= 4, layout


@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
def test_the_largest_finite_values_are_fine(backend, dtype):
    x = torch.tensor([1.0, -1.0, 1.0, 0.5], dtype=dtype).reshape(1, 1, 2, 2) * torch.finfo(dtype).max
    assert ulps(SimAM(backend=backend)(x), oracle(x)) <= 4


@pytest.mark.parametrize("dtype", [F16, BF16], ids=str)
def test_half_precision_is_computed_in_float32_and_rounded_once(backend, dtype):
    x = draw(1, 2, 32, 32, std=20.0, dtype=dtype)  # the sum of squares overflows in float16
    module = SimAM(backend=backend)
    assert torch.equal(module(x), module(x.float()).to(dtype))


@every_dtype
@pytest.mark.parametrize("lam", [0.0, 1e-4])
@pytest.mark.parametrize("value", [0.0, 0.1, -3e4])
@two_statistics
def test_a_constant_channel_has_the_gain_sigmoid_of_one_half(backend, dtype, lam, value, statistics):
    for x in layouts(torch.full((2, 3, 7, 7), value, dtype=dtype)).values():
        module = SimAM(lam=lam, backend=backend, statistics=statistics)
        assert ulps(module(x), x.double() / (1 + math.exp(-0.5))) <= 1
        assert gradient(module, x, torch.ones_like(x)).isfinite().all()


@pytest.mark.parametrize("std", [1e-30, 1e30])
def test_gradient_of_extreme_inputs_is_that_of_scaled_ones(backend, std):
    x, grad_output = draw(1, 2, 6, 6, std=std), draw(1, 2, 6, 6, seed=1)
    found = gradient(SimAM(lam=0.0, backend=backend), x, grad_output)
    # At lam = 0 a scale changes no gradient.
    wanted = gradient(lambda t: reference.simam(t, Options(0.0)), x.double() / std, grad_output.double())
    torch.testing.assert_close(found.double(), wanted, rtol=1e-4, atol=1e-6)


@every_statistics
@pytest.mark.parametrize("lam", [0.0, 0.3])
def test_first_and_second_derivative_are_those_by_differences(backend, statistics, lam):
    x = draw(1, 2, 3, 4, dtype=F64).requires_grad_()
    module = SimAM(lam=lam, backend=backend, statistics=statistics)
    assert torch.autograd.gradcheck(module, (x,))
    assert torch.autograd.gradgradcheck(module, (x,))


@pytest.mark.parametrize("shape", [(2, 3, 9), (2, 3, 4, 5), (2, 3, 2, 3, 4)], ids=str)
def test_any_number_of_map_axes_is_one_and_the_memory_format_is_kept(backend, shape):
    x = draw(*shape, dtype=F64)
    flat = SimAM(backend=backend)(x.reshape(2, 3, 1, -1)).reshape(shape)
    module = SimAM(dims=len(shape) - 2, backend=backend)
    torch.testing.assert_close(module(x), flat, rtol=1e-14, atol=0)
    last = layouts(x)["channels_last"].requires_grad_()
    y = module(last)
    assert y.stride() == last.stride()
    torch.testing.assert_close(y, flat, rtol=1e-14, atol=0)
    y.sum().backward()
    assert last.grad.stride() == last.stride()


@pytest.mark.parametrize("shape", [(0, 3, 4, 4), (0, 64, 7, 7)], ids=str)
def test_an_empty_batch_stays_empty(backend, shape):
    for x in layouts(torch.zeros(shape)).values():
        x = x.detach().requires_grad_()
        y = SimAM(backend=backend)(x)
        y.sum().backward()
        assert y.shape == x.grad.shape == shape


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_spoils_its_channel_and_no_other(backend, bad):
    for x in layouts(draw(2, 3, 5, 5)).values():
        x = x.clone(memory_format=torch.preserve_format)
        clean = SimAM(backend=backend)(x)
        x[1, 2, 3, 3] = bad
        y = SimAM(backend=backend)(x)
        assert y[1, 2].isnan().all()
        y[1, 2], clean[1, 2] = 0, 0
        torch.testing.assert_close(y, clean)


@pytest.mark.parametrize("lam", [0.0, 1e-12])
def test_an_outlier_among_equals_keeps_its_value_and_has_a_finite_gradient(backend, lam):
    x = torch.ones(1, 1, 4, 4)
    x[..., 2, 1] = 3.0
    module = SimAM(lam=lam, backend=backend, statistics="leave_one_out")
    assert float(module(x)[..., 2, 1]) == 3.0
    assert gradient(module, x, torch.ones_like(x)).isfinite().all()


def test_grad_output_may_come_in_any_layout_and_be_expanded(backend):
    x = draw(2, 3, 4, 4, dtype=F64)
    expanded = torch.ones((), dtype=F64).expand(2, 3, 4, 4)
    for grad_output in (expanded, *layouts(draw(2, 3, 4, 4, dtype=F64)).values()):
        found = gradient(SimAM(backend=backend), x, grad_output)
        torch.testing.assert_close(found, gradient(lambda t: reference.simam(t, Options()), x, grad_output))


@pytest.mark.parametrize("backend", ["native", "torch"], indirect=True)
@pytest.mark.parametrize("shape", [(4, 16, 32, 32), (4, 64, 8, 8)], ids=str)
def test_the_input_and_two_numbers_per_channel_are_saved(backend, shape):
    x, saved = draw(*shape).requires_grad_(), {}

    def pack(t):
        saved[t.untyped_storage().data_ptr()] = t  # held, so that no address is used twice
        return t

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        y = SimAM(backend=backend)(x)
    del y
    found = sum(t.untyped_storage().nbytes() for t in saved.values())
    assert found == 4 * (x.numel() + 2 * shape[0] * shape[1])


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
        "native": r"on cpu and none; build it by simam-edu kernels",
        "triton": r"backend 'triton' must have a float tensor on CUDA and triton",
        "fast": r"backend must be one of auto, native, torch, triton, reference, got 'fast'",
    }.items():
        with pytest.raises(ValueError, match=message):
            kernels.backend_for(x, name)


def test_a_build_without_a_compiler_or_with_a_failing_one_says_why_and_leaves_nothing(monkeypatch, tmp_path):
    target = tmp_path / "kernels" / "simam.so"
    monkeypatch.setattr(native, "library", lambda: target)
    failing = tmp_path / "failing"
    failing.write_text("#!/bin/sh\necho 'no space left' >&2\nexit 1\n")
    failing.chmod(0o755)
    monkeypatch.setenv("CXX", str(failing))
    with pytest.raises(OSError, match=r"must take kernel\.cpp, a C\+\+20 source, but says: no space left"):
        native.build()
    monkeypatch.setenv("CXX", "")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(OSError, match=r"a C\+\+ compiler is needed .* install one, or go on without"):
        native.build()
    assert list(target.parent.iterdir()) == []


@needs_native
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


# What single backends do beside.


@needs_native
def test_threads_change_no_bit_of_the_native_kernel():
    x = draw(8, 64, 16, 16)
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            results.append(SimAM(backend="native")(x))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*results)


@needs_native
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=["contiguous", "last"])
def test_native_gives_a_batch_with_new_memory_what_its_images_get(layout):
    x = draw(5, 64, 176, 176).contiguous(memory_format=layout)
    assert x.nbytes > 2**25, "below this the kernel does not ask for pages"
    module = SimAM(backend="native")
    y, grad = module(x), gradient(module, x, x)
    for k in range(len(x)):
        image = x[k : k + 1]
        assert torch.equal(y[k : k + 1], module(image)), k
        assert torch.equal(grad[k : k + 1], gradient(module, image, image)), k


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
        assert torch.equal(whole.exp2().double(), wanted)
        compiled = torch.compile(lambda t: torch.pow(2.0, t), fullgraph=True)
        assert torch.equal(compiled(whole).double(), wanted)
        for size in (1, 3, 8, 17, len(whole)):  # batches that fill a vector or not
            found = torch.cat([torch.pow(2.0, part) for part in whole.split(size)])
            assert torch.equal(found.double(), wanted), size


def test_fused_takes_the_reference_for_extreme_channels():
    x = draw(1, 1, 4, 4, std=1e30)
    y, saved = fused.forward(x, Options())
    assert saved == ()
    assert torch.equal(y, reference.simam(x, Options()))


FIRST_CALLS = {"inference": torch.inference_mode, "meta": lambda: torch.device("meta")}


@pytest.mark.parametrize("first_call", FIRST_CALLS)
def test_constants_of_a_first_call_in_another_mode_serve_later_calls(first_call):
    lam = {"inference": 0.25, "meta": 0.125}[first_call]  # constants that no other test has made
    x, module = draw(2, 3, 8, 8), SimAM(backend="torch", lam=lam)
    with FIRST_CALLS[first_call]():
        module(x)
    assert ulps(module(x), oracle(x, lam=lam)) < 4
    found = gradient(module, x, torch.ones_like(x))
    wanted = reference.gradient(x, torch.ones_like(x), Options(lam), create_graph=False)
    torch.testing.assert_close(found, wanted)
