"""The equations on blocks and rival modules: what a module makes of a map, against its own layers and numpy.

A map is an array of channels in rows and positions in columns. ``W v`` on the page is a product of matrices,
which sympy reads as one of numbers; the numbers have the whole matrices.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import sympy as sp
import torch
from torch import nn

from equations import MU, random_channel
from page_latex import symbol
from page_math import Equation
from page_symbols import mu
from simam_edu import energy
from simam_edu.attention import CBAM, ECA, GlobalContext, SqueezeExcite, attention_factory
from simam_edu.networks import BasicBlock

CHANNELS, HEIGHT, WIDTH = 24, 4, 5
x, v, theta, W_1, W_2, C, h, k = (symbol(name) for name in ("x", "v", "theta", "W_1", "W_2", "C", "h", "k"))
f, norm, K = (sp.Function(name, real=True) for name in ("f", "norm", "K"))


class Matrix(np.ndarray):
    """An array whose product is that of matrices, as on the page."""

    def __mul__(self, other: np.ndarray) -> np.ndarray:
        return self @ other


def relu(values: np.ndarray) -> np.ndarray:
    return np.maximum(values, 0)


def of_columns(layer: nn.Module) -> Callable[[np.ndarray], np.ndarray]:
    """A layer of torch as a function of columns."""
    return lambda columns: layer(torch.from_numpy(columns.T)).numpy().T


def of_maps(layer: nn.Module) -> Callable[..., np.ndarray]:
    """A layer of torch as a function of maps with a channel in each row."""

    def function(*rows: np.ndarray) -> np.ndarray:
        maps = torch.from_numpy(np.concatenate(rows)).reshape(1, -1, HEIGHT, WIDTH)
        return layer(maps).numpy().reshape(-1, HEIGHT * WIDTH)

    return function


def applied(module: Any, generator: np.random.Generator) -> dict[str, Any]:
    """A random image, its pooled values, what the module with random weights makes of it, and its layers."""
    module.double().eval().requires_grad_(False)
    for key, value in module.state_dict().items():
        if value.is_floating_point():
            drawn = torch.from_numpy(generator.normal(size=tuple(value.shape)))
            value.copy_(drawn.abs() + 0.5 if key.endswith("running_var") else drawn)
    image = generator.normal(size=(CHANNELS, HEIGHT * WIDTH))
    point = {"x": image, "y": of_maps(module)(image), "relu": relu}
    point |= {"mu": image.mean(axis=1, keepdims=True), "x_max": image.max(axis=1, keepdims=True)}
    if hasattr(module, "reduce"):
        layers = nn.Sequential(module.reduce, nn.ReLU(), module.expand)
        weights = (layer.weight.numpy().view(Matrix) for layer in (module.reduce, module.expand))
        point |= {"f": of_columns(layers)} | dict(zip(("W_1", "W_2"), weights, strict=True))
    return point


def of_a_block(generator: np.random.Generator) -> dict[str, Any]:
    """A map, what a block makes of it, and its correction by the block's own layers."""
    block = BasicBlock(CHANNELS, CHANNELS, stride=1, attention=attention_factory("none"), position="pre_norm")
    layers = nn.Sequential(block.conv1, block.bn1, nn.ReLU(), block.conv2, block.bn2)
    return applied(block, generator) | {"f": of_maps(layers)}


def of_squeeze_excite(generator: np.random.Generator) -> dict[str, Any]:
    """A map, what SE makes of it, and its logits."""
    return applied(SqueezeExcite(CHANNELS), generator)


