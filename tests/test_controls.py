"""Each control keeps SimAM's gains and takes one property of their owners away."""

import pytest
import torch

from simam_cases import draw
from simam_edu import SimAM
from simam_edu.attention import CONTROLS, attention_factory

X = draw(3, 4, 5, 6, dtype=torch.float64)
OWN = SimAM()(X) / X


def gains(name: str) -> torch.Tensor:
    return attention_factory(name)(4)(X) / X


def test_shuffled_gains_are_those_of_the_channel_in_an_order_that_all_images_share() -> None:
    moved, own = gains("shuffled").flatten(2), OWN.flatten(2)
    order = (moved[0, :, :, None] - own[0, :, None, :]).abs().argmin(dim=2)
    assert torch.equal(order.sort(dim=1).values, torch.arange(30).expand(4, 30))
    for image in range(3):
        torch.testing.assert_close(own[image].gather(1, order), moved[image])
    assert not torch.equal(order[0], order[1])
    assert (order != torch.arange(30)).double().mean() > 0.8


def test_shuffled_draws_anew_in_training_never_in_evaluation_and_apart_from_others() -> None:
    module, other = attention_factory("shuffled")(4), attention_factory("shuffled")(4)
    first, second = module(X), module(X)
    assert not torch.equal(first, second)
    assert not torch.equal(first, other(X))
    other.load_state_dict(module.state_dict())
    assert torch.equal(module(X), other(X)), "it goes on from its state with the same draws"
    module.eval()
    assert torch.equal(module(X), first)
    assert torch.equal(module(X), first)
    assert torch.equal(module.train()(X), other(X)), "evaluation draws and counts nothing"


def test_shuffled_gives_each_place_the_highest_gain_equally_often() -> None:
    x = torch.arange(1.0, 7.0).reshape(1, 1, 2, 3).square().expand(1, 500, 2, 3)
    module = attention_factory("shuffled")(500)
    highest = torch.cat([(module(x) / x).flatten(2).argmax(dim=2).flatten() for _ in range(6)])
    shares = torch.bincount(highest, minlength=6) / 3000
    assert torch.allclose(shares, torch.full((6,), 1 / 6), atol=0.03), "more than four standard errors"


def test_other_image_gives_each_image_the_gains_of_the_one_before() -> None:
    torch.testing.assert_close(gains("other_image"), OWN[[2, 0, 1]])


def test_reversed_keeps_mean_and_variance_and_turns_the_order() -> None:
    moved = gains("reversed")
    torch.testing.assert_close(moved.mean((2, 3)), OWN.mean((2, 3)))
    torch.testing.assert_close(moved.var((2, 3)), OWN.var((2, 3)))
    assert torch.equal(moved.flatten(2).argsort(dim=2, descending=True), OWN.flatten(2).argsort(dim=2))


def test_one_sided_keeps_the_gain_above_the_mean_and_the_least_elsewhere() -> None:
    least = torch.full_like(X, 0.5).sigmoid()
    above = X.mean((2, 3), keepdim=True) < X
    torch.testing.assert_close(gains("one_sided"), torch.where(above, OWN, least))


@pytest.mark.parametrize("name", CONTROLS)
def test_half_precision_is_computed_in_float32(name: str) -> None:
    x = draw(2, 4, 32, 32, std=20.0, dtype=torch.float16)  # the sum of squares overflows in float16
    module = attention_factory(name)(4).eval()
    assert torch.equal(module(x), module(x.float()).half())


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize("name", CONTROLS)
def test_every_control_has_lam_a_gradient_and_no_weights_and_is_refused_a_recording(name: str) -> None:
    module = attention_factory(name, lam=0.3)(4).eval()
    assert not torch.allclose(module(X), attention_factory(name)(4).eval()(X))
    assert torch.autograd.gradcheck(module, X.clone().requires_grad_())
    assert not list(module.parameters())
    with pytest.raises(ValueError, match=r"x must have the axes \(n, c, h, w\)"):
        module(X[0])
    with pytest.raises(ValueError, match="x must have maps of at least two positions"):
        module(X[..., :1, :1])
    assert module(X[:0]).shape == (0, 4, 5, 6)
    with pytest.raises(ValueError, match="module must not be a control to be recorded, got"):
        torch.jit.trace(module, X)
