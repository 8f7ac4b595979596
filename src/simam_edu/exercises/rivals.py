"""Exercises of the chapter on the rivals."""

import math
from typing import Any

import numpy as np
from jaxtyping import Float

from simam_edu.exercises.checking import Exercise, Mistake

Maps = Float[np.ndarray, "n c h w"]
Pooled = Float[np.ndarray, "n c"]


def _sigmoid(z: Any) -> Any:
    return 1 / (1 + np.exp(-z))


def excited(generator: np.random.Generator) -> list[tuple[Any, ...]]:
    """Batches and the weights of both layers; the axes of a batch differ, or are all equal."""
    shapes = [((2, 6, 4, 5), 3), ((4, 4, 4, 4), 4), ((1, 8, 2, 2), 2)]
    return [
        (
            generator.normal(0.3, 1.0, shape),
            *(2 * generator.normal(size=s) for s in ((h, shape[1]), (shape[1], h))),
        )
        for shape, h in shapes
    ]


def squeeze_excite(x: Maps, W_1: Float[np.ndarray, "h c"], W_2: Float[np.ndarray, "c h"]) -> Maps:
    """SE of a batch, given the weights of its two layers."""
    hidden = np.maximum(x.mean(axis=(-2, -1)) @ W_1.T, 0)
    product: Maps = x * _sigmoid(hidden @ W_2.T)[:, :, None, None]
    return product


def without_relu(x: Maps, W_1: Any, W_2: Any) -> Maps:
    """Two linear layers with nothing between them."""
    product: Maps = x * _sigmoid(x.mean(axis=(-2, -1)) @ W_1.T @ W_2.T)[:, :, None, None]
    return product


def with_the_largest(x: Maps, W_1: Any, W_2: Any) -> Maps:
    """The largest value of a channel instead of its mean."""
    hidden = np.maximum(x.max(axis=(-2, -1)) @ W_1.T, 0)
    product: Maps = x * _sigmoid(hidden @ W_2.T)[:, :, None, None]
    return product


def gain_of_channels(x: Maps, W_1: Any, W_2: Any) -> Pooled:
    """The gain without the input."""
    gain: Pooled = _sigmoid(np.maximum(x.mean(axis=(-2, -1)) @ W_1.T, 0) @ W_2.T)
    return gain


def kernels(_: np.random.Generator) -> list[tuple[Any, ...]]:
    """Numbers of channels whose kernels run from one to seven, with whole, half and odd fractions between."""
    return [(channels,) for channels in (1, 4, 8, 16, 24, 32, 64, 128, 160, 256, 512, 2048)]


def _size(channels: int) -> float:
    return math.log2(channels) / 2 + 1 / 2


def eca_kernel(channels: int) -> int:
    """The odd number next to half the logarithm plus one half; of two the larger."""
    return 2 * math.floor(_size(channels) / 2) + 1


def rounded_down(channels: int) -> int:
    """The largest odd number that is not above."""
    return 2 * math.floor((_size(channels) - 1) / 2) + 1


def rounded_up(channels: int) -> int:
    """The smallest odd number that is not below."""
    return 2 * math.ceil((_size(channels) - 1) / 2) + 1


def without_half(channels: int) -> int:
    """The half that is added left out."""
    return 2 * math.floor(math.log2(channels) / 4) + 1


def natural_logarithm(channels: int) -> int:
    """The natural logarithm in the place of that to the base two."""
    return 2 * math.floor((math.log(channels) / 2 + 1 / 2) / 2) + 1


def keyed(generator: np.random.Generator) -> list[tuple[Any, ...]]:
    """Batches and keys; every image has its own weights."""
    shapes = [(2, 3, 4, 5), (3, 3, 3, 3), (1, 5, 2, 2)]
    return [(generator.normal(0.5, 1.0, shape), generator.normal(size=shape[1])) for shape in shapes]


def _weighted(x: Maps, weights: Any) -> Pooled:
    pooled: Pooled = np.einsum("nchw,nhw->nc", x, weights)
    return pooled


def gc_pool(x: Maps, key: Float[np.ndarray, "c"]) -> Pooled:
    """The mean over positions, weighted by the softmax over the map of the product with the key."""
    powers = np.exp(np.einsum("nchw,c->nhw", x, key))
    return _weighted(x, powers / powers.sum(axis=(-2, -1), keepdims=True))


def pooled_by_logits(x: Maps, key: Any) -> Pooled:
    """The products with the key as weights, without the softmax."""
    return _weighted(x, np.einsum("nchw,c->nhw", x, key))


def softmax_over_the_batch(x: Maps, key: Any) -> Pooled:
    """One softmax over the positions of all images together."""
    powers = np.exp(np.einsum("nchw,c->nhw", x, key))
    return _weighted(x, powers / powers.sum())


def softmax_over_one_axis(x: Maps, key: Any) -> Pooled:
    """A softmax over each row instead of over the map."""
    powers = np.exp(np.einsum("nchw,c->nhw", x, key))
    return _weighted(x, powers / powers.sum(axis=-1, keepdims=True))


