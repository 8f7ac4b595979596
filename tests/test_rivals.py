"""SE, CBAM, ECA and GC: their values against numpy, and public versions that get them wrong."""

import math
import pickle

import numpy as np
import pytest
import torch
from scipy.signal import correlate
from torch import nn
from torch.nn import functional
from torch.nn.functional import relu

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
    exact = abs(math.log2(x.shape[1]) / 2 + 1 / 2)
    assert kernel.size % 2 == 1
    assert abs(kernel.size - exact) <= 1, "the odd number next to the paper's"
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


def largest_error(name, module, x, call=None):
    """Return how far a call, of the module itself if none is given, is from the formula with its weights."""
    weights = {key: value.detach().numpy() for key, value in module.state_dict().items()}
    return np.abs((call or module)(x).detach().numpy() - ORACLES[name](x.numpy(), weights)).max()


@by_name
@pytest.mark.parametrize(
    "shape", [(2, 64, 5, 6), (1, 16, 1, 1), (3, 3, 9, 2), (8, 8, 8, 8), (2, 128, 3, 3), (0, 16, 4, 4)]
)
def test_the_values_are_those_of_the_formula(name, shape):
    module = with_random_weights(attention_factory(name)(shape[1]))
    x = inputs(*shape)
    if 0 in shape:
        assert module(x).shape == shape
        return
    assert largest_error(name, module, x) < 1e-10
    assert (module(x) - x).abs().max() > 1e-3, "it must do something"


def test_cbam_takes_the_statistics_of_the_batch_in_training():
    module = with_random_weights(CBAM(32)).train()
    x = inputs(4, 32, 6, 5)
    weights = {key: value.numpy().copy() for key, value in module.state_dict().items()}
    expected = np_cbam(x.numpy(), weights, training=True)
    np.testing.assert_allclose(module(x).detach().numpy(), expected, rtol=0, atol=1e-10)
    moved = (module.norm.running_mean - torch.from_numpy(weights["norm.running_mean"])).abs()
    assert 0 < moved < 0.1, "the momentum of the authors' code is one in a hundred"


# Versions of the rivals as they are found in public, and other slips, with the weights of the right one.


def channel_gain(logits):
    return torch.sigmoid(logits)[:, :, None, None]


def max_and_mean(x):
    return x.amax(dim=1, keepdim=True), x.mean(dim=1, keepdim=True)


def large_kernel(m, x):
    """CBAM with a filter of side 49; its middle is the right one, so that values tell and not a shape."""
    x = x * m._channel_gain(x)
    kernel = inputs(1, 2, 49, 49, seed=5)
    kernel[..., 21:28, 21:28] = m.conv.weight
    filtered = functional.conv2d(torch.cat(max_and_mean(x), dim=1), kernel, padding=24)
    return x * torch.sigmoid(m.norm(filtered))


def mean_before_maximum(m, x):
    x = x * m._channel_gain(x)
    return x * torch.sigmoid(m.norm(m.conv(torch.cat(max_and_mean(x)[::-1], dim=1))))


def with_pool(pool):
    """GC with another pooling (n, c)."""
    return lambda m, x: x + m.expand(relu(m.norm(m.reduce(pool(m, x)))))[:, :, None, None]


def logits_weigh(m, x):
    logits = torch.einsum("nchw,c->nhw", x, m.key.weight[0])
    return torch.einsum("nchw,nhw->nc", x, logits)


def circular(m, x):
    z, k = x.mean(dim=(-2, -1))[:, None, :], m.conv.kernel_size[0] // 2
    return x * channel_gain(functional.conv1d(functional.pad(z, (k, k), "circular"), m.conv.weight)[:, 0])


def over_positions(m, x):
    flat = x.reshape(-1, 1, x.shape[-2] * x.shape[-1])
    return x * torch.sigmoid(m.conv(flat).reshape(x.shape))


def before_squeeze(pool):
    """SE with another pooling (n, c)."""
    return lambda m, x: x * channel_gain(m.expand(relu(m.reduce(pool(x)))))


