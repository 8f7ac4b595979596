r"""The least energy of one neuron found by numbers: linear algebra, scipy and plain gradient descent.

The closed form of :mod:`simam_edu.energy` needs no solver. These functions know nothing of it. They
see the energy of Eq. (2), its gradient and its Hessian, all computed from the neurons themselves, and
so they can tell whether the closed form is right.

The energy does not change when every value is shifted and scaled together: with
:math:`x' = (x - c)/s`,

.. math::

    e_t(w, b;\, t, x, \lambda) = e_t(w s,\; b + w c;\; t', x', \lambda / s^2).

Far from zero the two columns of the fit, the values and the constant one, are almost parallel. The
determinant of the Hessian is then the small difference of two large numbers, which cancels twice as
many digits as the distance from zero has. :func:`solve_linear`, :func:`solve_newton` and
:func:`solve_bfgs` therefore work in coordinates in which the neurons lie around zero and within -1
and 1, and hand their result back in the original ones. :func:`descend` does not:
there the condition number is the subject.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy import optimize

from simam_edu.energy import neuron_energy

_FAR = 1e100  # a diverging descent is stopped here, before its squares overflow


@dataclass(frozen=True, kw_only=True)
class Fit:
    """A weight and bias for one neuron, and how they were found.

    Attributes:
        w: The weight.
        b: The bias.
        energy: The energy there, at least 0. It is computed in the coordinates of the solver, which
            lose fewer digits than the original ones.
        iterations: Steps taken; 0 for the linear solve, which is direct.
        converged: Whether the solver met its tolerance.
        path: Every (w, b) on the way, the start included; None for the linear solve.
    """

    w: float
    b: float
    energy: float
    iterations: int
    converged: bool
    path: Float[np.ndarray, "steps 2"] | None


def energy_gradient(
    w: float, b: float, t: float, others: Float[np.ndarray, "m"], *, lam: float
) -> Float[np.ndarray, "2"]:
    r"""Return the gradient of the energy in the weight and the bias.

    .. math::

        \frac{\partial e_t}{\partial w} = \frac{2}{M-1} \sum_i (w x_i + b + 1) x_i + 2 (w t + b - 1) t
        + 2 \lambda w, \qquad
        \frac{\partial e_t}{\partial b} = \frac{2}{M-1} \sum_i (w x_i + b + 1) + 2 (w t + b - 1)

    Args:
        w: The weight.
        b: The bias.
        t: The target neuron, labelled +1.
        others: The :math:`M-1` other neurons, labelled -1.
        lam: The weight :math:`\lambda \ge 0` of the penalty.

    Raises:
        ValueError: If a neuron or ``lam`` is not finite, ``lam`` is negative, or there are no others.
    """
    t, others = _check(t, others, lam)
    miss_of_others = w * others + b + 1.0  # (m,)
    miss_of_target = w * t + b - 1.0
    by_weight = np.mean(miss_of_others * others) + miss_of_target * t + lam * w
    return 2.0 * np.array([by_weight, np.mean(miss_of_others) + miss_of_target])


def energy_hessian(t: float, others: Float[np.ndarray, "m"], *, lam: float) -> Float[np.ndarray, "2 2"]:
    r"""Return the second derivatives of the energy, which are the same for every weight and bias.

    .. math::

        H = 2 \begin{pmatrix}
            \frac{1}{M-1} \sum_i x_i^2 + t^2 + \lambda & \frac{1}{M-1} \sum_i x_i + t \\
            \frac{1}{M-1} \sum_i x_i + t & 2
        \end{pmatrix}

    Args:
        t: The target neuron.
        others: The :math:`M-1` other neurons.
        lam: The weight :math:`\lambda \ge 0` of the penalty.

    Raises:
        ValueError: As for :func:`energy_gradient`.
    """
    t, others = _check(t, others, lam)
    mixed = np.mean(others) + t
    return 2.0 * np.array([[np.mean(others**2) + t**2 + lam, mixed], [mixed, 2.0]])


def largest_stable_step(t: float, others: Float[np.ndarray, "m"], *, lam: float) -> float:
    r"""Return :math:`2/L`, the step size at which gradient descent stops converging.

    :math:`L` is the larger eigenvalue of the Hessian. Along its eigenvector a step of size
    :math:`\eta` multiplies the error by :math:`1 - \eta L`, which is below -1 from :math:`2/L` on.

    Args:
        t: The target neuron.
        others: The :math:`M-1` other neurons.
        lam: The weight :math:`\lambda \ge 0` of the penalty.

    Raises:
        ValueError: As for :func:`energy_gradient`, or if the minimum is not unique.
    """
    return 2.0 / _curvatures(t, others, lam)[1]


def condition_number(t: float, others: Float[np.ndarray, "m"], *, lam: float) -> float:
    r"""Return :math:`\kappa = L / \ell`, the ratio of the Hessian's eigenvalues, at least 1.

    It is how many times steeper the energy is in one direction than in the other, and it decides how
    many steps gradient descent takes.

    Args:
        t: The target neuron.
        others: The :math:`M-1` other neurons.
        lam: The weight :math:`\lambda \ge 0` of the penalty.

    Raises:
        ValueError: As for :func:`energy_gradient`, or if the minimum is not unique.
    """
    small, large = _curvatures(t, others, lam)
    return large / small


def solve_linear(t: float, others: Float[np.ndarray, "m"], *, lam: float) -> Fit:
    r"""Find the minimum by setting the gradient to zero: two linear equations in two unknowns.

    .. math:: H \begin{pmatrix} w_t \\ b_t \end{pmatrix} = -\nabla e_t(0, 0)

    Args:
        t: The target neuron, labelled +1.
        others: The :math:`M-1` other neurons, labelled -1.
        lam: The weight :math:`\lambda \ge 0` of the penalty.

    Raises:
        ValueError: As for :func:`energy_gradient`, or if the minimum is not unique.
    """
    problem = _standardize(t, others, lam)
    solution = np.linalg.solve(problem.hessian(), -problem.gradient(np.zeros(2)))
    return problem.fit(solution, iterations=0, converged=True, path=None)


def solve_newton(t: float, others: Float[np.ndarray, "m"], *, lam: float, tolerance: float = 1e-12) -> Fit:
    """Find the minimum by scipy's Newton method in a trust region, with gradient and Hessian given.

    The energy is quadratic, so one Newton step reaches the minimum. The trust region starts wide enough
    not to cut it short.

    Args:
        t: The target neuron, labelled +1.
        others: The :math:`M-1` other neurons, labelled -1.
        lam: The weight of the penalty, at least 0.
        tolerance: The length of the gradient at which to stop. The default is about the rounding error
            of the gradient times a thousand.

    Raises:
        ValueError: As for :func:`solve_linear`.
    """
    options = {"gtol": tolerance, "initial_trust_radius": 100.0, "max_trust_radius": 1e4}
    return _minimize(_standardize(t, others, lam), "trust-exact", options)


def solve_bfgs(t: float, others: Float[np.ndarray, "m"], *, lam: float, tolerance: float = 1e-8) -> Fit:
    """Find the minimum by scipy's BFGS method, which learns the Hessian from the gradients it sees.

    Args:
        t: The target neuron, labelled +1.
        others: The :math:`M-1` other neurons, labelled -1.
        lam: The weight of the penalty, at least 0.
        tolerance: The length of the gradient at which to stop. The default is the least at which the
            line search still sees the energy fall: energies have half as many good digits here as gradients.

    Raises:
        ValueError: As for :func:`solve_linear`.
    """
    return _minimize(_standardize(t, others, lam), "BFGS", {"gtol": tolerance})


def descend(
    t: float,
    others: Float[np.ndarray, "m"],
    *,
    lam: float,
    step: float | None = None,
    start: tuple[float, float] = (0.0, 0.0),
    max_iterations: int = 10_000,
    tolerance: float = 1e-8,
) -> Fit:
    r"""Find the minimum by plain gradient descent, in the coordinates as given.

    .. math:: (w, b) \leftarrow (w, b) - \eta\, \nabla e_t(w, b)

    Args:
        t: The target neuron, labelled +1.
        others: The :math:`M-1` other neurons, labelled -1.
        lam: The weight :math:`\lambda \ge 0` of the penalty.
        step: The step size :math:`\eta > 0`. By default :math:`2/(L + \ell)`, the fixed step that is
            fastest: it shrinks the error by :math:`(\kappa - 1)/(\kappa + 1)` each time.
        start: The weight and bias to begin with; the default fits every neuron with 0.
        max_iterations: Steps after which to give up.
        tolerance: By which factor the length of the gradient must have shrunk.

    Returns:
        The fit; not converged if it ran out of steps or diverged.

    Raises:
        ValueError: As for :func:`solve_linear`, or if ``step``, ``tolerance`` or ``max_iterations`` is not
            positive, or ``start`` not finite.
    """
    small, large = _curvatures(t, others, lam)
    step = 2.0 / (small + large) if step is None else step
    _check_descent(step, start, max_iterations, tolerance)
    hessian = energy_hessian(t, others, lam=lam)
    slope_at_zero = energy_gradient(0.0, 0.0, t, others, lam=lam)
    point = np.array(start, dtype=np.float64)
    path, gradient = [point], hessian @ point + slope_at_zero
    enough = tolerance * math.hypot(*gradient)
    while math.hypot(*gradient) > enough and len(path) <= max_iterations and np.abs(point).max() < _FAR:
        point = point - step * gradient
        path.append(point)
        gradient = hessian @ point + slope_at_zero
    w, b = point
    return Fit(
        w=float(w),
        b=float(b),
        energy=float(neuron_energy(w, b, t, others, lam=lam)),
        iterations=len(path) - 1,
        converged=math.hypot(*gradient) <= enough,
        path=np.array(path),
    )


@dataclass(frozen=True, kw_only=True)
class _Problem:
    """The energy of one neuron in shifted and scaled coordinates."""

    t: float
    others: Float[np.ndarray, "m"]
    lam: float
    center: float
    scale: float

    def energy(self, point: Float[np.ndarray, "2"]) -> float:
        return float(neuron_energy(point[0], point[1], self.t, self.others, lam=self.lam))

    def gradient(self, point: Float[np.ndarray, "2"]) -> Float[np.ndarray, "2"]:
        return energy_gradient(point[0], point[1], self.t, self.others, lam=self.lam)

    def hessian(self) -> Float[np.ndarray, "2 2"]:
        return energy_hessian(self.t, self.others, lam=self.lam)

    def original(self, points: Float[np.ndarray, "*lead 2"]) -> Float[np.ndarray, "*lead 2"]:
        """Return weights and biases in the original coordinates."""
        weights = points[..., 0] / self.scale
        return np.stack([weights, points[..., 1] - weights * self.center], axis=-1)

    def fit(
        self,
        point: Float[np.ndarray, "2"],
        *,
        iterations: int,
        converged: bool,
        path: Float[np.ndarray, "steps 2"] | None,
    ) -> Fit:
        w, b = self.original(point)
        return Fit(
            w=float(w),
            b=float(b),
            energy=self.energy(point),
            iterations=iterations,
            converged=converged,
            path=None if path is None else self.original(path),
        )


def _standardize(t: float, others: Float[np.ndarray, "m"], lam: float) -> _Problem:
    """Shift the channel to its mean and scale it, and the penalty's root, to at most 1."""
    t, others = _check(t, others, lam)
    from_target = others - t  # exactly 0 where a neuron equals the target
    shift = float(np.mean(np.append(from_target, 0.0)))
    others = from_target - shift
    scale = max(abs(shift), float(np.abs(others).max()), math.sqrt(lam))
    _check_unique(scale)
    lam = (math.sqrt(lam) / scale) ** 2  # in this order neither overflows nor vanishes
    return _Problem(t=-shift / scale, others=others / scale, lam=lam, center=t + shift, scale=scale)


