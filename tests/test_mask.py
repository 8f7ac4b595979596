"""SimAM with a mask of valid positions: cropping, whatever stands outside, and what is refused."""

import math

import pytest
import torch

from simam_cases import DTYPES, STATISTICS, channels_last, draw, gradient
from simam_edu import SimAM

every_statistics = pytest.mark.parametrize("statistics", STATISTICS)
TOLERANCES = {torch.float16: 1e-3, torch.bfloat16: 8e-3, torch.float32: 1e-6, torch.float64: 1e-14}
MASK = torch.zeros(2, 1, 9, 8, dtype=torch.bool)
MASK[0, :, 2:7, 1:6] = True
MASK[1, :, :4, :] = True


def crop(maps):
    return maps[:1, :, 2:7, 1:6], maps[1:, :, :4, :]


def batch(dtype=torch.float32, outside=0.0, mean=0.5, std=2.0):
    return torch.where(MASK, draw(2, 3, 9, 8, dtype=dtype, mean=mean, std=std), outside)


@every_statistics
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("outside", "layout"), [(0.0, channels_last), (6e4, torch.Tensor.contiguous)])
def test_inside_a_rectangle_it_is_cropping_and_outside_nothing_changes(statistics, dtype, outside, layout):
    """Values and gradients, whatever finite number stands outside."""
    x, grad_output = layout(batch(dtype, outside)), draw(2, 3, 9, 8, dtype=dtype, seed=1)
    module = SimAM(statistics=statistics, backend="reference")  # which computes whatever is asked for
    y, tolerance = module(x, MASK), {"rtol": TOLERANCES[dtype], "atol": TOLERANCES[dtype]}
    found = gradient(lambda t: module(t, MASK), x, grad_output)
    assert y.dtype == dtype
    everywhere = MASK.expand_as(x)
    assert torch.equal(y[~everywhere], x[~everywhere])
    assert torch.equal(found[~everywhere], grad_output[~everywhere])
    parts = zip(crop(x), crop(y), crop(found), crop(grad_output), strict=True)
    for cropped, y_part, found_part, grad_part in parts:
        torch.testing.assert_close(y_part, module(cropped), **tolerance)
        torch.testing.assert_close(found_part, gradient(module, cropped, grad_part), **tolerance)


def test_with_a_mask_every_backend_gives_what_the_reference_gives(backend):
    assert torch.equal(SimAM(backend=backend)(batch(), MASK), SimAM(backend="reference")(batch(), MASK))


@every_statistics
@pytest.mark.parametrize(
    ("mean", "std", "times"), [(1e6, 1.0, 3), (0.0, 1e37, 3), (0.0, 1e-30, 3), (0.0, 1.0, 1e12)], ids=str
)
def test_magnitudes_are_those_of_the_valid_part(statistics, mean, std, times):
    x = batch(mean=mean, std=std, outside=times * (mean + std))
    module = SimAM(statistics=statistics, lam=0.0)
    for part, cropped in zip(crop(module(x, MASK)), crop(x), strict=True):
        torch.testing.assert_close(part, module(cropped), rtol=2e-6, atol=0)


@every_statistics
@pytest.mark.parametrize("lam", [0.0, 0.3])
def test_first_and_second_derivative_are_those_by_differences(statistics, lam):
    x = draw(1, 2, 3, 3, dtype=torch.float64).requires_grad_()
    mask = torch.arange(9).reshape(1, 1, 3, 3) % 4 > 0
    module = SimAM(lam=lam, statistics=statistics)
    assert torch.autograd.gradcheck(lambda t: module(t, mask), (x,))
    assert torch.autograd.gradgradcheck(lambda t: module(t, mask), (x,))