WRONG = {
    "se: the input is added": lambda m, x: x + m(x),
    "se: without relu": lambda m, x: x * channel_gain(m.expand(m.reduce(x.mean(dim=(-2, -1))))),
    "se: squeezed by the maximum": before_squeeze(lambda x: x.amax(dim=(-2, -1))),
    "cbam: the input is added": lambda m, x: x + m(x),
    "cbam: a kernel of 49": large_kernel,
    "cbam: a kernel of 49, and the input is added": lambda m, x: x + large_kernel(m, x),
    "cbam: positions first": lambda m, x: (y := x * m._position_gain(x)) * m._channel_gain(y),
    "cbam: both gains from the input": lambda m, x: x * m._channel_gain(x) * m._position_gain(x),
    "cbam: the mean before the maximum": mean_before_maximum,
    "gc: without softmax": with_pool(logits_weigh),
    "gc: softmax over the one output channel": with_pool(lambda _, x: x.sum(dim=(-2, -1))),
    "gc: every position weighs the same": with_pool(lambda _, x: x.mean(dim=(-2, -1))),
    "gc: without norm": lambda m, x: x + m.expand(relu(m.reduce(m._pool(x))))[:, :, None, None],
    "gc: a gain, no term": lambda m, x: x * channel_gain(m.expand(relu(m.norm(m.reduce(m._pool(x)))))),
    "eca: the first channel is next to the last": circular,
    "eca: along the positions": over_positions,
}


@pytest.mark.parametrize("wrong", WRONG)
def test_the_values_tell_a_wrong_version(wrong):
    name, x = wrong.partition(":")[0], inputs(2, 64, 8, 8)
    module = with_random_weights(attention_factory(name)(64))
    y = WRONG[wrong](module, x)
    assert y.shape == x.shape, "a test of shapes passes"
    assert largest_error(name, module, x, lambda _: y) > 1e-3
    assert largest_error(name, module, x) < 1e-10, "the right one with these weights"


def test_a_fixed_kernel_for_eca_is_told_where_there_are_many_channels():
    module = with_random_weights(ECA(512))
    module.conv = nn.Conv1d(1, 1, 3, padding=1, bias=False).double()
    with pytest.raises(AssertionError, match="the odd number next to"):
        largest_error("eca", module, inputs(1, 512, 2, 2))


# Laws: what each can tell apart, and what not.


@by_name
@pytest.mark.parametrize("seed", range(5))
def test_what_is_moved_with_the_positions(name, seed):
    """All but CBAM are blind to where a value is; CBAM is not, since its filter looks at neighbors."""
    module = with_random_weights(attention_factory(name)(16), seed=seed)
    x = inputs(2, 16, 4, 4, seed=seed)
    order = torch.randperm(16, generator=torch.Generator().manual_seed(seed))
    shuffled = x.flatten(2)[..., order].view_as(x)
    expected = module(x).flatten(2)[..., order].view_as(x)
    assert torch.allclose(module(shuffled), expected, atol=1e-12) == (name != "cbam")


def test_se_and_eca_have_one_gain_a_channel_and_gc_one_term():
    x = inputs(2, 16, 5, 5)
    for name in ("se", "eca"):
        gain = with_random_weights(attention_factory(name)(16))(x) / x
        assert gain.std(dim=(-2, -1)).max() < 1e-12
        assert gain.std(dim=1).min() > 1e-3
        assert 0 < gain.min() <= gain.max() < 1
    term = with_random_weights(GlobalContext(16))(x) - x
    assert term.std(dim=(-2, -1)).max() < 1e-12
    assert term.std(dim=1).max() > 1e-3


def test_cbam_is_a_gain_of_channels_times_a_gain_of_positions():
    x = inputs(1, 16, 5, 5)
    gain = (with_random_weights(CBAM(16))(x) / x)[0].flatten(1).detach()
    singular = torch.linalg.svdvals(gain)
    assert singular[1] < 1e-12 * singular[0], "a product of two vectors has rank one"


def test_cbam_shares_the_gradient_of_a_maximum_among_equal_values():
    """The original's max_pool2d gives all of it to one neuron; the output is the same."""
    module = with_random_weights(CBAM(16)).requires_grad_(False)
    x = torch.zeros(1, 16, 4, 4, dtype=torch.float64)
    x[0, :, 1, 1] = x[0, :, 2, 2] = 1.0  # the two largest values of every channel

    def gradient_of(pool):
        leaf = x.clone().requires_grad_()
        pooled = (module.expand(module.reduce(z).relu()) for z in (leaf.mean(dim=(-2, -1)), pool(leaf)))
        gain = torch.sigmoid(sum(pooled))
        gain.sum().backward()
        return gain, leaf.grad

    ours, shared = gradient_of(lambda x: x.amax(dim=(-2, -1)))
    theirs, picked = gradient_of(lambda x: functional.max_pool2d(x, 4).flatten(1))
    leaf = x.clone().requires_grad_()
    module._channel_gain(leaf).sum().backward()
    torch.testing.assert_close(leaf.grad, shared, rtol=0, atol=1e-12)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)
    assert torch.equal(shared[..., 1, 1], shared[..., 2, 2])
    assert not torch.allclose(picked[..., 1, 1], picked[..., 2, 2], atol=1e-6)
    torch.testing.assert_close(shared.sum((-2, -1)), picked.sum((-2, -1)), rtol=0, atol=1e-12)