def of_cbam(generator: np.random.Generator) -> dict[str, Any]:
    """A map, what CBAM makes of it in its two steps, what it pools between them, and its gains."""
    module = CBAM(CHANNELS)
    point = applied(module, generator)
    # Where the logit of every position is infinite, its gain is one, so only that of the channels is left.
    switch = module.norm.register_forward_hook(lambda *args: torch.full_like(args[-1], torch.inf))
    between = of_maps(module)(point["x"])
    switch.remove()
    gains, channels, positions = point["y"] / point["x"], between / point["x"], point["y"] / between
    return point | {
        "x'": between,
        "x_max'": between.max(axis=0, keepdims=True),
        "mu'": between.mean(axis=0, keepdims=True),
        "K": of_maps(module.conv),
        "norm": of_maps(module.norm),
        "g_ji": gains,
        "U_j": np.broadcast_to(channels[:, :1], gains.shape),
        "V_i": np.broadcast_to(positions[:1], gains.shape),
        **{f"g_{j}{i}": gains[j, i] for j in (1, 2) for i in (1, 2)},
    }


def of_eca(generator: np.random.Generator) -> dict[str, Any]:
    """A map, what ECA makes of it, its kernel, and the means of three neighboring channels."""
    module = ECA(CHANNELS)
    point = applied(module, generator)
    padded, kernel = np.pad(point["mu"], ((1, 1), (0, 0))), module.conv.weight.numpy().ravel()
    means = {"mu_j-1": padded[:-2], "mu_j": point["mu"], "mu_j+1": padded[2:]}
    return point | means | {f"k_{i + 1}": float(kernel[i]) for i in range(3)}


def of_global_context(generator: np.random.Generator) -> dict[str, Any]:
    """A map, what GC makes of it, and what it pools, caught on its way into the first linear layer."""
    module, seen = GlobalContext(CHANNELS), []
    module.reduce.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].numpy()))
    point = applied(module, generator)
    return point | {
        "theta": module.key.weight.numpy().reshape(1, -1) @ point["x"],
        "v": np.broadcast_to(seen[0].T, point["x"].shape),
        "mean": lambda values: np.broadcast_to(values.mean(axis=1, keepdims=True), values.shape),
        "norm": of_columns(module.norm),
        "c": point["y"] - point["x"],
    }


