"""Each control keeps SimAM's gains and takes one property of their owners away."""

import pytest
import torch

from simam_edu import SimAM
from simam_edu.attention import CONTROLS, attention_factory


def gains(module: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    return module(x) / x


@pytest.fixture
def x() -> torch.Tensor:
    return torch.randn(3, 4, 5, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.fixture
def own(x: torch.Tensor) -> torch.Tensor:
    return gains(SimAM(), x)


def test_shuffled_gains_are_those_of_the_channel_in_an_order_that_all_images_share(
    x: torch.Tensor, own: torch.Tensor
) -> None:
    moved = gains(attention_factory("shuffled")(4), x).flatten(2)
    own = own.flatten(2)
    assert torch.allclose(moved.sort(dim=2).values, own.sort(dim=2).values, rtol=1e-12)
    order = (moved[0, :, :, None] - own[0, :, None, :]).abs().argmin(dim=2)
    for image in range(3):
        assert torch.allclose(own[image].gather(1, order), moved[image], rtol=1e-12)
    assert not torch.equal(order[0], order[1])
    assert (order != torch.arange(30)).double().mean() > 0.8


def test_shuffled_draws_anew_in_training_and_never_in_evaluation(x: torch.Tensor) -> None:
    module = attention_factory("shuffled")(4)
    first, second = module(x), module(x)
    assert not torch.equal(first, second)
    module.eval()
    assert torch.equal(module(x), first)
    assert torch.equal(module(x), first)


def test_shuffled_goes_on_from_its_state_with_the_same_draws(x: torch.Tensor) -> None:
    module, other = attention_factory("shuffled")(4), attention_factory("shuffled")(4)
    module(x)
    other.load_state_dict(module.state_dict())
    assert torch.equal(module(x), other(x))


def test_two_shuffled_modules_draw_apart(x: torch.Tensor) -> None:
    assert not torch.equal(attention_factory("shuffled")(4)(x), attention_factory("shuffled")(4)(x))


def test_other_image_gives_each_image_the_gains_of_the_one_before(x: torch.Tensor, own: torch.Tensor) -> None:
    moved = gains(attention_factory("other_image")(4), x)
    assert torch.allclose(moved, own[[2, 0, 1]], rtol=1e-12)


def test_reversed_keeps_mean_and_variance_and_turns_the_order(x: torch.Tensor, own: torch.Tensor) -> None:
    moved = gains(attention_factory("reversed")(4), x)
    assert torch.allclose(moved.mean((2, 3)), own.mean((2, 3)), rtol=1e-12)
    assert torch.allclose(moved.var((2, 3)), own.var((2, 3)), rtol=1e-9)
    ranks = own.flatten(2).argsort(dim=2)
    assert torch.equal(moved.flatten(2).argsort(dim=2, descending=True), ranks)


def test_one_sided_keeps_the_gain_above_the_mean_and_the_least_elsewhere(
    x: torch.Tensor, own: torch.Tensor
) -> None:
    moved = gains(attention_factory("one_sided")(4), x)
    above = x > x.mean((2, 3), keepdim=True)
    least = torch.full_like(x, 1.0 / (1.0 + 2.718281828459045**-0.5))
    assert torch.allclose(moved, torch.where(above, own, least), rtol=1e-12)


@pytest.mark.parametrize("name", CONTROLS)
def test_the_penalty_and_the_gradient_reach_every_control(name: str, x: torch.Tensor) -> None:
    module = attention_factory(name, lam=0.3)(4).eval()
    assert not torch.allclose(module(x), attention_factory(name)(4).eval()(x))
    assert torch.autograd.gradcheck(module, x.clone().requires_grad_())
    assert not list(module.parameters())
    with pytest.raises(ValueError, match=r"x must have the axes \(n, c, h, w\)"):
        module(x[0])


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize("name", CONTROLS)
def test_no_control_is_recorded(name: str) -> None:
    with pytest.raises(ValueError, match="module must be one to be recorded, got the control"):
        torch.jit.trace(attention_factory(name)(4).eval(), torch.zeros(2, 4, 3, 3))
