"""Exercises of the chapter on the rivals."""

import math

import numpy as np

from simam_edu.exercises._exercise import Exercise


def own_se(x, W_1, W_2):
    hidden = np.maximum(x.mean(axis=(-2, -1)) @ W_1.T, 0)
    gain = 1 / (1 + np.exp(-hidden @ W_2.T))
    return x * gain[:, :, None, None]


def kernel_size(channels):
    size = int(math.log2(channels) / 2 + 1 / 2)  # int rounds down
    return size if size % 2 else size + 1


def pool(x, key):
    powers = np.exp(np.einsum("nchw,c->nhw", x, key))
    weights = powers / powers.sum(axis=(-2, -1), keepdims=True)
    return np.einsum("nchw,nhw->nc", x, weights)


def parameters(channels, hidden, side):
    layers = 2 * channels * hidden  # shared by both ways of pooling
    filter_on_two_maps = 2 * side**2
    norm = 2  # a scale and a shift
    return layers + filter_on_two_maps + norm


EXERCISES = (  # a mistake a line: what is changed in the solution, and the hint
    Exercise("squeeze_excite", "a function of (x, W_1, W_2) that returns SE of a batch of shape (n, c, h, w)", own_se, {
        "np.maximum(x.mean(axis=(-2, -1)) @ W_1.T, 0) -> x.mean(axis=(-2, -1)) @ W_1.T": "There is no relu between the layers here. Two linear layers in a row are one linear layer; see 'SE: one gain for each channel'.",
        "x.mean -> x.max": "This pools by the largest value. SE takes the mean; the largest value comes in with CBAM.",
        "return x * -> return x + x *": "The input is added once more here, so every gain is above one. The shortcut belongs to the block, not to the module.",
        "x * gain[:, :, None, None] -> gain": "This is the gain. The module returns the input times its gain.",
    }, lambda g: [(g.normal(0.3, 1.0, shape), g.normal(0, 2, (h, shape[1])), g.normal(0, 2, (shape[1], h))) for *shape, h in ((2, 6, 4, 5, 3), (4, 4, 4, 4, 4), (1, 8, 2, 2, 2))]),
    Exercise("eca_kernel", "a function of the number of channels that returns the size of ECA's kernel", kernel_size, {
        "size + 1 -> size - 1": "This is the odd number below. Asked for is the nearest, and of two that are equally near the larger; see 'ECA: a gain from the neighbors'.",
        "int( -> math.ceil(": "This is the odd number above. Asked for is the nearest.",
        " + 1 / 2 -> ": "The half that is added to half the logarithm is missing here.",
        "log2 -> log": "This takes the natural logarithm. The paper has the one to the base two.",
        lambda _: 3: "Three is right for 16, 32 and 64 channels, and for a few more numbers. The formula goes on to larger kernels where there are more channels.",
    }, lambda _: [(channels,) for channels in (1, 4, 8, 16, 24, 32, 64, 128, 160, 256, 512, 2048)]),
    Exercise("gc_pool", "a function of (x, key) that returns what GC pools, of shape (n, c)", pool, {
        ("np.exp( -> (", " / powers.sum(axis=(-2, -1), keepdims=True) -> "): "These weights are the products with the key themselves. They may be negative and do not add up to one: the softmax is missing, as in a public copy; see 'GC: a term, not a gain'.",
        lambda x, _: x.mean(axis=(-2, -1)): "Every position weighs the same here, as in SE. The key is not used.",
        "axis=(-2, -1), keepdims=True -> ": "Here the weights of all images together add up to one. Each image needs a softmax of its own.",
        "axis=(-2, -1) -> axis=-1": "Here each row has a softmax of its own. The weights of the whole map must add up to one: put rows and columns into one axis first.",
        "/ powers.sum(axis=(-2, -1), keepdims=True) -> / powers": "This is the sum over the positions, every weight is one. A softmax over an axis of length one does that.",
    }, lambda g: [(g.normal(0.5, 1.0, shape), g.normal(size=shape[1])) for shape in ((2, 3, 4, 5), (3, 3, 3, 3), (1, 5, 2, 2))]),
    Exercise("cbam_parameters", "a function of (channels, hidden, side) that returns how many parameters CBAM has", parameters, {
        "2 * channels -> 4 * channels": "Each way of pooling has layers of its own here. They share one pair of layers; see 'CBAM: channels, then positions'.",
        "2 * side**2 -> side**2": "The filter sees one map here. It sees two, the maximum and the mean over the channels.",
        "norm = 2 -> norm = 0": "The batch norm behind the filter has a scale and a shift, which are missing here.",
        "norm = 2 -> norm = 4": "The running mean and variance of the batch norm are counted here. They are buffers: no gradient reaches them.",
        "2 * channels * hidden -> 2 * channels * hidden + channels + hidden": "Both linear layers have been given biases. The paper's equations have none.",
    }, lambda _: [(64, 4, 7), (16, 4, 7), (512, 32, 3), (24, 6, 1)]),
)
