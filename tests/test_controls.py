"""Each control keeps SimAM's gains and takes one property of their owners away."""

import pytest
import torch

from simam_cases import draw
from simam_edu import SimAM
from simam_edu.attention import CONTROLS, attention_factory


@pytest.fixture
def x() -> torch.Tensor:
    return draw(3, 4, 5, 6, dtype=torch.float64)


@pytest.fixture
def own(x: torch.Tensor) -> torch.Tensor:
    return SimAM()(x) / x


def gains(name: str, x: torch.Tensor) -> torch.Tensor:
    return attention_factory(name)(4)(x) / x


def test_shuffled_gains_are_those_of_the_channel_in_an_order_that_all_images_share(
    x: torch.Tensor, own: torch.Tensor
) -> None:
    moved = gains("shuffled", x).flatten(2)
    own = own.flatten(2)
    assert torch.allclose(moved.sort(dim=2).values, own.sort(dim=2).values, rtol=1e-12)
    order = (moved[0, :, :, None] - own[0, :, None, :]).abs().argmin(dim=2)
    for image in range(3):
        assert torch.allclose(own[image].gather(1, order), moved[image], rtol=1e-12)
    assert not torch.equal(order[0], order[1])
    assert (order != torch.arange(30)).double().mean() > 0.8


def test_shuffled_draws_anew_in_training_never_in_evaluation_and_apart_from_others(x: torch.Tensor) -> None:
    module, other = attention_factory("shuffled")(4), attention_factory("shuffled")(4)
    first, second = module(x), module(x)
    assert not torch.equal(first, second)
    assert not torch.equal(first, other(x))
    other.load_state_dict(module.state_dict())
    assert torch.equal(module(x), other(x)), "it goes on from its state with the same draws"
    module.eval()
    assert torch.equal(module(x), first)
    assert torch.equal(module(x), first)


def test_shuffled_gives_each_place_the_highest_gain_equally_often() -> None:
    module, x = attention_factory("shuffled")(1), torch.arange(1.0, 7.0).reshape(1, 1, 2, 3).square()
    highest = torch.stack([(module(x) / x).argmax() for _ in range(3000)])
    shares = torch.bincount(highest, minlength=6) / 3000
    assert torch.allclose(shares, torch.full((6,), 1 / 6), atol=0.03), "more than four standard errors"


def test_other_image_gives_each_image_the_gains_of_the_one_before(x: torch.Tensor, own: torch.Tensor) -> None:
    moved = gains("other_image", x)
    assert torch.allclose(moved, own[[2, 0, 1]], rtol=1e-12)


def test_reversed_keeps_mean_and_variance_and_turns_the_order(x: torch.Tensor, own: torch.Tensor) -> None:
    moved = gains("reversed", x)
    assert torch.allclose(moved.mean((2, 3)), own.mean((2, 3)), rtol=1e-12)
    assert torch.allclose(moved.var((2, 3)), own.var((2, 3)), rtol=1e-9)
    ranks = own.flatten(2).argsort(dim=2)
    assert torch.equal(moved.flatten(2).argsort(dim=2, descending=True), ranks)


def test_one_sided_keeps_the_gain_above_the_mean_and_the_least_elsewhere(
    x: torch.Tensor, own: torch.Tensor
) -> None:
    moved = gains("one_sided", x)
    above = x > x.mean((2, 3), keepdim=True)
    least = torch.full_like(x, 1.0 / (1.0 + 2.718281828459045**-0.5))
    assert torch.allclose(moved, torch.where(above, own, least), rtol=1e-12)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize("name", CONTROLS)
def test_every_control_has_lam_a_gradient_and_no_weights_and_is_not_recorded(
    name: str, x: torch.Tensor
) -> None:
    module = attention_factory(name, lam=0.3)(4).eval()
    assert not torch.allclose(module(x), attention_factory(name)(4).eval()(x))
    assert torch.autograd.gradcheck(module, x.clone().requires_grad_())
    assert not list(module.parameters())
    with pytest.raises(ValueError, match=r"x must have the axes \(n, c, h, w\)"):
        module(x[0])
    with pytest.raises(ValueError, match="module must be one to be recorded, got the control"):
        torch.jit.trace(module, x)
