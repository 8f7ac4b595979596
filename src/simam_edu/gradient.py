r"""The gradient of SimAM: derived with sympy for a channel of any size, and computed in numpy and float64.

:func:`derive` goes from the output of Eq. (6) of Yang, Zhang, Li and Xie, "SimAM: A Simple, Parameter-Free
Attention Module for Convolutional Neural Networks", ICML 2021, to the gradient, one named step after another.
:func:`simam_gradient` computes it and is the oracle for the gradients of the torch modules.

The symbols are constants of this module: the neurons ``x[i]`` of one channel, their number ``M``, mean ``mu``
and spread ``tau``, the root of the variance plus the penalty; their scores ``z[i]``, importances ``a[i]`` and
gains ``g[i]``; and the gradients that arrive at a neuron's output, ``y_bar[i]``, and at its importance,
``a_bar[i]``.
"""

import numpy as np
import sympy as sp
from jaxtyping import Float

from simam_edu import energy
from simam_edu.derivation import Step
from simam_edu.energy import DEFAULT_LAM, Statistics

M, i, j = sp.symbols("M i j", integer=True, positive=True)
mu = sp.Symbol("mu", real=True)
tau = sp.Symbol("tau", positive=True)
lam = sp.Symbol("lambda", nonnegative=True)
x, z, a, g = (sp.IndexedBase(name, real=True) for name in ("x", "zeta", "a", "g"))
x_bar, y_bar, a_bar = (sp.IndexedBase(rf"\bar{{{name}}}", real=True) for name in "xya")
LOSS = sp.Symbol("L")


def derive() -> dict[str, Step]:
    r"""Return every step from the output to the gradient, in order, for a symbolic number of neurons.

    The loss is any function of the outputs. Its derivatives by them, :math:`\bar y_i`, are what arrives, and
    to first order the loss is their product with the outputs.

    Returns:
        The steps by name: ``score``, ``importance`` and ``loss``; ``arriving``, the gradient at an
        importance; the paths ``direct``, ``deviation``, ``by_mean`` and ``by_spread``; ``mean_slope`` and
        ``spread_slope``; and ``gradient``.
    """
    score, importance = score_step(), importance_step()
    loss = loss_step()
    arriving = arriving_step(loss)
    direct, deviation = direct_step(loss), deviation_step(score, importance)
    by_mean = shared_step("by_mean", mu, score, importance)
    by_spread = shared_step("by_spread", tau, score, importance)
    slopes = mean_slope_step(), spread_slope_step()
    steps = [score, importance, loss, arriving, direct, deviation, by_mean, by_spread, *slopes]
    steps.append(gradient_step(direct, deviation, by_mean, by_spread, *slopes))
    return {step.name: step for step in steps}


def score_step() -> Step:
    """Write down the score, with the penalty counted into the spread."""
    return Step(
        name="score",
        statement="The score is the distance from the mean in units of the spread.",
        symbol=z[i],
        expression=(x[i] - mu) / tau,
    )


def importance_step() -> Step:
    """Write down the inverse of Eq. (5)."""
    return Step(
        name="importance",
        statement="The importance is one half plus a quarter of the squared score.",
        symbol=a[i],
        expression=sp.Rational(1, 2) + z[i] ** 2 / 4,
    )


def loss_step() -> Step:
    """Write down the loss to first order in the outputs of Eq. (6)."""
    return Step(
        name="loss",
        statement="To first order the loss is the outputs times what arrives at them.",
        symbol=LOSS,
        expression=sp.Sum(y_bar[i] * x[i] / (1 + sp.exp(-a[i])), (i, 1, M)),
    )


def arriving_step(loss: Step) -> Step:
    """Differentiate the loss by one importance."""
    return Step(
        name="arriving",
        statement="What arrives at an importance passes through the slope of the sigmoid.",
        symbol=a_bar[i],
        expression=_by_gain(sp.diff(loss.expression.function, a[i])),
    )