def _minimize(problem: _Problem, method: str, options: dict[str, float]) -> Fit:
    path = [np.zeros(2)]
    hessian: Callable[[np.ndarray], np.ndarray] | None = None
    if method != "BFGS":
        hessian = lambda _point: problem.hessian()  # noqa: E731
    result = optimize.minimize(
        problem.energy,
        path[0],
        jac=problem.gradient,
        hess=hessian,
        method=method,
        options=options,
        callback=lambda point: path.append(point.copy()),
    )
    return problem.fit(
        result.x, iterations=int(result.nit), converged=bool(result.success), path=np.array(path)
    )


def _curvatures(t: float, others: Float[np.ndarray, "m"], lam: float) -> tuple[float, float]:
    r"""Return the eigenvalues of the Hessian, the smaller first.

    The smaller one comes from the determinant, which the shifted coordinates leave as it is up to
    the scale; an eigenvalue routine loses it to rounding from a condition number of about 1e16 on.
    """
    problem = _standardize(t, others, lam)
    hessian = energy_hessian(t, others, lam=lam)
    large = float(np.linalg.eigvalsh(hessian)[1])
    shifted = problem.hessian()
    determinant = shifted[0, 0] * shifted[1, 1] - shifted[0, 1] ** 2
    return float(determinant * problem.scale**2 / large), large