def test_cbam_with_a_norm_that_starts_at_zero_gives_every_position_one_half():
    """As in the first public code; here the scale starts at one, as everywhere in torch."""
    module = CBAM(16)
    assert float(module.norm.weight.detach()) == 1.0
    x = torch.randn(2, 16, 5, 5, generator=torch.Generator().manual_seed(0))
    torch.nn.init.zeros_(module.norm.weight)
    with torch.no_grad():
        assert torch.equal(module(x), x * module._channel_gain(x) * 0.5)


def test_gc_does_not_see_a_shift_of_its_logits():
    module = with_random_weights(GlobalContext(16))
    x = inputs(2, 16, 5, 5)
    key = module.key.weight[0].detach()
    across = torch.linalg.svd(torch.stack([key, key * 0]))[2][1]  # at right angles to the key
    far = 1000 * key / key.square().sum()  # moves each logit by a thousand
    assert torch.allclose(module._pool(x + across[:, None, None]), module._pool(x) + across, atol=1e-10)
    assert torch.allclose(module._pool(x + far[:, None, None]), module._pool(x) + far, atol=1e-9)


@by_name
def test_gradients_are_right(name):
    module = with_random_weights(attention_factory(name)(5))
    x = inputs(2, 5, 3, 4).requires_grad_()
    weights = dict(module.named_parameters())

    def output(x, *values):
        return torch.func.functional_call(module, dict(zip(weights, values, strict=True)), (x,))

    assert torch.autograd.gradcheck(output, (x, *weights.values()))


# Parameters.


def count(name, channels, **options):
    return sum(p.numel() for p in attention_factory(name, **options)(channels).parameters())


