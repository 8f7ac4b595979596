"""The equations on blocks and rival modules: what a module makes of a map, against numpy and bare layers.

``W v`` on the page is a product of matrices, which sympy reads as one of numbers; the numbers have the whole
matrices. tests/test_rivals.py holds the modules against numpy, too.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import sympy as sp
import torch
from torch import nn
from torch.nn import functional

from equations import MU, Equation, random_channel, symbol
from simam_edu.attention import CBAM, ECA, GlobalContext, SqueezeExcite, attention_factory
from simam_edu.networks import BasicBlock

x, mu, v, theta = symbol("x"), symbol("mu"), symbol("v"), symbol("theta")
f, norm, K = (sp.Function(name, real=True) for name in ("f", "norm", "K"))
CHANNELS = 24
POSITIONS = 3  # of the map on which sympy proves what holds for a mean over positions


class Weights:
    """The weights of a linear layer: times values of all channels, (n, c, h, w)."""

    __array_ufunc__ = None  # numpy leaves the product to this class

    def __init__(self, layer: nn.Module, sign: float = 1.0) -> None:
        self.layer, self.sign = layer, sign

    def __mul__(self, pooled: np.ndarray) -> np.ndarray:
        return self.sign * np.einsum("oc,nchw->nohw", self.layer.weight.numpy(), pooled)

    def __neg__(self) -> "Weights":
        return Weights(self.layer, -self.sign)


def half_tanh(logit: sp.Expr) -> sp.Expr:
    """The sigmoid: half a hyperbolic tangent, raised by one half."""
    return (1 + sp.tanh(logit / 2)).rewrite(sp.exp) / 2


def rectified(value: sp.Expr) -> sp.Expr:
    return (value + sp.Abs(value)) / 2


def relu(values: np.ndarray) -> np.ndarray:
    return np.maximum(values, 0)


def bottleneck(module: Any) -> Callable[[np.ndarray], np.ndarray]:
    """Both linear layers of a module by numpy."""
    return lambda pooled: Weights(module.expand) * relu(Weights(module.reduce) * pooled)


def by_layer(layer: nn.Module, axis: int = 1) -> Callable[..., np.ndarray]:
    """A layer of torch as a function of arrays, which are its channels, and then at this axis."""

    def function(*arrays: np.ndarray) -> np.ndarray:
        joined = torch.from_numpy(np.concatenate(arrays, axis=1)).movedim(1, axis)
        return layer(joined).movedim(axis, 1).numpy()

    return function


def random_module(module: nn.Module, generator: np.random.Generator) -> Any:
    """The module in float64 and evaluation, with all its weights drawn anew."""
    module = module.double().eval().requires_grad_(False)
    for key, value in module.state_dict().items():
        if value.is_floating_point():
            drawn = torch.from_numpy(generator.normal(size=tuple(value.shape)))
            value.copy_(drawn.abs() + 0.5 if key.endswith("running_var") else drawn)
    return module


def applied(module: nn.Module, generator: np.random.Generator) -> tuple[Any, dict[str, Any]]:
    """The module with random weights; random maps, their pooled values, and what it makes of them."""
    module, maps = random_module(module, generator), generator.normal(size=(2, CHANNELS, 4, 5))
    pooled = {"mu": maps.mean(axis=(2, 3), keepdims=True), "x_max": maps.max(axis=(2, 3), keepdims=True)}
    return module, pooled | {"x": maps, "y": module(torch.from_numpy(maps)).numpy(), "relu": relu}


def of_a_block(generator: np.random.Generator) -> dict[str, Any]:
    """What a random block makes of images, and its correction by bare convolutions."""
    torch.manual_seed(int(generator.integers(2**31)))
    block = BasicBlock(4, 4, stride=1, attention=attention_factory("none"), position="pre_norm").double()
    image = torch.from_numpy(generator.normal(size=(2, 4, 6, 6)))
    with torch.no_grad():
        output, correction = block(image).numpy(), image
        for number, weight in enumerate((block.conv1.weight, block.conv2.weight)):
            correction = functional.relu(correction) if number else correction
            correction = functional.conv2d(correction, weight, padding=1)
            correction = functional.batch_norm(correction, None, None, training=True)
    return {"x": image.numpy(), "y": output, "f": lambda _: correction.numpy(), "relu": relu}


def of_squeeze_excite(generator: np.random.Generator) -> dict[str, Any]:
    """Maps, what SE makes of them, and its logits by numpy."""
    module, point = applied(SqueezeExcite(CHANNELS), generator)
    return point | {"f": bottleneck(module)}


def of_a_bottleneck(generator: np.random.Generator) -> dict[str, Any]:
    """The logits of SE by its own layers, and their weights."""
    module, point = applied(SqueezeExcite(CHANNELS), generator)
    layers = by_layer(nn.Sequential(module.reduce, nn.ReLU(), module.expand), axis=-1)
    return point | {"f": layers, "W_1": Weights(module.reduce), "W_2": Weights(module.expand)}


def of_cbam(generator: np.random.Generator) -> dict[str, Any]:
    """Maps, what CBAM makes of them in its two steps, and what it pools between them."""
    module, point = applied(CBAM(CHANNELS), generator)
    # Where the logit of every position is infinite, its gain is one, so only that of the channels is left.
    switch = module.norm.register_forward_hook(lambda *args: torch.full_like(args[-1], torch.inf))
    between = module(torch.from_numpy(point["x"])).numpy()
    switch.remove()
    pooled = {"x_max'": between.max(axis=1, keepdims=True), "mu'": between.mean(axis=1, keepdims=True)}
    layers = {"f": bottleneck(module), "K": by_layer(module.conv), "norm": by_layer(module.norm)}
    return point | pooled | layers | {"x'": between}


def of_eca(generator: np.random.Generator) -> dict[str, Any]:
    """Maps, what ECA makes of them, its kernel, and the means of three neighboring channels."""
    module, point = applied(ECA(CHANNELS), generator)
    padded = np.pad(point["mu"], ((0, 0), (1, 1), (0, 0), (0, 0)))
    means = {"mu_j-1": padded[:, :-2], "mu_j": point["mu"], "mu_j+1": padded[:, 2:]}
    kernel = module.conv.weight.numpy().ravel()
    return point | means | {f"k_{i + 1}": float(kernel[i]) for i in range(3)}


def of_global_context(generator: np.random.Generator) -> dict[str, Any]:
    """Maps, what GC makes of them, and what it pools, caught on its way into the first linear layer."""
    module = GlobalContext(CHANNELS)
    seen: list[torch.Tensor] = []
    module.reduce.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    module, point = applied(module, generator)
    return point | {
        "theta": np.tensordot(module.key.weight.numpy(), point["x"], axes=(1, 1)).swapaxes(0, 1),
        "v": np.broadcast_to(seen[0].numpy()[..., None, None], point["x"].shape),
        "mean": lambda values: np.broadcast_to(values.mean(axis=(2, 3), keepdims=True), values.shape),
        "W_1": Weights(module.reduce),
        "W_2": Weights(module.expand),
        "norm": by_layer(module.norm, axis=-1),
        "c": point["y"] - point["x"],
    }


def of_a_channel(generator: np.random.Generator) -> dict[str, Any]:
    """A random channel, and its mean by torch."""
    point = random_channel(generator)
    return point | {"mu": float(torch.from_numpy(point["x"]).mean())}


def nearest_odd(number: float) -> int:
    """The odd number next to another, the larger of two."""
    return max((k for k in range(1, 99, 2)), key=lambda k: (-abs(k - number), k))


def kernel_is_the_nearest_odd(sides: tuple[Any, ...]) -> bool:
    """Whether the right side is the paper's kernel for every number of channels up to 4,096."""
    kernel = sp.lambdify(symbol("C"), sides[1], [{"floor": math.floor, "log_2": math.log2}])
    return sides[0] == symbol("k") and all(
        kernel(c) == nearest_odd(abs(math.log2(c) / 2 + 1 / 2)) for c in range(1, 4097)
    )


