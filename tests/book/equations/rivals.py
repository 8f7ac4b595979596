"""The equations of the page on the rivals, what their names mean, and their numbers.

The pages' dialect has no matrices. An equation is read for one channel and one hidden unit: the modules
behind the numbers have many of both, and where a product of matrices is written out, all weights but two are
zero.
tests/test_rivals.py holds the whole modules against numpy.
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

x, mu, v = symbol("x"), symbol("mu"), symbol("v")
CHANNELS, CHANNEL, UNIT = 24, 5, 2
POSITIONS = 3  # of the map on which sympy proves what holds for a mean over positions
AT = (1, CHANNEL, 2, 3)  # image, channel, row, column of the neuron that the numbers are about


def half_tanh(logit: sp.Expr) -> sp.Expr:
    """The sigmoid: half a hyperbolic tangent, raised by one half."""
    return (1 + sp.tanh(logit / 2)).rewrite(sp.exp) / 2


def unknown(name: str) -> Any:
    return sp.Function(name, real=True)


def rectified(value: sp.Expr) -> sp.Expr:
    return (value + sp.Abs(value)) / 2


def looked_up(table: list[tuple[float, float]]) -> Callable[..., float]:
    """A function that is known at a few points only; elsewhere it is not a number."""

    def function(*point: float) -> float:
        found = [value for *known, value in table if np.allclose(known, point, rtol=1e-9, atol=0)]
        return found[0] if found else math.nan

    return function


def random_module(module: nn.Module, generator: np.random.Generator) -> Any:
    """The module in float64 and evaluation, with all its weights drawn anew."""
    module = module.double().eval().requires_grad_(False)
    for key, value in module.state_dict().items():
        if value.is_floating_point():
            drawn = torch.from_numpy(generator.normal(size=tuple(value.shape)))
            value.copy_(drawn.abs() + 0.5 if key.endswith("running_var") else drawn)
    return module


def random_maps(generator: np.random.Generator) -> torch.Tensor:
    return torch.from_numpy(generator.normal(size=(2, CHANNELS, 4, 5)))


def by_numpy(module: Any, pooled: np.ndarray) -> np.ndarray:
    """What the two linear layers make of one pooled value a channel."""
    first, second = (layer.weight.detach().numpy() for layer in (module.reduce, module.expand))
    return np.maximum(pooled @ first.T, 0) @ second.T


def only_one_path(module: Any) -> tuple[float, float]:
    """Set all weights of both linear layers to zero but those that join one channel and one unit."""
    first, second = module.reduce.weight.data, module.expand.weight.data
    kept = float(first[UNIT, CHANNEL]), float(second[CHANNEL, UNIT])
    first.zero_()
    second.zero_()
    first[UNIT, CHANNEL], second[CHANNEL, UNIT] = kept
    return kept


def of_a_channel(generator: np.random.Generator) -> dict[str, Any]:
    """A random channel with all of its neurons in x, and its mean by torch."""
    point = random_channel(generator)
    channel = torch.from_numpy(np.append(point["x"], point["t"]))
    return {"x": channel.numpy(), "M": channel.numel(), "mu": float(channel.mean())}


def one_hidden_unit(generator: np.random.Generator) -> dict[str, Any]:
    """The two linear layers of SE with one path through them."""
    module = random_module(SqueezeExcite(CHANNELS), generator)
    first, second = only_one_path(module)
    pooled = torch.from_numpy(generator.normal(size=CHANNELS))
    with torch.no_grad():
        logit = float(module.expand(functional.relu(module.reduce(pooled)))[CHANNEL])
    return {
        "mu": float(pooled[CHANNEL]),
        "W_1": first,
        "W_2": second,
        "f": lambda _: logit,
        "relu": lambda value: max(value, 0.0),
    }


def of_squeeze_excite(generator: np.random.Generator) -> dict[str, Any]:
    """A neuron, what SE makes of it, and the logit of its channel by numpy."""
    module, maps = random_module(SqueezeExcite(CHANNELS), generator), random_maps(generator)
    pooled = maps.numpy().mean(axis=(2, 3))
    logit = by_numpy(module, pooled)[AT[:2]]
    mean = float(pooled[AT[:2]])
    f = looked_up([(mean, logit)])
    return {"x": float(maps[AT]), "mu": mean, "f": f, "y": float(module(maps)[AT])}


def of_cbam(generator: np.random.Generator) -> dict[str, Any]:
    """A neuron, what CBAM makes of it in two steps, and both ways of pooling by numpy."""
    module, maps = random_module(CBAM(CHANNELS), generator), random_maps(generator)
    y = float(module(maps)[AT])
    scale, shift = module.norm.weight.data, module.norm.bias.data
    kept = scale.clone(), shift.clone()
    scale.zero_()
    shift.fill_(60.0)  # the gain of every position is one, so only that of the channels is left
    between = module(maps).detach()
    scale.copy_(kept[0])
    shift.copy_(kept[1])
    mean, largest = maps.numpy().mean(axis=(2, 3)), maps.numpy().max(axis=(2, 3))
    pooled = torch.stack((between.amax(dim=1), between.mean(dim=1)), dim=1)
    with torch.no_grad():
        filtered = functional.conv2d(pooled, module.conv.weight, padding="same")
        normed = module.norm(filtered)
    here = (AT[0], 0, *AT[2:])
    largest_between, mean_between = float(pooled[here]), float(pooled[AT[0], 1, AT[2], AT[3]])
    table = [(float(v[AT[:2]]), float(by_numpy(module, v)[AT[:2]])) for v in (mean, largest)]
    return {
        "x": float(maps[AT]),
        "mu": table[0][0],
        "x_max": table[1][0],
        "f": looked_up(table),
        "x'": float(between[AT]),
        "x_max'": largest_between,
        "mu'": mean_between,
        "K": looked_up([(largest_between, mean_between, float(filtered[here]))]),
        "norm": looked_up([(float(filtered[here]), float(normed[here]))]),
        "y": y,
    }


def of_eca(generator: np.random.Generator) -> dict[str, Any]:
    """A neuron, what ECA makes of it, the kernel, and the means of three neighboring channels."""
    module, maps = random_module(ECA(CHANNELS), generator), random_maps(generator)
    means = maps.numpy().mean(axis=(2, 3))[AT[0]]
    kernel = module.conv.weight.detach().numpy().ravel()
    names = ("mu_j-1", "mu_j", "mu_j+1")
    return {
        "x": float(maps[AT]),
        "y": float(module(maps)[AT]),
        **{f"k_{i + 1}": float(kernel[i]) for i in range(3)},
        **{name: float(means[CHANNEL + i - 1]) for i, name in enumerate(names)},
    }


def nearest_odd(number: float) -> int:
    """The odd number next to another, the larger of two."""
    return max((k for k in range(1, 99, 2)), key=lambda k: (-abs(k - number), k))


def kernel_is_the_nearest_odd(sides: tuple[Any, ...]) -> bool:
    """Whether the right side is the paper's kernel for every number of channels up to 4,096."""
    kernel = sp.lambdify(symbol("C"), sides[1], [{"floor": math.floor, "log_2": math.log2}])
    return sides[0] == symbol("k") and all(
        kernel(c) == nearest_odd(abs(math.log2(c) / 2 + 1 / 2)) for c in range(1, 4097)
    )