def direct_step(loss: Step) -> Step:
    """Differentiate the loss by one neuron, the gains held fixed."""
    return Step(
        name="direct",
        statement="The direct path: the input that is multiplied by the gain.",
        symbol=sp.Symbol(r"\text{direct}"),
        expression=_by_gain(sp.diff(loss.expression.function, x[i])).subs(i, j),
    )


def deviation_step(score: Step, importance: Step) -> Step:
    """Go through the neuron's own deviation, mean and spread held fixed."""
    return Step(
        name="deviation",
        statement="The neuron's own deviation, which its importance is made of.",
        symbol=sp.Symbol(r"\text{deviation}"),
        expression=(a_bar[i] * _slope(x[i], score, importance)).subs(i, j),
    )


def shared_step(name: str, of: sp.Symbol, score: Step, importance: Step) -> Step:
    """Differentiate the loss by the mean or the spread, through all importances."""
    constant, varying = (a_bar[i] * _slope(of, score, importance)).as_independent(i)
    return Step(
        name=name,
        statement="The mean and the spread are shared: every neuron takes part.",
        symbol=sp.Derivative(LOSS, of),
        expression=constant * sp.Sum(varying, (i, 1, M)),
    )


def mean_slope_step() -> Step:
    """Differentiate the mean by one neuron."""
    return Step(
        name="mean_slope",
        statement="The mean moves by one part in M.",
        symbol=sp.Derivative(mu, x[j]),
        expression=_of_the_channel(sp.diff(sp.Sum(x[i], (i, 1, M)) / M, x[j])),
    )


def spread_slope_step() -> Step:
    """Differentiate the root of variance plus penalty by one neuron; the sum of all is M times the mean."""
    total, squares = sp.Sum(x[i], (i, 1, M)), sp.Sum(x[i] ** 2, (i, 1, M))
    spread = sp.sqrt((squares - total**2 / M) / (M - 1) + lam)
    slope = _of_the_channel(sp.diff(spread, x[j]).subs(spread, tau).subs(total, M * mu))
    return Step(
        name="spread_slope",
        statement="The spread moves with the neuron's score; that the mean moves does not matter for it.",
        symbol=sp.Derivative(tau, x[j]),
        expression=sp.factor(slope.subs(x[j], mu + tau * z[j])),
    )


def gradient_step(
    direct: Step, deviation: Step, by_mean: Step, by_spread: Step, mean_slope: Step, spread_slope: Step
) -> Step:
    """Add up the four paths from one neuron to the loss."""
    through_mean = by_mean.expression * mean_slope.expression
    through_spread = by_spread.expression * spread_slope.expression
    return Step(
        name="gradient",
        statement="The gradient is the sum over the four paths.",
        symbol=x_bar[j],
        expression=direct.expression + deviation.expression + through_mean + through_spread,
    )


