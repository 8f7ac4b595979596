"""The equations on the shapes of gates: products against CBAM, full rank against determinants of SimAM."""

from typing import Any

import numpy as np
import sympy as sp

from equations import Equation, symbol
from equations.modules import of_cbam
from simam_edu import energy

k, determinant = symbol("k"), symbol("det g")
HIGH, LOW = symbol("g_11"), symbol("g_12")
LOGS = {name: symbol(f"log {name}") for name in ("U_1", "U_2", "V_1", "V_2", "U_j", "V_i")}


def product(channel: str, position: str) -> sp.Expr:
    """The gain of a product of gates, which are positive, by their logarithms."""
    return sp.exp(LOGS[channel]) * sp.exp(LOGS[position])


def gates_of_cbam(generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The gains of a random CBAM on one image, its channel gate at one position, and its position gate in one
    channel."""
    point = of_cbam(generator)
    gains = (point["y"] / point["x"])[0]
    channels, positions = (point["x'"] / point["x"])[0, :, 0, 0], (point["y"] / point["x'"])[0, 0]
    return gains.reshape(len(gains), -1), channels, positions.ravel()


def of_a_product(generator: np.random.Generator) -> dict[str, Any]:
    """Each gain of CBAM, and the numbers of its two gates."""
    gains, channels, positions = gates_of_cbam(generator)
    return {
        "g_ji": gains,
        "U_j": np.repeat(channels[:, None], len(positions), axis=1),
        "V_i": np.repeat(positions[None], len(channels), axis=0),
    }


def of_four_gains(generator: np.random.Generator) -> dict[str, Any]:
    """The gains of CBAM at two positions of two channels."""
    gains, *_ = gates_of_cbam(generator)
    return {f"g_{j + 1}{i + 1}": gains[j, i] for j in (0, 1) for i in (0, 1)}


def of_single_neurons(generator: np.random.Generator) -> dict[str, Any]:
    """The gains of SimAM where in each of k channels another neuron stands out, and their determinant."""
    size = int(generator.integers(2, 6))
    maps = np.eye(size, size + int(generator.integers(1, 6)))  # channels in rows, at least three positions
    gains = energy.gain(maps[:, None], lam=float(generator.uniform(0, 0.1)))[:, 0, :size]
    return {"k": size, "g_11": gains[0, 0], "g_12": gains[0, 1], "det g": np.linalg.det(gains)}


def equal_for_each_size(sides: tuple[Any, ...]) -> bool:
    """Whether both sides are equal for the tables of two to five channels, their determinants by sympy."""
    tables = [(size, sp.Matrix(size, size, lambda j, i: HIGH if i == j else LOW)) for size in range(2, 6)]
    return all(
        sp.expand((sides[0] - sides[1]).subs({determinant: table.det(), k: size})) == 0
        for size, table in tables
    )


EQUATIONS = (
    Equation(
        "eq-log-additive",
        of_a_product,
        {"g_ji": product("U_j", "V_i"), "U_j": sp.exp(LOGS["U_j"]), "V_i": sp.exp(LOGS["V_i"])},
    ),
    Equation(
        "eq-minor",
        of_four_gains,
        {f"g_{j}{i}": product(f"U_{j}", f"V_{i}") for j in (1, 2) for i in (1, 2)},
    ),
    Equation("eq-full-rank", of_single_neurons, proof=equal_for_each_size),
)
