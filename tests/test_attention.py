"""SimAM in torch against the numpy oracle, its gradient, and its registry."""

import copy
import doctest
import pickle

import numpy as np
import pytest
import torch

import simam_edu
from simam_edu import SimAM, energy
from simam_edu.attention import ATTENTION, CONTROLS, attention_factory, simam


def inputs(*shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


@pytest.mark.parametrize("shape", [(2, 3, 8, 8), (1, 1, 1, 2), (8, 8, 8, 8), (1, 8, 8, 8), (3, 2, 7, 5)])
@pytest.mark.parametrize("lam", [1e-6, 1e-4, 1.0])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-12)])
def test_simam_is_the_oracle(
    shape: tuple[int, ...], lam: float, dtype: torch.dtype, tolerance: float
) -> None:
    x = inputs(*shape, dtype=dtype)
    oracle = energy.gain(x.double().numpy(), lam=lam) * x.double().numpy()
    np.testing.assert_allclose(SimAM(lam=lam)(x).double().numpy(), oracle, rtol=0, atol=tolerance)


def test_gradient_is_right() -> None:
    x = inputs(2, 3, 4, 5).requires_grad_()
    assert torch.autograd.gradcheck(SimAM(), (x,))
    assert torch.autograd.gradgradcheck(SimAM(), (x,))


@pytest.mark.parametrize("lam", [0.0, 1e-4])
def test_constant_channel_keeps_sigmoid_of_one_half(lam: float) -> None:
    x = torch.full((1, 2, 4, 4), 0.5, requires_grad=True)
    y = SimAM(lam=lam)(x)
    torch.testing.assert_close(y, x * torch.sigmoid(torch.tensor(0.5)))
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype: torch.dtype) -> None:
    x = (inputs(1, 2, 32, 32) * 20).to(dtype)  # the sum of squares overflows in float16
    y = SimAM()(x)
    assert y.dtype == dtype
    torch.testing.assert_close(y, SimAM()(x.float()).to(dtype), rtol=0, atol=0)


def test_channels_last_is_kept() -> None:
    x = inputs(2, 8, 6, 6).to(memory_format=torch.channels_last)
    y = SimAM()(x)
    assert y.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(y, SimAM()(x.contiguous()))


def test_it_has_nothing_to_learn_and_says_lam() -> None:
    module = SimAM(lam=0.1)
    assert list(module.parameters()) == []
    assert module.state_dict() == {}
    assert repr(module) == "SimAM(lam=0.1)"
    x = inputs(1, 2, 3, 3)
    for twin in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        torch.testing.assert_close(twin(x), module(x), rtol=0, atol=0)


@pytest.mark.parametrize("lam", [-1e-4, float("nan"), float("inf")])
def test_bad_lam_is_refused(lam: float) -> None:
    with pytest.raises(ValueError, match="lam must be a finite number of at least 0"):
        SimAM(lam=lam)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.zeros(3, 4), r"the axes \(n, c, l\) or \(n, c, h, w\) or .*, got shape \(3, 4\)"),
        (torch.zeros(2, 3, 1), "at least two positions"),
        (torch.zeros(1, 2, 3, 4, 5, 6), "must have the axes"),
        (torch.zeros(2, 3, 4, 4, dtype=torch.int64), "floating tensor, got torch.int64"),
        (torch.zeros(2, 3, 4, 4, dtype=torch.bool), "floating tensor"),
        (torch.zeros(2, 3, 4, 4, dtype=torch.complex64), "floating tensor"),
        (torch.zeros(2, 3, 1, 1), "at least two positions"),
    ],
)
def test_bad_input_is_refused(x: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SimAM()(x)


def test_registry_makes_modules() -> None:
    assert set(ATTENTION) == {"none", "simam", "se", "cbam", "eca", "gc", *CONTROLS}
    assert isinstance(attention_factory("none")(16), torch.nn.Identity)
    made = attention_factory("simam", lam=0.1)
    first, second = made(16), made(16)
    assert isinstance(first, SimAM)
    assert first.lam == 0.1
    assert first is not second


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "simm",
            {},
            "attention must be one of cbam, eca, gc, none, one_sided, other_image, reversed, se, shuffled, "
            "simam, got 'simm'",
        ),
        ("simam", {"lambda_": 1.0}, "does not take these options"),
        ("none", {"lam": 1.0}, "does not take these options"),
        ("simam", {"lam": -1.0}, "lam must be"),
    ],
)
def test_registry_refuses(name: str, options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        attention_factory(name, **options)


def test_package_offers_simam_and_nothing_else() -> None:
    assert simam_edu.SimAM is SimAM
    with pytest.raises(AttributeError, match="no attribute 'SimAm'"):
        simam_edu.SimAm  # noqa: B018


def test_the_example_in_the_docstring_runs() -> None:
    result = doctest.testmod(simam)
    assert result.attempted > 0
    assert result.failed == 0