def simam_gradient(
    x: Float[np.ndarray, "*lead h w"],
    grad: Float[np.ndarray, "*lead h w"],
    *,
    lam: float = DEFAULT_LAM,
    statistics: Statistics = "shared",
) -> Float[np.ndarray, "*lead h w"]:
    r"""Return the gradient of a loss by the input of SimAM, given that by its output.

    With :math:`\tau^2 = \sigma^2 + \lambda`, :math:`z_i = (x_i - \mu)/\tau`, the gain :math:`g_i` and
    :math:`\bar a_i = \bar y_i x_i g_i (1 - g_i)`,

    .. math::

        \bar x_j = \bar y_j g_j + \frac{1}{2\tau} \Bigl( z_j \bar a_j - \frac1M \sum_i \bar a_i z_i
                   - \frac{z_j}{M-1} \sum_i \bar a_i z_i^2 \Bigr)

    With the population statistics :math:`M - 1` is :math:`M`. With one left out the exact importance is a
    function of the shared one, so :math:`z_i` stays the shared score, and :math:`\bar a_i` takes the slope of
    that function as a factor, :math:`(M/(M-1) \cdot \tau^2/(\sigma_i^2 + \lambda))^2` with the variance
    :math:`\sigma_i^2` of the others. Derived in the chapter on gradients, from Eqs. (5) and (6).

    Args:
        x: The input; the last two axes are one channel.
        grad: The gradient of the loss by the output, of the shape of ``x``.
        lam: The weight :math:`\lambda \ge 0` of the penalty, in units of ``x`` squared.
        statistics: As for :func:`simam_edu.energy.importance`.

    Returns:
        The gradient, of the shape of ``x``. At a constant channel with ``lam = 0`` the output has none;
        there it is the limit for a vanishing penalty, ``grad`` times the least gain.

    Raises:
        ValueError: As for :func:`simam_edu.energy.importance`, or if ``grad`` has another shape than ``x``
            or is not finite.
    """
    importance = energy.importance(x, lam=lam, statistics=statistics)  # checks x, lam and statistics
    x = np.asarray(x, dtype=np.float64)
    grad = _check_grad(grad, x)
    neurons, ddof = x.shape[-2] * x.shape[-1], int(statistics != "population")
    # The gradient does not change if x is divided by a power of two and lam by its square.
    exponent = np.frexp(np.max(np.abs(x), axis=(-2, -1), keepdims=True))[1]
    x = np.ldexp(x, -exponent)
    with np.errstate(over="ignore"):
        lam = np.minimum(np.ldexp(lam, -2 * exponent), 1e300)  # beyond it nothing but grad times gain is left
    deviation = x - energy.channel_statistics(x, ddof=ddof)[0]
    remainder, var = energy.channel_statistics(deviation, ddof=ddof)  # the mean was rounded
    tau = np.sqrt(var + lam)  # (*lead, 1, 1)
    tau[tau == 0] = np.inf  # a constant channel has no scores
    score = (deviation - remainder) / tau
    decay = np.exp(-importance)
    slope = decay / (1 + decay) ** 2  # g (1 - g), also where g is rounded to one
    if statistics == "leave_one_out":
        others = energy.leave_one_out_statistics(x)[1] + lam
        ratio = neurons / (neurons - 1) * (var + lam) / np.where(others == 0, np.inf, others)
        slope = slope * ratio**2
    arriving = grad * (x / tau) * slope / 2  # a_bar / (2 tau)
    of_mean = np.mean(arriving * score, axis=(-2, -1), keepdims=True)
    of_variance = np.sum(arriving * score**2, axis=(-2, -1), keepdims=True) / (neurons - ddof)
    gradient: Float[np.ndarray, "*lead h w"] = (
        grad / (1 + decay) + arriving * score - of_mean - of_variance * score
    )
    return gradient


def _slope(of: sp.Basic, score: Step, importance: Step) -> sp.Expr:
    """Differentiate one importance and write the result by its score."""
    slope = sp.diff(importance.expression.subs(z[i], score.expression), of)
    return sp.factor(slope.subs(x[i], mu + tau * z[i]))


def _by_gain(expression: sp.Expr) -> sp.Expr:
    """Write an expression in an importance by the gain, its sigmoid."""
    return sp.simplify(expression.subs(a[i], sp.log(g[i] / (1 - g[i]))))


def _of_the_channel(slope: sp.Expr) -> sp.Expr:
    """Do the sums over Kronecker's delta, for a ``j`` from 1 to ``M``."""
    return slope.doit().replace(sp.Piecewise, lambda *pairs: pairs[0][0])


def _check_grad(grad: np.ndarray, x: np.ndarray) -> np.ndarray:
    grad = np.asarray(grad, dtype=np.float64)
    if grad.shape != x.shape:
        raise ValueError(
            f"grad must have the shape of x, {x.shape}, got {grad.shape}; it is that of the output"
        )
    if not np.all(np.isfinite(grad)):
        raise ValueError("grad must be finite, got nan or inf; look for it with numpy.isfinite")
    return grad
