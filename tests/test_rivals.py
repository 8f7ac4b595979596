"""SE, CBAM, ECA and GC: their values against numpy, and their laws."""

import math
import pickle

import numpy as np
import pytest
import torch
from scipy.signal import correlate
from torch import nn
from torch.nn import functional

from simam_cases import draw
from simam_edu.attention import CBAM, ECA, GlobalContext, SqueezeExcite, attention_factory, eca_kernel
from simam_edu.networks import build

RIVALS = ("se", "cbam", "eca", "gc")
by_name = pytest.mark.parametrize("name", RIVALS)


def inputs(*shape, seed=0, dtype=torch.float64):
    return draw(*shape, seed=seed, dtype=dtype)


def with_random_weights(module, seed=1):
    """Return the module in float64 and evaluation, every weight and running statistic drawn anew."""
    generator = torch.Generator().manual_seed(seed)
    module = module.double().eval()
    for key, value in module.state_dict().items():
        if value.is_floating_point():
            drawn = torch.randn(value.shape, generator=generator, dtype=value.dtype)
            value.copy_(drawn.abs() + 0.5 if key.endswith("running_var") else drawn)
    return module


# The formulas once more, in numpy.


def np_sigmoid(z):
    return 1 / (1 + np.exp(-z))


def np_bottleneck(z, weights):
    return np.maximum(z @ weights["reduce.weight"].T, 0) @ weights["expand.weight"].T


def np_squeeze_excite(x, weights):
    return x * np_sigmoid(np_bottleneck(x.mean(axis=(2, 3)), weights))[:, :, None, None]


def np_cbam(x, weights, *, training=False):
    assert weights["conv.weight"].shape == (1, 2, 7, 7), "the paper's filter"
    logits = np_bottleneck(x.mean(axis=(2, 3)), weights) + np_bottleneck(x.max(axis=(2, 3)), weights)
    x = x * np_sigmoid(logits)[:, :, None, None]
    maps = np.pad(np.stack([x.max(axis=1), x.mean(axis=1)], axis=1), ((0, 0), (0, 0), (3, 3), (3, 3)))
    kernel = weights["conv.weight"][0]
    z = np.array([correlate(two, kernel, mode="valid", method="direct") for two in maps])
    z = z.reshape(len(x), 1, *x.shape[2:])
    mean, var = (
        (z.mean(), z.var()) if training else (weights["norm.running_mean"], weights["norm.running_var"])
    )
    z = (z - mean) / np.sqrt(var + 1e-5) * weights["norm.weight"] + weights["norm.bias"]
    return x * np_sigmoid(z)


def np_eca(x, weights):
    kernel = weights["conv.weight"].ravel()
    assert kernel.size % 2 == 1
    assert abs(kernel.size - abs(math.log2(x.shape[1]) / 2 + 1 / 2)) <= 1, (
        "the odd number next to the paper's"
    )
    logits = np.array([np.correlate(row, kernel, "same") for row in x.mean(axis=(2, 3))])
    return x * np_sigmoid(logits)[:, :, None, None]


def np_global_context(x, weights):
    out = np.empty_like(x)
    for n, image in enumerate(x.reshape(*x.shape[:2], -1)):  # (c, positions)
        powers = np.exp(weights["key.weight"][0] @ image)
        z = weights["reduce.weight"] @ (image @ (powers / powers.sum()))
        z = (z - z.mean()) / np.sqrt(z.var() + 1e-5) * weights["norm.weight"] + weights["norm.bias"]
        out[n] = x[n] + (weights["expand.weight"] @ np.maximum(z, 0))[:, None, None]
    return out


ORACLES = {"se": np_squeeze_excite, "cbam": np_cbam, "eca": np_eca, "gc": np_global_context}


@by_name
@pytest.mark.parametrize("shape", [(2, 64, 5, 6), (1, 16, 1, 1), (3, 3, 9, 2), (2, 128, 3, 3)])
def test_the_values_are_those_of_the_formula(name, shape):
    module, x = with_random_weights(attention_factory(name)(shape[1])), inputs(*shape)
    weights = {key: value.numpy() for key, value in module.state_dict().items()}
    np.testing.assert_allclose(module(x).detach(), ORACLES[name](x.numpy(), weights), rtol=0, atol=1e-10)
    assert (module(x) - x).abs().max() > 1e-3, "it must do something"
    assert module(x[:0]).shape == (0, *shape[1:])