def of_parameters(generator: np.random.Generator) -> dict[str, Any]:
    """The parameters of each module, counted, for a random number of channels and a random reduction."""
    channels, r = int(generator.integers(16, 500)), int(generator.integers(2, 8))
    k = ECA(channels).conv.weight.numel()
    modules = {
        "P_SE": SqueezeExcite(channels, reduction=r),
        "P_CBAM": CBAM(channels, reduction=r, kernel_size=k),
        "P_ECA": ECA(channels),
        "P_GC": GlobalContext(channels, reduction=r),
    }
    counts = {name: sum(p.numel() for p in module.parameters()) for name, module in modules.items()}
    functions = {"floor": np.floor, "log_2": np.log2}
    return counts | functions | {"C": channels, "h": max(channels // r, 4), "k": k}


def of_single_neurons(generator: np.random.Generator) -> dict[str, Any]:
    """The gains of SimAM where in each of k channels another neuron stands out, and their determinant."""
    size = int(generator.integers(2, 6))
    maps = np.eye(size, size + int(generator.integers(1, 6)))  # channels in rows, at least three positions
    gains = energy.gain(maps[:, None], lam=float(generator.uniform(0, 0.1)))[:, 0, :size]
    return {"k": size, "g_11": gains[0, 0], "g_12": gains[0, 1], "det g": np.linalg.det(gains)}


def equal_for_each_size(sides: tuple[Any, ...]) -> bool:
    """Whether both sides are equal for the tables of two to five channels, their determinants by sympy."""
    high, low = symbol("g_11"), symbol("g_12")
    tables = [(size, sp.Matrix(size, size, lambda j, i: high if i == j else low)) for size in range(2, 6)]
    return all(
        sp.expand((sides[0] - sides[1]).subs({symbol("det g"): table.det(), k: size})) == 0
        for size, table in tables
    )


def half_tanh(logit: sp.Expr) -> sp.Expr:
    """The sigmoid: half a hyperbolic tangent, raised by one half."""
    return (1 + sp.tanh(logit / 2)).rewrite(sp.exp) / 2


def rectified(value: sp.Expr) -> sp.Expr:
    return (value + sp.Abs(value)) / 2


def over_positions(summand: sp.Expr) -> sp.Expr:
    """The mean over a map of three positions, each with its own value and its own power of e."""
    return sum(summand.subs({x: symbol(f"x_{i}"), theta: sp.log(E[i])}) for i in range(len(E))) / len(E)


def product(channel: str, position: str) -> sp.Expr:
    """The gain of a product of gates, which are positive, by their logarithms."""
    return sp.exp(symbol(f"log {channel}")) * sp.exp(symbol(f"log {position}"))


E = sp.symbols("E_:3", positive=True)
# The weighted mean, position by position: each weight is one over a sum of ratios.
POOLED = sum(symbol(f"x_{i}") / sum(e / E[i] for e in E) for i in range(len(E)))
RECTIFY = {"relu": lambda value: sp.Max(value, 0).rewrite(sp.Abs)}
BOTTLENECK = {"f": lambda value: W_2 * rectified(W_1 * value), **RECTIFY}
CONTEXT = W_2 * rectified(norm(W_1 * v))
FILTERED = sum(symbol(f"k_{i + 1}") * symbol(name) for i, name in enumerate(("mu_j-1", "mu_j", "mu_j+1")))
POSITIONS = norm(K(symbol("x_max'"), symbol("mu'")))
KERNEL = {"k": 2 * sp.floor(sp.log(2 * C, 2) / 4) + 1}  # the odd number next to half of log_2(2 C)
GATES = {"g_ji": product("U_j", "V_i")} | {name: sp.exp(symbol(f"log {name}")) for name in ("U_j", "V_i")}

EQUATIONS = {
    "eq-residual": Equation(of_a_block, {"y": rectified(f(x) + x)}, {"f": f, **RECTIFY}),
    "eq-squeeze": Equation(random_channel, {"mu": MU}),
    "eq-bottleneck": Equation(of_squeeze_excite, functions=BOTTLENECK),
    "eq-se": Equation(of_squeeze_excite, {"y": x * half_tanh(f(mu))}, {"f": f}),
    "eq-cbam-channels": Equation(of_cbam, {"x'": x * half_tanh(f(mu) + f(symbol("x_max")))}, {"f": f}),
    "eq-cbam-positions": Equation(
        of_cbam, {"y": symbol("x'") * half_tanh(POSITIONS)}, {"norm": norm, "K": K}
    ),
    "eq-eca": Equation(of_eca, {"y": x * half_tanh(FILTERED)}),
    "eq-eca-kernel": Equation(
        of_parameters, KERNEL, {"floor": sp.floor, "log_2": lambda value: sp.log(value, 2)}
    ),
    "eq-gc-pool": Equation(of_global_context, {"v": POOLED}, {"mean": over_positions}),
    "eq-gc": Equation(of_global_context, {"y": x + CONTEXT, "c": CONTEXT}, {"norm": norm, **RECTIFY}),
    # One term a tensor, rows times columns, as the modules list them.
    "eq-parameters-gates": Equation(
        of_parameters, {"P_SE": h * C + C * h, "P_CBAM": h * C + C * h + 1 * 2 * k * k + 1 + 1}
    ),
    "eq-parameters-others": Equation(
        of_parameters, {"P_ECA": 1 * 1 * k, "P_GC": 1 * C + h * C + h + h + C * h}
    ),
    "eq-log-additive": Equation(of_cbam, GATES),
    "eq-minor": Equation(of_cbam, {f"g_{j}{i}": product(f"U_{j}", f"V_{i}") for j in (1, 2) for i in (1, 2)}),
    "eq-full-rank": Equation(of_single_neurons, proof=equal_for_each_size),
}