def _check(t: ArrayLike, others: ArrayLike, lam: float) -> tuple[float, Float[np.ndarray, "m"]]:
    if not (np.isfinite(lam) and lam >= 0):
        raise ValueError(f"lam must be a finite number of at least 0, got {lam!r}; the paper uses 1e-4")
    others = np.asarray(others, dtype=np.float64)
    if others.ndim != 1 or others.size == 0:
        raise ValueError(
            f"others must be a line of at least one neuron, got shape {others.shape}; "
            "flatten the map and leave the target out"
        )
    if np.ndim(t) != 0:
        raise ValueError(f"t must be one neuron, got shape {np.shape(t)}; fit the neurons one at a time")
    t = float(np.asarray(t))
    if not (math.isfinite(t) and np.all(np.isfinite(others))):
        raise ValueError("t and others must be finite, got nan or inf; look for it with numpy.isfinite")
    return t, others


def _check_unique(scale: float) -> None:
    if scale == 0:
        raise ValueError(
            "lam must be positive where t equals every other neuron, got lam = 0; "
            "there every weight gives the same energy and no minimum is unique"
        )


def _check_descent(step: float, start: tuple[float, float], max_iterations: int, tolerance: float) -> None:
    for name, value, advice in (
        ("step", step, "steps below largest_stable_step(...) converge"),
        ("tolerance", tolerance, "1e-8 is the default"),
        ("max_iterations", max_iterations, "10,000 is the default"),
    ):
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f"{name} must be positive and finite, got {value!r}; {advice}")
    if np.shape(start) != (2,) or not np.all(np.isfinite(start)):
        raise ValueError(f"start must be a finite weight and bias, got {start!r}; (0.0, 0.0) is the default")