def test_cbam_takes_the_statistics_of_the_batch_in_training():
    module = with_random_weights(CBAM(32)).train()
    x = inputs(4, 32, 6, 5)
    weights = {key: value.numpy().copy() for key, value in module.state_dict().items()}
    expected = np_cbam(x.numpy(), weights, training=True)
    np.testing.assert_allclose(module(x).detach().numpy(), expected, rtol=0, atol=1e-10)
    assert module.norm.momentum == 0.01, "that of the authors' code"
    assert CBAM(32).norm.weight.item() == 1.0, "at 0 every position would begin with a gain of one half"


# Laws: what each can tell apart, and what not.


@by_name
def test_what_is_moved_with_the_positions(name):
    """All but CBAM are blind to where a value is; CBAM is not, since its filter looks at neighbors."""
    module, x = with_random_weights(attention_factory(name)(16)), inputs(2, 16, 4, 4)
    order = torch.randperm(16, generator=torch.Generator().manual_seed(0))
    shuffled = x.flatten(2)[..., order].view_as(x)
    expected = module(x).flatten(2)[..., order].view_as(x)
    assert torch.allclose(module(shuffled), expected, atol=1e-12) == (name != "cbam")


def test_se_and_eca_have_one_gain_a_channel_gc_one_term_and_cbam_a_product():
    x = inputs(2, 16, 5, 5)
    made = {name: with_random_weights(attention_factory(name)(16))(x).detach() for name in RIVALS}
    for name in ("se", "eca"):
        gain = made[name] / x
        assert gain.std(dim=(-2, -1)).max() < 1e-12
        assert gain.std(dim=1).min() > 1e-3
        assert 0 < gain.min() <= gain.max() < 1
    term = made["gc"] - x
    assert term.std(dim=(-2, -1)).max() < 1e-12
    assert term.std(dim=1).max() > 1e-3
    singular = torch.linalg.svdvals((made["cbam"] / x)[0].flatten(1))
    assert singular[1] < 1e-12 * singular[0], "a product of two vectors has rank one"


def test_cbam_shares_the_gradient_of_a_maximum_among_equal_values():
    """The original's max_pool2d gives all of it to one neuron; the output is the same."""
    module = with_random_weights(CBAM(16)).requires_grad_(False)
    x = torch.zeros(1, 16, 4, 4, dtype=torch.float64)
    x[0, :, 1, 1] = x[0, :, 2, 2] = 1.0  # the two largest values of every channel
    x.requires_grad_()
    module._channel_gain(x).sum().backward()
    assert torch.equal(x.grad[..., 1, 1], x.grad[..., 2, 2])
    assert (x.grad[..., 1, 1] != x.grad[..., 0, 0]).all()


def test_gc_does_not_see_a_shift_of_its_logits():
    module, x = with_random_weights(GlobalContext(16)), inputs(2, 16, 5, 5)
    key = module.key.weight[0].detach()
    far = 1000 * key / key.square().sum()  # moves each logit by a thousand
    assert torch.allclose(module._pool(x + far[:, None, None]), module._pool(x) + far, atol=1e-9)


@by_name
def test_gradients_are_right(name):
    module = with_random_weights(attention_factory(name)(5))
    x = inputs(2, 5, 3, 4).requires_grad_()
    weights = dict(module.named_parameters())

    def output(x, *values):
        return torch.func.functional_call(module, dict(zip(weights, values, strict=True)), (x,))

    assert torch.autograd.gradcheck(output, (x, *weights.values()))


# Parameters, the least width, and why.


