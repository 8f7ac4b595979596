"""The energy of one neuron as a solver sees it, and coordinates to solve in."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from simam_edu.arguments import check_lam, check_number
from simam_edu.energy import neuron_energy

Point = Float[np.ndarray, "2"]


@dataclass(frozen=True, kw_only=True)
class Fit:
    """A weight and bias for one neuron, and how they were found.

    Attributes:
        w: The weight.
        b: The bias.
        energy: The energy there, at least 0, computed in the coordinates of the solver.
        iterations: Steps taken; 0 for the linear solve, which is direct.
        evaluations: How often the method asks for the energy, its gradient or its
            Hessian. Each is a sum over the channel, but for :func:`descend`, which takes
            every gradient from two sums.
        converged: Whether the solver met its tolerance.
        path: Every (w, b) on the way, the start included; None for the linear solve.
    """

    w: float
    b: float
    energy: float
    iterations: int
    evaluations: int
    converged: bool
    path: Float[np.ndarray, "steps 2"] | None


@dataclass(frozen=True, kw_only=True)
class Problem:
    """The energy of one neuron, in coordinates of its own: (x - center) / scale."""

    t: float
    others: Float[np.ndarray, "m"]
    lam: float
    center: float = 0.0
    scale: float = 1.0

    def energy(self, point: Point) -> float:
        """Return the energy at a point."""
        return float(neuron_energy(point[0], point[1], self.t, self.others, lam=self.lam))

    def gradient(self, point: Point) -> Point:
        """Return the gradient of the energy at a point."""
        w, b = point
        residuals = w * self.others + b + 1.0  # (m,)
        of_target = w * self.t + b - 1.0
        by_weight = np.mean(residuals * self.others) + of_target * self.t + self.lam * w
        return 2.0 * np.array([by_weight, np.mean(residuals) + of_target])

    def hessian(self) -> Float[np.ndarray, "2 2"]:
        """Return the Hessian, the same at every point."""
        mixed = np.mean(self.others) + self.t
        by_weight = np.mean(self.others**2) + self.t**2 + self.lam
        return 2.0 * np.array([[by_weight, mixed], [mixed, 2.0]])

    def fit(self, point: Point, path: list[Point] | None, **how: Any) -> Fit:
        """Return what was found, and how, in the original coordinates."""
        w, b = map(float, self._original(point))
        original = None if path is None else self._original(np.array(path))
        return Fit(w=w, b=b, energy=self.energy(point), path=original, **how)

    def _original(self, points: Float[np.ndarray, "*lead 2"]) -> Float[np.ndarray, "*lead 2"]:
        weights = points[..., 0] / self.scale
        return np.stack([weights, points[..., 1] - weights * self.center], axis=-1)


def as_given(t: float, others: Float[np.ndarray, "m"], lam: float) -> Problem:
    """Return the problem in float64, once target and others are known to be a channel."""
    t = check_number("t", t, why="fit the neurons one at a time")
    others = np.asarray(others, dtype=np.float64)
    if others.ndim != 1 or others.size == 0 or not np.all(np.isfinite(others)):
        raise ValueError(
            f"others must be a line of at least one finite number, got {others}; "
            "flatten the map and leave the target out"
        )
    return Problem(t=t, others=others, lam=check_lam(lam))


def standardized(given: Problem) -> Problem:
    """Shift the channel to its mean and scale it, and the root of lam, to at most 1."""
    from_target = given.others - given.t  # exactly 0 where a neuron equals the target
    shift = float(np.mean(np.append(from_target, 0.0)))
    others = from_target - shift
    scale = max(abs(shift), float(np.abs(others).max()), math.sqrt(given.lam))
    if scale == 0:
        raise ValueError(
            "lam must be positive where t equals every other neuron, got lam = 0; "
            "there every weight gives the same energy and no minimum is unique"
        )
    lam = (math.sqrt(given.lam) / scale) ** 2  # in this order neither overflows nor vanishes
    center = given.t + shift
    return Problem(t=-shift / scale, others=others / scale, lam=lam, center=center, scale=scale)


def energy_gradient(w: float, b: float, t: float, others: Float[np.ndarray, "m"], *, lam: float) -> Point:
    r"""Return the gradient of the energy in the weight w and the bias b.

    .. math::

        \frac{\partial e_t}{\partial w} = \frac{2}{M-1} \sum_i (w x_i + b + 1) x_i + 2 (w t + b - 1) t
        + 2 \lambda w, \qquad
        \frac{\partial e_t}{\partial b} = \frac{2}{M-1} \sum_i (w x_i + b + 1) + 2 (w t + b - 1)

    >>> energy_gradient(0.0, 0.0, 4.0, np.array([0.0, 2.0]), lam=0.0)
    array([-6.,  0.])
    """
    w, b = (check_number(name, value, why="it is that of a line") for name, value in (("w", w), ("b", b)))
    return as_given(t, others, lam).gradient(np.array([w, b]))


def energy_hessian(t: float, others: Float[np.ndarray, "m"], *, lam: float) -> Float[np.ndarray, "2 2"]:
    r"""Return the second derivatives of the energy, the same for every weight and bias.

    .. math::

        H = 2 \begin{pmatrix}
            \frac{1}{M-1} \sum_i x_i^2 + t^2 + \lambda & \frac{1}{M-1} \sum_i x_i + t \\
            \frac{1}{M-1} \sum_i x_i + t & 2
        \end{pmatrix}

    >>> energy_hessian(4.0, np.array([0.0, 2.0]), lam=0.0)
    array([[36., 10.],
           [10.,  4.]])
    """
    return as_given(t, others, lam).hessian()
