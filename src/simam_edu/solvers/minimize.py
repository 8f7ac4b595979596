"""The minimum by linear algebra and by scipy's minimizers."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from scipy import optimize

from simam_edu.solvers.problem import Fit, Problem, standardize


def solve_linear(t: float, others: Float[np.ndarray, "m"], *, lam: float) -> Fit:
    r"""Find the minimum by setting the gradient to zero: two linear equations in two unknowns.

    .. math:: A \begin{pmatrix} w_t \\ b_t \end{pmatrix} = -\nabla e_t(0, 0)

    Args:
        t: The target neuron, labelled +1.
        others: The :math:`M-1` other neurons, labelled -1.
        lam: The weight :math:`\lambda \ge 0` of the penalty.

    Raises:
        ValueError: As for :func:`energy_gradient`, or if the minimum is not unique.
    """
    problem = standardize(t, others, lam)
    solution = np.linalg.solve(problem.hessian(), -problem.gradient(np.zeros(2)))
    return problem.fit(solution, iterations=0, evaluations=2, converged=True, path=None)


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
    return _minimize(standardize(t, others, lam), "trust-exact", options)


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
    return _minimize(standardize(t, others, lam), "BFGS", {"gtol": tolerance})


def _minimize(problem: Problem, method: str, options: dict[str, float]) -> Fit:
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
        result.x,
        iterations=int(result.nit),
        evaluations=int(result.nfev + result.njev + result.get("nhev", 0)),
        converged=bool(result.success),
        path=np.array(path),
    )
