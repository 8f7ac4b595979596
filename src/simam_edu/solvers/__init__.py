r"""The least energy of a neuron by linear algebra, scipy and gradient descent.

These functions know nothing of the closed form of :mod:`simam_edu.energy`. They see the
energy of Eq. (2), its gradient and its Hessian, and so they can tell whether it is
right. In every function ``t`` is the target neuron, labelled +1, ``others`` are the
:math:`M-1` other neurons, labelled -1, and ``lam`` is the penalty :math:`\lambda \ge
0`. A ``ValueError`` names an argument that is not finite or out of its range; all but
gradient, Hessian and :func:`descend_stochastically` also refuse a ``lam`` of 0 where
all neurons are equal: no minimum is unique there.

Far from zero the determinant of the Hessian is the small difference of two large
numbers. With :math:`x' = (x - c)/\alpha`, however,

.. math::

    e_t(w, b;\, t, x, \lambda) = e_t(w \alpha,\; b + w c;\; t', x', \lambda / \alpha^2),

so the solvers work in coordinates in which the neurons lie around zero and within -1 and
1, and hand their result back in the original ones. :func:`descend` does not: there the
condition number is the subject.
"""

from simam_edu.solvers.minimize import (
    condition_number,
    descend,
    largest_stable_step,
    solve_bfgs,
    solve_linear,
    solve_newton,
)
from simam_edu.solvers.problem import Fit, energy_gradient, energy_hessian
from simam_edu.solvers.stochastic import (
    descend_stochastically,
    expected_excess,
    largest_mean_square_step,
    noise_floor,
)

__all__ = [
    "Fit",
    "condition_number",
    "descend",
    "descend_stochastically",
    "energy_gradient",
    "energy_hessian",
    "expected_excess",
    "largest_mean_square_step",
    "largest_stable_step",
    "noise_floor",
    "solve_bfgs",
    "solve_linear",
    "solve_newton",
]