def of_parameters(generator: np.random.Generator) -> dict[str, Any]:
    """The parameters of each module, counted, for a random number of channels and a random reduction."""
    channels, r = int(generator.integers(16, 500)), int(generator.integers(2, 8))
    k = ECA(channels).conv.weight.numel()
    options: dict[str, dict[str, Any]] = {
        "se": {"reduction": r},
        "cbam": {"reduction": r, "kernel_size": k},
        "eca": {},
        "gc": {"reduction": r},
    }
    counts = {
        f"P_{name.upper()}": sum(p.numel() for p in attention_factory(name, **own)(channels).parameters())
        for name, own in options.items()
    }
    functions = {"floor": np.floor, "log_2": np.log2}
    return counts | functions | {"C": channels, "h": max(channels // r, 4), "k": k}


def over_positions(summand: sp.Expr) -> sp.Expr:
    """The mean over a map of three positions, each with its own value and its own power of e."""
    return sum(summand.subs({x: symbol(f"x_{i}"), theta: sp.log(E[i])}) for i in range(POSITIONS)) / POSITIONS


E = sp.symbols(f"E_:{POSITIONS}", positive=True)
# The weighted mean, position by position: each weight is one over a sum of ratios.
POOLED = sum(symbol(f"x_{i}") / sum(e / E[i] for e in E) for i in range(POSITIONS))
W_1, W_2, C, h, k = (symbol(name) for name in ("W_1", "W_2", "C", "h", "k"))
RECTIFY = {"relu": lambda value: sp.Max(value, 0).rewrite(sp.Abs)}
CONTEXT = W_2 * rectified(norm(W_1 * v))
FILTERED = sum(symbol(f"k_{i + 1}") * symbol(name) for i, name in enumerate(("mu_j-1", "mu_j", "mu_j+1")))

EQUATIONS = (
    Equation("eq-residual", of_a_block, {"y": rectified(f(x) + x)}, {"f": f, **RECTIFY}),
    Equation("eq-squeeze", of_a_channel, {"mu": MU}),
    Equation(
        "eq-bottleneck",
        of_a_bottleneck,
        functions={"f": lambda value: W_2 * rectified(W_1 * value), **RECTIFY},
    ),
    Equation("eq-se", of_squeeze_excite, {"y": x * half_tanh(f(mu))}, {"f": f}),
    Equation("eq-cbam-channels", of_cbam, {"x'": x * half_tanh(f(mu) + f(symbol("x_max")))}, {"f": f}),
    Equation(
        "eq-cbam-positions",
        of_cbam,
        {"y": symbol("x'") * half_tanh(norm(K(symbol("x_max'"), symbol("mu'"))))},
        {"norm": norm, "K": K},
    ),
    Equation("eq-eca", of_eca, {"y": x * half_tanh(FILTERED)}),
    Equation(
        "eq-eca-kernel",
        of_parameters,
        functions={name: sp.Function(name) for name in ("floor", "log_2")},
        proof=kernel_is_the_nearest_odd,
    ),
    Equation("eq-gc-pool", of_global_context, {"v": POOLED}, {"mean": over_positions}),
    Equation("eq-gc", of_global_context, {"y": x + CONTEXT, "c": CONTEXT}, {"norm": norm, **RECTIFY}),
    # One term a tensor, rows times columns, as the modules list them.
    Equation(
        "eq-parameters-gates",
        of_parameters,
        {"P_SE": h * C + C * h, "P_CBAM": h * C + C * h + 1 * 2 * k * k + 1 + 1},
    ),
    Equation(
        "eq-parameters-others", of_parameters, {"P_ECA": 1 * 1 * k, "P_GC": 1 * C + h * C + h + h + C * h}
    ),
)