@pytest.mark.parametrize("channels", [1, 3, 16, 24, 64, 512])
@pytest.mark.parametrize("r", [4, 16])
@pytest.mark.parametrize("least", [2, 4, 8])
def test_parameters_by_formula(channels, r, least):
    def count(name, **options):
        return sum(p.numel() for p in attention_factory(name, **options)(channels).parameters())

    h = max(channels // r, least)
    options = {"min_hidden": least, "reduction": r}
    assert count("se", **options) == 2 * channels * h
    for side in (3, 7):
        assert count("cbam", kernel_size=side, **options) == 2 * channels * h + 2 * side**2 + 2
    assert count("gc", **options) == channels + 2 * channels * h + 2 * h


KERNELS = {1: 1, 2: 1, 4: 1, 8: 3, 16: 3, 24: 3, 32: 3, 64: 3, 128: 5, 256: 5, 512: 5, 2048: 7}


def test_the_kernel_of_eca_is_the_odd_number_next_to_the_formula():
    for channels, size in KERNELS.items():
        assert eca_kernel(channels) == size
        assert ECA(channels).conv.weight.shape == (1, 1, size)
    assert eca_kernel(64, gamma=1, b=0) == 7  # 6 lies between two odd numbers: the larger
    assert eca_kernel(64, gamma=3, b=-12) == 3  # the absolute value of -2
    assert ECA(64, gamma=1, b=0).conv.weight.numel() == 7


def test_one_hidden_unit_leaves_se_without_gain_and_gradient_for_half_of_the_inputs():
    torch.manual_seed(0)
    for least, share in ((1, 1 / 2), (4, 1 / 16)):
        off = [
            bool((SqueezeExcite(16, min_hidden=least).reduce(torch.randn(16)) <= 0).all()) for _ in range(400)
        ]
        assert np.mean(off) == pytest.approx(share, abs=0.1 * share**0.5)
    module, x = SqueezeExcite(16, min_hidden=1), torch.rand(2, 16, 4, 4)
    nn.init.constant_(module.reduce.weight, -1.0)
    y = module(x)
    y.sum().backward()
    torch.testing.assert_close(y, x / 2, msg="all gains are one half")
    assert not module.reduce.weight.grad.any()


def test_a_layer_norm_over_one_unit_is_dead_and_over_two_nearly():
    def slope(units):
        """The median, over random vectors, of the largest derivative of a layer norm by its input."""
        norm = torch.func.jacrev(lambda z: functional.layer_norm(z, (units,)))
        return float(torch.vmap(norm)(inputs(200, units)).flatten(1).abs().amax(dim=1).median())

    assert slope(1) == 0
    assert slope(2) < 1e-3
    assert slope(4) > 0.3
    assert GlobalContext(16).norm.normalized_shape == (4,)


# First weights, dtypes, layouts, networks.


def test_gc_starts_as_the_identity_and_can_leave_it():
    module, x = GlobalContext(512).double(), inputs(2, 512, 2, 2)
    assert torch.equal(module(x), x)
    module(x).square().sum().backward()
    assert module.expand.weight.grad.abs().max() > 0
    assert (module.key.weight * math.sqrt(512 / 2)).std().item() == pytest.approx(1, abs=0.2)


@by_name
def test_the_first_weights_follow_the_seed_and_a_factory_draws_none(name):
    factory = attention_factory(name)
    torch.manual_seed(0)
    first = factory(32).state_dict()
    torch.manual_seed(0)
    again = attention_factory(name)(32).state_dict()
    assert all(torch.equal(again[key], value) for key, value in first.items())


@by_name
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(name, dtype):
    x = inputs(2, 32, 6, 6).to(dtype)
    expected = with_random_weights(attention_factory(name)(32))(x.double()).detach()
    single = with_random_weights(attention_factory(name)(32)).float()
    outputs = {"weights in float32": single(x)}
    with torch.autocast("cpu", dtype):
        outputs["autocast"] = single(x)
    outputs["weights in half"] = single.to(dtype)(x)
    for how, y in outputs.items():
        assert y.dtype == dtype, how
        error = (y.detach().double() - expected).abs().max() / expected.abs().max()
        assert error < 30 * torch.finfo(dtype).eps, (how, error)


@by_name
def test_layouts_give_the_same_channels_last_is_kept_and_a_pickle_is_the_module(name):
    module, x = with_random_weights(attention_factory(name)(16)), inputs(2, 16, 6, 6)
    y = module(x.to(memory_format=torch.channels_last))
    assert y.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(y, module(x))
    torch.testing.assert_close(module(x.transpose(2, 3)), module(x.transpose(2, 3).contiguous()))
    assert torch.equal(pickle.loads(pickle.dumps(module))(x), module(x))


@by_name
def test_a_network_with_it_gives_every_weight_a_gradient(name):
    torch.manual_seed(0)
    network = build("resnet8", num_classes=10, attention=attention_factory(name), slot="post_norm")
    for key, weight in network.named_parameters():
        if key.endswith("attention.expand.weight"):  # zeros in gc: the others wait for its first step
            nn.init.normal_(weight)
    network(inputs(4, 3, 32, 32, dtype=torch.float32)).square().sum().backward()
    for key, weight in network.named_parameters():
        assert weight.grad is not None, key
        assert weight.grad.isfinite().all(), key
        assert weight.grad.abs().max() > 0 or "attention" not in key, key