def a_kernel(generator: np.random.Generator) -> dict[str, Any]:
    channels = int(generator.integers(1, 3000))
    size = ECA(channels).conv.weight.numel()
    return {"C": channels, "k": size, "floor": np.floor, "log_2": np.log2}


def over_positions(summand: sp.Expr) -> sp.Expr:
    """The mean over a map of three positions, each with its own value and logit."""
    values = [{x: symbol(f"x_{i}"), symbol("theta"): symbol(f"theta_{i}")} for i in range(POSITIONS)]
    return sum(summand.subs(at) for at in values) / POSITIONS


# The weighted mean, position by position: each weight is one over a sum of powers of differences.
POOLED = sum(
    symbol(f"x_{i}") / sum(sp.exp(symbol(f"theta_{j}") - symbol(f"theta_{i}")) for j in range(POSITIONS))
    for i in range(POSITIONS)
)


def same_rational(sides: tuple[Any, ...]) -> bool:
    """Whether both sides are one rational function of the powers of e, which sympy decides quickly."""
    difference = sp.expand(sides[0] - sides[1], power_exp=True)
    powers = {
        sp.exp(sign * symbol(f"theta_{i}")): symbol(f"E_{i}") ** sign
        for i in range(POSITIONS)
        for sign in (1, -1)
    }
    return bool(sp.cancel(sp.together(difference.xreplace(powers))) == 0)


