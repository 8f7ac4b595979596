"""The equation of the page on images and networks, what its names mean, and its numbers."""

from typing import Any

import numpy as np
import sympy as sp
import torch
from torch.nn import functional

from equations import Equation, symbol
from simam_edu.attention import attention_factory
from simam_edu.networks import BasicBlock

x = symbol("x")
f = sp.Function("f", real=True)


def one_neuron(generator: np.random.Generator) -> dict[str, Any]:
    """The neuron of a random block's output that is largest, and its correction by bare convolutions."""
    torch.manual_seed(int(generator.integers(2**31)))
    block = BasicBlock(4, 4, stride=1, attention=attention_factory("none"), slot="pre_norm").double()
    image = torch.from_numpy(generator.normal(size=(2, 4, 6, 6)))
    with torch.no_grad():
        output = block(image)
        correction = image
        for number, weight in enumerate((block.conv1.weight, block.conv2.weight)):
            correction = functional.relu(correction) if number else correction
            correction = functional.conv2d(correction, weight, padding=1)
            correction = functional.batch_norm(correction, None, None, training=True)
    at = np.unravel_index(int(output.argmax()), output.shape)
    return {
        "x": float(image[at]),
        "y": float(output[at]),
        "f": lambda _: float(correction[at]),
        "relu": lambda value: max(value, 0.0),
    }


EQUATIONS = (
    Equation(
        "eq-residual",
        one_neuron,
        {"y": (f(x) + x + sp.Abs(f(x) + x)) / 2},
        {"f": f, "relu": lambda value: sp.Max(value, 0).rewrite(sp.Abs)},
    ),
)