@pytest.mark.parametrize("channels", [1, 3, 16, 24, 32, 64, 512])
@pytest.mark.parametrize("r", [4, 16])
@pytest.mark.parametrize("least", [2, 4, 8])
def test_parameters_by_formula(channels, r, least):
    h = max(channels // r, least)
    options = {"min_hidden": least, "reduction": r}
    assert count("se", channels, **options) == 2 * channels * h
    for side in (3, 7):
        assert count("cbam", channels, kernel_size=side, **options) == 2 * channels * h + 2 * side**2 + 2
    assert count("gc", channels, **options) == channels + 2 * channels * h + 2 * h


@pytest.mark.parametrize(
    ("name", "options", "added"),
    [("eca", {}, 27), ("se", {"min_hidden": 1}, 2016), ("se", {}, 3 * 2 * (16 * 4 + 32 * 4 + 64 * 4))],
)
def test_parameters_added_to_a_network(name, options, added):
    make = attention_factory(name, **options)
    plain, other = (
        sum(p.numel() for p in build("resnet20", num_classes=10, attention=attention).parameters())
        for attention in (None, make)
    )
    assert other - plain == added


KERNELS = {1: 1, 2: 1, 4: 1, 8: 3, 16: 3, 24: 3, 32: 3, 64: 3, 128: 5, 256: 5, 512: 5, 2048: 7}


def test_the_kernel_of_eca_is_the_odd_number_next_to_the_formula():
    for channels, size in KERNELS.items():
        assert eca_kernel(channels) == size
        assert ECA(channels).conv.weight.shape == (1, 1, size)
    assert eca_kernel(64, gamma=1, b=0) == 7  # 6 lies between two odd numbers: the larger
    assert eca_kernel(64, gamma=3, b=-12) == 3  # the absolute value of -2
    assert ECA(64, gamma=1, b=0).conv.weight.numel() == 7


# The least width, and why.


def test_one_hidden_unit_leaves_se_without_gradient_for_half_of_the_inputs():
    def dead(least, trials=400):
        torch.manual_seed(0)
        off = 0
        for _ in range(trials):
            module = SqueezeExcite(16, min_hidden=least)
            off += bool((module.reduce(torch.randn(16)) <= 0).all())
        return off / trials

    assert dead(1) == pytest.approx(1 / 2, abs=0.1)
    assert dead(4) == pytest.approx(1 / 16, abs=0.05)
    module = SqueezeExcite(16, min_hidden=1)
    nn.init.constant_(module.reduce.weight, -1.0)
    x = torch.rand(2, 16, 4, 4)
    y = module(x)
    y.sum().backward()
    torch.testing.assert_close(y, x / 2, msg="all gains are one half")
    assert not module.reduce.weight.grad.any()
    assert not module.expand.weight.grad.any()


def slope_of_layer_norm(units):
    """Return the median, over random vectors, of the largest derivative of a layer norm by its input."""
    slopes = torch.vmap(torch.func.jacrev(lambda z: functional.layer_norm(z, (units,))))(inputs(200, units))
    return float(slopes.flatten(1).abs().amax(dim=1).median())


def test_a_layer_norm_over_one_unit_is_dead_and_over_two_nearly():
    assert slope_of_layer_norm(1) == 0
    assert slope_of_layer_norm(2) < 1e-3
    assert slope_of_layer_norm(4) > 0.3
    assert GlobalContext(16).norm.normalized_shape == (4,)


# First weights.


def modules_of(network, kind):
    return [module for module in network.modules() if isinstance(module, kind)]


def test_gc_starts_as_the_identity_alone_and_in_a_network_and_can_leave_it():
    module, x = GlobalContext(32).double(), inputs(2, 32, 4, 4)
    assert torch.equal(module(x), x)
    module(x).square().sum().backward()
    assert module.expand.weight.grad.abs().max() > 0
    torch.manual_seed(0)
    network = build("resnet20", num_classes=10, attention=attention_factory("gc"))
    plain = build("resnet20", num_classes=10)
    assert not plain.load_state_dict(network.state_dict(), strict=False).missing_keys
    x = inputs(2, 3, 32, 32, dtype=torch.float32)
    assert torch.equal(network(x), plain(x))
    keys = [m.key.weight.flatten() * math.sqrt(m.channels / 2) for m in modules_of(network, GlobalContext)]
    assert float(torch.cat(keys).detach().std()) == pytest.approx(1, abs=0.2)


@by_name
def test_the_first_weights_follow_the_seed_and_a_factory_draws_none(name):
    torch.manual_seed(0)
    first = attention_factory(name)(32).state_dict()
    torch.manual_seed(0)
    factory = attention_factory(name)
    untouched = torch.get_rng_state()
    attention_factory(name)
    assert torch.equal(torch.get_rng_state(), untouched)
    for key, value in factory(32).state_dict().items():
        assert torch.equal(value, first[key])
        assert value.device.type == "cpu"


# Dtypes and layouts.


@by_name
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(name, dtype):
    exact = with_random_weights(attention_factory(name)(32))
    x = inputs(2, 32, 6, 6).to(dtype)
    expected = exact(x.double()).detach()
    single = with_random_weights(attention_factory(name)(32)).float()
    outputs = {"weights in float32": single(x)}
    with torch.autocast("cpu", dtype):
        outputs["autocast"] = single(x)
    outputs["weights in half"] = single.to(dtype)(x)
    scale = float(expected.abs().max())
    for how, y in outputs.items():
        assert y.dtype == dtype, how
        error = float((y.detach().double() - expected).abs().max()) / scale
        assert error < 30 * torch.finfo(dtype).eps, (how, error)


@by_name
def test_channels_last_is_kept(name):
    module = with_random_weights(attention_factory(name)(16))
    x = inputs(2, 16, 6, 6)
    y = module(x.to(memory_format=torch.channels_last))
    assert y.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(y, module(x))
    torch.testing.assert_close(module(x.transpose(2, 3)), module(x.transpose(2, 3).contiguous()))


@by_name
def test_a_module_is_saved_and_loaded(name):
    module = with_random_weights(attention_factory(name)(16))
    x = inputs(1, 16, 4, 4)
    assert torch.equal(pickle.loads(pickle.dumps(module))(x), module(x))
    other = attention_factory(name)(16).double().eval()
    other.load_state_dict(module.state_dict())
    assert torch.equal(other(x), module(x))


@by_name
def test_a_network_with_it_gives_every_weight_a_gradient(name):
    torch.manual_seed(0)
    network = build("resnet20", num_classes=10, attention=attention_factory(name), slot="post_norm")
    if name == "gc":  # behind a layer of zeros the others wait for its first step
        for module in modules_of(network, GlobalContext):
            nn.init.normal_(module.expand.weight)
    network(inputs(4, 3, 32, 32, dtype=torch.float32)).square().sum().backward()
    for key, weight in network.named_parameters():
        assert weight.grad is not None, key
        assert weight.grad.isfinite().all(), key
        if "attention" in key:
            assert weight.grad.abs().max() > 0, key