def of_pooling(generator: np.random.Generator) -> dict[str, Any]:
    """What GC pools from a map, by the module; a mean over the map is known for the right map only."""
    module, maps = random_module(GlobalContext(CHANNELS), generator), random_maps(generator)
    image = maps[AT[0]].numpy()
    logits = np.tensordot(module.key.weight[0].detach().numpy(), image, axes=1)
    powers, value = np.exp(logits), image[CHANNEL]
    seen: list[torch.Tensor] = []
    module.reduce.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    module(maps)
    here = AT[2:]
    table = [
        (float(powers[here] * value[here]), float((powers * value).mean())),
        (float(powers[here]), float(powers.mean())),
    ]
    return {
        "x": float(value[here]),
        "theta": float(logits[here]),
        "v": float(seen[0][AT[:2]]),
        "mean": looked_up(table),
    }


def of_global_context(generator: np.random.Generator) -> dict[str, Any]:
    """A neuron, what GC makes of it with one path through its linear layers, and its layer norm by numpy."""
    module, maps = random_module(GlobalContext(CHANNELS, min_hidden=4), generator), random_maps(generator)
    first, second = only_one_path(module)
    image = maps[AT[0]].numpy().reshape(CHANNELS, -1)
    powers = np.exp(module.key.weight[0].detach().numpy() @ image)
    pooled = float(image[CHANNEL] @ powers / powers.sum())
    hidden = np.zeros(4)
    hidden[UNIT] = first * pooled
    spread = math.sqrt(hidden.var() + module.norm.eps)
    scale, shift = float(module.norm.weight[UNIT]), float(module.norm.bias[UNIT])
    normed = (hidden[UNIT] - hidden.mean()) / spread * scale + shift
    return {
        "x": float(maps[AT]),
        "v": pooled,
        "W_1": first,
        "W_2": second,
        "norm": looked_up([(hidden[UNIT], normed)]),
        "relu": lambda value: max(value, 0.0),
        "c": float((module(maps) - maps)[AT]),
        "y": float(module(maps)[AT]),
    }


def of_parameters(generator: np.random.Generator) -> dict[str, Any]:
    """The parameters of each module, counted, for a random number of channels and a random reduction."""
    channels, r = int(generator.integers(16, 2000)), int(generator.integers(2, 8))
    k = ECA(channels).conv.weight.numel()
    options: dict[str, dict[str, float]] = {
        "se": {"reduction": r},
        "cbam": {"reduction": r, "kernel_size": k},
        "eca": {},
        "gc": {"reduction": r},
    }
    counts = {
        f"P_{name.upper()}": sum(p.numel() for p in attention_factory(name, **own)(channels).parameters())
        for name, own in options.items()
    }
    return {"C": channels, "h": max(channels // r, 4), "k": k, **counts}


W_1, W_2 = symbol("W_1"), symbol("W_2")
C, h, k = symbol("C"), symbol("h"), symbol("k")
RECTIFY = {"relu": lambda value: sp.Max(value, 0).rewrite(sp.Abs)}
NORMED = unknown("norm")
CONTEXT = W_2 * rectified(NORMED(W_1 * v))

EQUATIONS = (
    Equation("eq-squeeze", of_a_channel, {"mu": MU}),
    Equation(
        "eq-bottleneck",
        one_hidden_unit,
        functions={"f": lambda value: W_2 * rectified(W_1 * value), **RECTIFY},
    ),
    Equation("eq-se", of_squeeze_excite, {"y": x * half_tanh(unknown("f")(mu))}, {"f": unknown("f")}),
    Equation(
        "eq-cbam-channels",
        of_cbam,
        {"x'": x * half_tanh(unknown("f")(mu) + unknown("f")(symbol("x_max")))},
        {"f": unknown("f")},
    ),
    Equation(
        "eq-cbam-positions",
        of_cbam,
        {"y": symbol("x'") * half_tanh(NORMED(unknown("K")(symbol("x_max'"), symbol("mu'"))))},
        {"norm": NORMED, "K": unknown("K")},
    ),
    Equation(
        "eq-eca",
        of_eca,
        {
            "y": x
            * half_tanh(
                sum(
                    symbol(f"k_{i + 1}") * symbol(name) for i, name in enumerate(("mu_j-1", "mu_j", "mu_j+1"))
                )
            )
        },
    ),
    Equation(
        "eq-eca-kernel",
        a_kernel,
        functions={"floor": sp.Function("floor"), "log_2": sp.Function("log_2")},
        proof=kernel_is_the_nearest_odd,
    ),
    Equation("eq-gc-pool", of_pooling, {"v": POOLED}, {"mean": over_positions}, proof=same_rational),
    Equation("eq-gc", of_global_context, {"y": x + CONTEXT, "c": CONTEXT}, {"norm": NORMED, **RECTIFY}),
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
