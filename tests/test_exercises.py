"""The exercises: the truth passes in every form, each known mistake gets its own hint, nothing raises."""

import re
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import sympy as sp
import torch
from scipy import stats

from pages import BOOK
from simam_edu import SimAM, exercises
from simam_edu.exercises import Exercise, Mistake, Verdict, check
from simam_edu.exercises.checking import judge

BY_CHAPTER = exercises.chapters()
ALL = [exercise for listed in BY_CHAPTER.values() for exercise in listed]
MISTAKES = [(exercise, k) for exercise in ALL for k in range(len(exercise.mistakes))]
by_exercise = pytest.mark.parametrize("exercise", ALL, ids=lambda exercise: exercise.name)


def test_names_are_unique():
    names = [exercise.name for exercise in ALL]
    assert len(names) == len(set(names))


@by_exercise
def test_the_truth_is_right(exercise):
    assert check(exercise.name, exercise.truth) == Verdict(passed=True, message="Right.")


@by_exercise
def test_at_least_two_mistakes_are_known(exercise):
    assert len(exercise.mistakes) >= 2


@pytest.mark.parametrize(
    ("exercise", "k"), MISTAKES, ids=[f"{exercise.name}-{k}" for exercise, k in MISTAKES]
)
def test_each_mistake_gets_its_hint(exercise, k):
    mistake = exercise.mistakes[k]
    verdict = check(exercise.name, mistake.answer)
    assert not verdict.passed
    assert verdict.message == f"Not yet. {mistake.hint}"
    assert mistake.hint.endswith((".", ")")), "a hint is made of sentences"


@by_exercise
@pytest.mark.parametrize("nothing", [None, ..., lambda *_: None, lambda *_: ...])
def test_no_answer_is_told_from_a_wrong_one(exercise, nothing):
    if callable(nothing) and not callable(exercise.truth):
        nothing = nothing()
    verdict = check(exercise.name, nothing)
    assert not verdict.passed
    assert verdict.message == f"No answer yet. Asked for: {exercise.asks}."


@by_exercise
def test_the_same_cases_come_each_time(exercise):
    assert check(exercise.name, exercise.truth) == check(exercise.name, exercise.truth)


def test_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match=r"name must be one of .*best_line.*, got 'best line'"):
        check("best line", 1)


def variance(x):
    return x.var()


VARIANCE = Exercise(
    name="variance",
    asks="a function of x that returns its variance",
    truth=variance,
    inputs=lambda generator: [(generator.normal(size=(3, 4)),), (np.array([[1.0, 2.0]]),)],
    mistakes=(
        Mistake(answer=lambda x: x.var(ddof=1), hint="This divides by one less."),
        Mistake(answer=lambda x: x.std(), hint="This is the standard deviation."),
    ),
)


def by_loop(x):
    values = [value for row in x.tolist() for value in row]
    mean = sum(values) / len(values)
    total = 0
    for value in values:
        total += (value - mean) ** 2
    return total / len(values)


def by_torch(x):
    return x.square().mean(dim=(-2, -1)) - x.mean(dim=(-2, -1)).square()  # no such methods in numpy


def in_place(x):
    x -= x.mean()
    return (x**2).mean()


@pytest.mark.parametrize(
    "answer",
    [
        by_loop,
        by_torch,
        in_place,
        lambda x: np.mean((x - x.mean()) ** 2, axis=(-2, -1), keepdims=True),
        lambda x: [float(np.var(x))],
        lambda x: torch.tensor(x).var(correction=0).requires_grad_(),
        lambda x: sp.Rational(1, x.size) * sum(sp.Float(v) ** 2 for v in (x - x.mean()).ravel()),
    ],
    ids=["loop", "torch", "in place", "keepdims", "list", "tensor with gradient", "sympy"],
)
def test_a_right_function_passes_in_any_form(answer):
    assert judge(VARIANCE, answer).passed, judge(VARIANCE, answer).message


HALF = Exercise(
    name="half",
    asks="one half",
    truth=0.5,
    mistakes=(Mistake(answer=2, hint="Inverted."), Mistake(answer=-0.5, hint="Sign.")),
)


@pytest.mark.parametrize(
    "answer",
    [
        0.5,
        Fraction(1, 2),
        Decimal("0.5"),
        sp.Rational(1, 2),
        np.float32(0.5),
        torch.tensor([0.5]),
        [0.5],
        "1/2",
        " 0.5 ",
    ],
)
def test_a_right_number_passes_in_any_form(answer):
    assert judge(HALF, answer).passed


def others_by_loop(x):
    values, found = x.ravel().tolist(), []
    for k in range(len(values)):
        rest = values[:k] + values[k + 1 :]
        mean = sum(rest) / len(rest)
        found.append(sum((value - mean) ** 2 for value in rest) / len(rest))
    return [found[row * x.shape[1] : (row + 1) * x.shape[1]] for row in range(x.shape[0])]


def batch_gradient_by_autograd(w, b, t, batch, lam):
    line = torch.tensor([w, b], dtype=torch.float64, requires_grad=True)
    loss = (
        (line[0] * batch + line[1] + 1).square().mean()
        + (line[0] * t + line[1] - 1) ** 2
        + lam * line[0] ** 2
    )
    loss.backward()
    return line.grad


def p_value_by_torch(gain, M):
    z2 = 4 * (torch.logit(gain) - 0.5)  # which takes no float
    r_t = (M * (M - 2) * z2 / ((M - 1) ** 2 - M * z2)).sqrt()
    return 2 * stats.t.sf(r_t.item(), M - 2)