@every_statistics
@pytest.mark.parametrize("lam", [0.0, 1e-4])
def test_an_image_without_a_valid_position_comes_back_unchanged_and_one_alone_has_the_limit(statistics, lam):
    x, mask = draw(2, 3, 4, 4), torch.zeros(2, 1, 4, 4, dtype=torch.bool)
    mask[1, 0, 2, 1] = True
    module = SimAM(lam=lam, statistics=statistics)
    wanted = x.clone()
    wanted[1, :, 2, 1] *= torch.tensor(0.5).sigmoid()
    torch.testing.assert_close(module(x, mask), wanted)
    found = gradient(lambda t: module(t, mask), x, torch.ones_like(x))
    assert found.isfinite().all()
    assert (found[0] == 1.0).all()


def test_a_value_that_is_not_finite_spoils_its_channel_and_no_other():
    x = batch()
    clean = SimAM()(x, MASK)
    x[1, 2, 8, 0] = math.inf
    y = SimAM()(x, MASK)
    assert y[1, 2, :4].isnan().all()
    assert torch.equal(y[0], clean[0])
    assert torch.equal(y[1, :2], clean[1, :2])


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_a_mask_is_broadcast_over_batch_and_channels_for_any_dims(dims):
    x, module = draw(2, 3, *(5,) * dims), SimAM(dims=dims)
    mask = torch.arange(5) < 3
    for given in (mask, mask.expand(1, 1, *(5,) * dims), mask.expand(2, 1, *(5,) * dims)):
        torch.testing.assert_close(module(x, given)[..., :3], module(x[..., :3].contiguous()))
    torch.testing.assert_close(module(x, torch.ones((), dtype=torch.bool)), module(x))


@pytest.mark.filterwarnings("error::torch.jit.TracerWarning", "ignore:.*deprecated")
def test_traced_with_a_mask_it_warns_of_no_size_that_is_frozen():
    torch.jit.trace(SimAM(), (batch(), MASK))


@pytest.mark.filterwarnings("ignore")  # of torch.jit.trace
@pytest.mark.parametrize("statistics", ["shared", "leave_one_out"])
def test_compiled_exported_and_traced_it_holds_for_other_masks(statistics):
    module, other = SimAM(statistics=statistics), MASK.flip(0, 2)
    inputs, x = (batch(), MASK), batch(outside=3.0)
    torch._dynamo.reset()
    n, h, w = torch.export.Dim("n"), torch.export.Dim("h", min=2), torch.export.Dim("w", min=2)
    sizes = {0: n, 2: h, 3: w}
    for program in (
        torch.compile(module, fullgraph=True, backend="aot_eager"),
        torch.export.export(module, inputs, dynamic_shapes=(sizes, sizes)).module(),
        torch.jit.trace(module, inputs),
    ):
        for rows in (9, 7):
            part, valid = x[:, :, :rows], other[:, :, :rows]
            torch.testing.assert_close(program(part, valid), module(part, valid))


@pytest.mark.filterwarnings("ignore")  # of the exporter, of its own older parts
def test_in_onnx_the_mask_is_an_input(tmp_path):
    pytest.importorskip("onnx", reason="onnx is not installed")
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    file, x = str(tmp_path / "masked.onnx"), batch()
    names = {"input_names": ["x", "mask"], "dynamic_axes": {"x": {0: "n"}, "mask": {0: "n"}}}
    torch.onnx.export(SimAM(), (x, MASK), file, dynamo=False, opset_version=18, **names)
    session = runtime.InferenceSession(file, providers=["CPUExecutionProvider"])
    for part in (slice(None), slice(1, 2)):
        (y,) = session.run(None, {"x": x[part].numpy(), "mask": MASK[part].numpy()})
        torch.testing.assert_close(torch.from_numpy(y), SimAM()(x, MASK)[part])


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        ([[True]], "mask must be a tensor of torch.bool, .*, got list"),
        (MASK.float(), "mask must be a tensor of torch.bool, .*, got torch.float32"),
        *((mask, r"broadcastable to \(2, 1, 9, 8\), got shape .* mask\[:, None\]")
          for mask in (MASK[:, 0], MASK.expand(2, 3, 9, 8), MASK[..., :7], MASK[None])),
    ],
)  # fmt: skip
def test_what_is_no_mask_of_the_positions_is_refused(mask, message):
    with pytest.raises(ValueError, match=message):
        SimAM()(batch(), mask)