def softmax_of_one(x: Maps, _: Any) -> Pooled:
    """A softmax over an axis of length one, which makes every weight one."""
    pooled: Pooled = x.sum(axis=(-2, -1))
    return pooled


def sizes(_: np.random.Generator) -> list[tuple[Any, ...]]:
    """Channels, hidden width and side of the filter."""
    return [(64, 4, 7), (16, 4, 7), (512, 32, 3), (24, 6, 1)]


def cbam_parameters(channels: int, hidden: int, side: int) -> int:
    """Two layers that serve both ways of pooling, a filter on two maps, the scale and the shift of the norm."""
    return 2 * channels * hidden + 2 * side**2 + 2


EXERCISES = (
    Exercise(
        name="squeeze_excite",
        asks="a function of (x, W_1, W_2) that returns SE of a batch of shape (n, c, h, w)",
        truth=squeeze_excite,
        inputs=excited,
        mistakes=(
            Mistake(
                answer=without_relu,
                hint="There is no relu between the layers here. Two linear layers in a row are one linear layer; see 'SE: one gain for each channel'.",
            ),
            Mistake(
                answer=with_the_largest,
                hint="This pools by the largest value. SE takes the mean; the largest value comes in with CBAM.",
            ),
            Mistake(
                answer=lambda x, W_1, W_2: x + squeeze_excite(x, W_1, W_2),
                hint="The input is added once more here, so every gain is above one. The shortcut belongs to the block, not to the module.",
            ),
            Mistake(
                answer=gain_of_channels,
                hint="This is the gain. The module returns the input times its gain.",
            ),
        ),
    ),
    Exercise(
        name="eca_kernel",
        asks="a function of the number of channels that returns the size of ECA's kernel",
        truth=eca_kernel,
        inputs=kernels,
        mistakes=(
            Mistake(
                answer=rounded_down,
                hint="This is the odd number below. Asked for is the nearest, and of two that are equally near the larger; see 'ECA: a gain from the neighbors'.",
            ),
            Mistake(
                answer=rounded_up,
                hint="This is the odd number above. Asked for is the nearest.",
            ),
            Mistake(
                answer=without_half,
                hint="The half that is added to half the logarithm is missing here.",
            ),
            Mistake(
                answer=natural_logarithm,
                hint="This takes the natural logarithm. The paper has the one to the base two.",
            ),
            Mistake(
                answer=lambda _: 3,
                hint="Three is right for 16, 32 and 64 channels, and for a few more numbers. The formula goes on to larger kernels where there are more channels.",
            ),
        ),
    ),
    Exercise(
        name="gc_pool",
        asks="a function of (x, key) that returns what GC pools, of shape (n, c)",
        truth=gc_pool,
        inputs=keyed,
        mistakes=(
            Mistake(
                answer=pooled_by_logits,
                hint="These weights are the products with the key themselves. They may be negative and do not add up to one: the softmax is missing, as in a public copy; see 'GC: a term, not a gain'.",
            ),
            Mistake(
                answer=lambda x, _: x.mean(axis=(-2, -1)),
                hint="Every position weighs the same here, as in SE. The key is not used.",
            ),
            Mistake(
                answer=softmax_over_the_batch,
                hint="Here the weights of all images together add up to one. Each image needs a softmax of its own.",
            ),
            Mistake(
                answer=softmax_over_one_axis,
                hint="Here each row has a softmax of its own. The weights of the whole map must add up to one: put rows and columns into one axis first.",
            ),
            Mistake(
                answer=softmax_of_one,
                hint="This is the sum over the positions, every weight is one. A softmax over an axis of length one does that.",
            ),
        ),
    ),
    Exercise(
        name="cbam_parameters",
        asks="a function of (channels, hidden, side) that returns how many parameters CBAM has",
        truth=cbam_parameters,
        inputs=sizes,
        mistakes=(
            Mistake(
                answer=lambda channels, hidden, side: 4 * channels * hidden + 2 * side**2 + 2,
                hint="Each way of pooling has layers of its own here. They share one pair of layers; see 'CBAM: channels, then positions'.",
            ),
            Mistake(
                answer=lambda channels, hidden, side: 2 * channels * hidden + side**2 + 2,
                hint="The filter sees one map here. It sees two, the maximum and the mean over the channels.",
            ),
            Mistake(
                answer=lambda channels, hidden, side: 2 * channels * hidden + 2 * side**2,
                hint="The batch norm behind the filter has a scale and a shift, which are missing here.",
            ),
            Mistake(
                answer=lambda channels, hidden, side: 2 * channels * hidden + 2 * side**2 + 4,
                hint="The running mean and variance of the batch norm are counted here. They are buffers: no gradient reaches them.",
            ),
            Mistake(
                answer=lambda channels, hidden, side: (
                    2 * channels * hidden + 2 * side**2 + 2 + channels + hidden
                ),
                hint="Both linear layers have been given biases. The paper's equations have none.",
            ),
        ),
    ),
)