def simam_channel_by_channel(x, lam):
    y = np.empty_like(x)
    for n in range(x.shape[0]):
        for c in range(x.shape[1]):
            d = (x[n, c] - x[n, c].mean()) ** 2
            y[n, c] = x[n, c] / (1 + np.exp(-d / (4 * (d.sum() / (d.size - 1) + lam)) - 0.5))
    return y


T, MU, VAR, LAM, COUNT = sp.symbols("t mu var lam M")
UNUSUAL = {
    "loop for an array": ("others_variance", others_by_loop),
    "tensor for an array": (
        "others_variance",
        lambda x: (x.square().sum() - x**2) / (x.numel() - 1) - ((x.sum() - x) / (x.numel() - 1)).square(),
    ),
    "autograd": ("batch_gradient", batch_gradient_by_autograd),
    "tensor for a number": ("p_value", p_value_by_torch),
    "tensors for both": (
        "repaired_gain",
        lambda gain, M: torch.sigmoid((torch.logit(gain) - 0.5) * (M - 1) / M + 0.5),
    ),
    "single precision": ("simam", lambda x, lam: SimAM(lam=lam)(torch.from_numpy(x).float())),
    "one channel at a time": ("simam", simam_channel_by_channel),
    "linear solve": (
        "best_line",
        lambda t, mu, var, lam: np.linalg.solve(
            [[t**2 + mu**2 + var + lam, t + mu], [t + mu, 2]], [t - mu, 0]
        ),
    ),
    "sympy": (
        "weighted_importance",
        1 / (4 * sp.Symbol("rho")) + sp.Rational(1, 4) + (T - MU) ** 2 / (4 * (VAR + LAM)),
    ),
    "sympy with an integer": (
        "mean_importance",
        sp.Rational(1, 2) + (COUNT - 1) / (4 * COUNT) * VAR / (VAR + LAM),
    ),
    "numpy's truth": (
        "farthest_first",
        lambda x, gains: np.array(
            [
                (g.max() == g).sum() == 1 and g.argmax() == np.abs(v - v.mean()).argmax()
                for v, g in zip(x.reshape(-1, 16), gains.reshape(-1, 16), strict=True)
            ]
        ).all(),
    ),
    "text": ("which_exhibit", " Lambda twice "),
}


@pytest.mark.parametrize(("name", "answer"), UNUSUAL.values(), ids=UNUSUAL)
def test_a_right_answer_to_an_exercise_of_the_book_passes_in_an_unusual_form(name, answer):
    assert check(name, answer).passed, check(name, answer).message


QUOTED = re.compile(r"'([A-Z].*?)'(?!\w)")


@pytest.mark.parametrize("chapter", BY_CHAPTER)
def test_the_sections_that_hints_name_are_there(chapter):
    """A hint says where to look: a heading of its page, or the title of another."""
    titles = re.findall(
        r"^#{1,2} (.*)$", "".join(p.read_text(encoding="utf-8") for p in BOOK.glob("*.md")), re.MULTILINE
    )
    own = re.findall(r"^#{1,2} (.*)$", (BOOK / f"{chapter}.md").read_text(encoding="utf-8"), re.MULTILINE)
    for exercise in BY_CHAPTER[chapter]:
        for mistake in exercise.mistakes:
            for name in QUOTED.findall(mistake.hint):
                assert name in own or ("chapter" in mistake.hint and name in titles), (
                    f"{exercise.name}: no section '{name}'"
                )


@pytest.mark.parametrize(
    ("answer", "part"),
    [
        (lambda x: x, "has the shape (3, 4); asked for is ()"),
        (lambda x: x.var() * 3, "It is the right answer times 3, everywhere."),
        (lambda x: x.var() + 2, "The difference is the same everywhere: 2."),
        (lambda x: x.var() ** 2, "It is none of the known mistakes."),
        (lambda x: x.var() * np.nan, "not a number in 1 places"),
        (lambda _: 1 / 0, "Your answer stops with ZeroDivisionError"),
        (lambda _: "text", "your answer is text"),
        (lambda x, _: x, "Your answer stops with TypeError"),
        (lambda _: {"a": 1}, "Your answer stops with TypeError"),
        (0.5, "a function is asked for, this is float"),
    ],
)
def test_an_unknown_mistake_is_described(answer, part):
    verdict = judge(VARIANCE, answer)
    assert not verdict.passed
    assert part in verdict.message


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (2.0, "Not yet. Inverted."),
        (-0.5, "Not yet. Sign."),
        (0.7, "Not yet. Your answer 0.7 is off by 0.2. "),
        ("2", "Not yet. Inverted."),
        ("1/0", "Not yet. Your answer is 1/0"),
        ("one half", "Not yet. Your answer is one half"),
    ],
)
def test_a_wrong_number_is_told(answer, message):
    verdict = judge(HALF, answer)
    assert not verdict.passed
    assert verdict.message.startswith(message)


def test_an_expression_may_be_an_answer():
    t, mu = sp.symbols("t mu_t")
    assert check("decision_point", (t + mu) / 2).passed
    assert "the symbols must be among t, mu_t, got x" in check("decision_point", sp.Symbol("x")).message


def test_a_verdict_shows_itself():
    right, wrong = Verdict(passed=True, message="Right."), Verdict(passed=False, message="Not yet.")
    assert (repr(right), right._repr_markdown_()) == ("Right.", "✔ Right.")
    assert wrong._repr_markdown_() == "✘ Not yet."
