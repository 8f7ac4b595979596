"""The exercises: the truth passes in every form, each known mistake gets its own hint, nothing raises."""

import math
import re
from decimal import Decimal
from fractions import Fraction
from functools import partial

import numpy as np
import pytest
import sympy as sp
import torch
from scipy import stats

from pages import BOOK
from simam_edu import SimAM, exercises
from simam_edu.exercises import Exercise, Result, check
from simam_edu.exercises._answers import libraries, rounded_case
from simam_edu.exercises._grading import grade
from simam_edu.mistakes import HINTS
from simam_edu.wrong_simams import GALLERY

BY_CHAPTER = exercises.chapters()
ALL = [exercise for listed in BY_CHAPTER.values() for exercise in listed]
MISTAKES = [(exercise, k) for exercise in ALL for k in range(len(exercise.mistakes))]
by_exercise = pytest.mark.parametrize("exercise", ALL, ids=lambda exercise: exercise.name)


def test_names_are_unique():
    names = [exercise.name for exercise in ALL]
    assert len(names) == len(set(names))


@by_exercise
def test_the_truth_is_right(exercise):
    assert check(exercise.name, exercise.solution) == Result(passed=True, message="Right.")


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
    if callable(nothing) and not callable(exercise.solution):
        nothing = nothing()
    verdict = check(exercise.name, nothing)
    assert not verdict.passed
    assert verdict.message == f"No answer yet. Asked for: {exercise.prompt}."


@by_exercise
def test_the_same_cases_come_each_time(exercise):
    assert check(exercise.name, exercise.solution) == check(exercise.name, exercise.solution)


def test_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match=r"name must be one of .*best_line.*, got 'best line'"):
        check("best line", 1)


def variance(x):
    return x.var()


VARIANCE = Exercise(
    name="variance",
    prompt="a function of x that returns its variance",
    solution=variance,
    inputs=lambda generator: [(generator.normal(size=(3, 4)),), (np.array([[1.0, 2.0]]),)],
    wrong={
        "var() -> var(ddof=1)": "This divides by one less.",
        lambda x: x.std(): "This is the standard deviation.",
    },
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
    assert grade(VARIANCE, answer).passed, grade(VARIANCE, answer).message


HALF = Exercise(
    name="half",
    prompt="one half",
    solution=0.5,
    wrong={2: "Inverted.", -0.5: "Sign."},
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
    assert grade(HALF, answer).passed


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
    verdict = grade(VARIANCE, answer)
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
    verdict = grade(HALF, answer)
    assert not verdict.passed
    assert verdict.message.startswith(message)


def test_an_expression_may_be_an_answer():
    t, mu = sp.symbols("t mu_t")
    assert check("decision_point", (t + mu) / 2).passed
    assert "the symbols must be among t, mu_t, got x" in check("decision_point", sp.Symbol("x")).message


def test_a_verdict_shows_itself():
    right, wrong = Result(passed=True, message="Right."), Result(passed=False, message="Not yet.")
    assert (repr(right), right._repr_markdown_()) == ("Right.", "✔ Right.")
    assert wrong._repr_markdown_() == "✘ Not yet."


# The number format of an answer, and the library that it is written for.


def in_format(value, dtype):
    if isinstance(value, tuple | list):
        return tuple(in_format(part, dtype) for part in value)
    return torch.tensor(np.array(value, dtype=np.float64)).to(dtype)


def answered_in(answer, dtype):
    """Return an answer in a format; it is computed from arrays, whatever it is called with."""

    def function(*case):
        arrays = [part.numpy() if isinstance(part, torch.Tensor) else part for part in case]
        return in_format(answer(*arrays), dtype)

    return function if callable(answer) else in_format(answer, dtype)


NUMBERS = [exercise for exercise in ALL if not isinstance(exercise.solution, str)]
SINGLE = [exercise for exercise in NUMBERS if exercise.name != "merged_statistics"]  # its numbers are longer
in_single = pytest.mark.parametrize("exercise", SINGLE, ids=lambda exercise: exercise.name)


@in_single
def test_the_truth_in_float32_is_right(exercise):
    assert check(exercise.name, answered_in(exercise.solution, torch.float32)).passed


@in_single
def test_the_truth_computed_from_arguments_in_float32_is_right(exercise):
    if callable(exercise.solution) and not exercise.needs_digits:
        answer = answered_in(lambda *case: exercise.solution(*rounded_case(case, "float32")), torch.float32)
        assert check(exercise.name, answer).passed, check(exercise.name, answer).message


@in_single
def test_the_digits_of_float32_are_seen_in_plain_numbers_and_in_objects(exercise):
    if callable(exercise.solution):
        plainly = answered_in(exercise.solution, torch.float32)

        def listed(*case):
            found = plainly(*case)
            return [part.tolist() for part in found] if isinstance(found, tuple) else found.tolist()

        assert check(exercise.name, listed).passed
        assert check(exercise.name, lambda *case: np.array(listed(*case), dtype=object)).passed


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", ["best_line", "gc_pool", "backward", "simam", "two_levels", "p_value"])
def test_a_right_answer_in_half_precision_is_right(name, dtype):
    (exercise,) = (exercise for exercise in ALL if exercise.name == name)
    verdict = check(name, answered_in(exercise.solution, dtype))
    assert verdict.passed, verdict.message


@pytest.mark.parametrize(
    ("exercise", "k"),
    [(exercise, k) for exercise, k in MISTAKES if exercise in SINGLE and exercise.name != "simam"],
    ids=[f"{e.name}-{k}" for e, k in MISTAKES if e in SINGLE and e.name != "simam"],
)
def test_a_mistake_in_float32_is_told_all_the_same(exercise, k):
    mistake = exercise.mistakes[k]
    verdict = check(exercise.name, answered_in(mistake.answer, torch.float32))
    assert verdict.message.startswith(f"Not yet. {mistake.hint}")


@pytest.mark.parametrize("name", ["population", "lambda twice"])
def test_a_mistake_that_agrees_as_well_as_the_truth_in_a_coarse_format_is_told_if_it_is_nearer(name):
    verdict = check("simam", answered_in(GALLERY[name].function, torch.bfloat16))
    assert verdict.message.startswith(f"Not yet. {GALLERY[name].hint}")


def test_a_format_that_cannot_hold_the_numbers_is_named():
    (merged,) = (exercise for exercise in ALL if exercise.name == "merged_statistics")
    found = answered_in(merged.solution, torch.float32)
    assert "comes in float32, which cannot hold the numbers" in check(merged.name, found).message
    seconds = answered_in(lambda *_: 1.0, torch.float16)  # the arguments go up to 7e13
    assert "comes in float16, which cannot hold the numbers" in check("least_time", seconds).message


def test_whole_numbers_are_exact_in_every_format():
    assert check("means_of_a_batch", torch.tensor(1024.0)).passed
    assert not check("means_of_a_batch", torch.tensor(1032.0, dtype=torch.bfloat16)).passed


def squares_and_var(x):
    squares = (x - x.mean(axis=(-2, -1), keepdims=True)) ** 2
    return squares, squares.sum(axis=(-2, -1), keepdims=True) / (x.shape[-2] * x.shape[-1] - 1)


def one_pass_var(x):
    mu, neurons = x.mean(axis=(-2, -1), keepdims=True), x.shape[-2] * x.shape[-1]
    return ((x**2).mean(axis=(-2, -1), keepdims=True) - mu**2) * neurons / (neurons - 1)


LIBRARIES = {"numpy": (np, lambda z: 1 / (1 + np.exp(-z))), "torch": (torch, torch.sigmoid)}
by_library = pytest.mark.parametrize("library", LIBRARIES)


def gain_in(library, var=lambda x: squares_and_var(x)[1], cast=lambda x: x):
    xp, sigmoid = LIBRARIES[library]
    return lambda x, lam: sigmoid(
        squares_and_var(cast(x))[0] / (4 * (var(cast(x)) + lam)) + 0.5 + 0 * xp.ones(1, dtype=xp.float32)
    )


def hint_of(name, word):
    (exercise,) = (exercise for exercise in ALL if exercise.name == name)
    (hint,) = {mistake.hint for mistake in exercise.mistakes if word in mistake.hint.split(".")[0]}
    return f"Not yet. {hint}"


@by_library
def test_a_float32_map_stays_one_whatever_the_library(library):
    one_pass, ten_lines = gain_in(library, one_pass_var), gain_in(library)
    assert check("stable_gain", one_pass).message.startswith(hint_of("stable_gain", "difference"))
    assert check("stable_gain", ten_lines).message.startswith(hint_of("stable_gain", "mean is far larger"))


@by_library
def test_a_gain_by_way_of_float64_or_of_the_first_neuron_keeps_its_digits(library):
    to_double = {"numpy": lambda x: x.astype(np.float64), "torch": torch.Tensor.double}[library]
    for cast in (to_double, lambda x: x - x[:1, :1]):
        verdict = check("stable_gain", gain_in(library, cast=cast))
        assert verdict.passed, verdict.message


@pytest.mark.parametrize("single", [False, True])
@by_library
def test_a_naive_variance_is_caught_in_both_libraries_and_formats(library, single):
    to_single = {"numpy": lambda x: x.astype(np.float32), "torch": torch.Tensor.float}[library]
    cast = to_single if single else lambda x: x
    gain = gain_in(library, one_pass_var, cast)
    verdict = check("simam", lambda x, lam: cast(x) * gain(x, lam))
    assert verdict.message.startswith(f"Not yet. {GALLERY['naive variance'].hint}")
    right = gain_in(library, cast=cast)
    assert check("simam", lambda x, lam: cast(x) * right(x, lam)).passed, "ten lines in float32 are right"


def means_both(x, lam):
    """Right in torch, whose var divides by M-1, and wrong in numpy; it names neither."""
    squares = (x - x.mean(axis=(2, 3), keepdims=True)) ** 2
    return x / (1 + math.e ** -(squares / (4 * (x.var(axis=(2, 3), keepdims=True) + lam)) + 0.5))


def means_numpy(x, lam):
    return x / (1 + np.exp(-((x - x.mean((2, 3), keepdims=True)) ** 2) / (4 * (var_of(x) + lam)) - 0.5))


def means_torch(x, lam):
    return x * torch.sigmoid((x - x.mean((2, 3), keepdims=True)) ** 2 / (4 * (var_of(x) + lam)) + 0.5)


def var_of(x):
    return x.var(axis=(2, 3), keepdims=True)


def test_a_function_is_judged_with_the_library_that_it_names():
    population = f"Not yet. {GALLERY['population'].hint}"
    assert check("simam", means_numpy).message == population
    assert check("simam", means_torch).message == "Right. (Called with tensors of torch.)"
    both = check("simam", means_both)
    assert both.passed
    assert both.message == f"Right with tensors of torch. (Called with arrays of numpy: {population})"


@pytest.mark.parametrize(
    ("answer", "named"),
    [
        (means_both, set()),
        (means_numpy, {"numpy"}),
        (means_torch, {"torch"}),
        (p_value_by_torch, {"numpy", "torch"}),
        (partial(means_torch, lam=1.0), {"torch"}),
        (SimAM(), {"torch"}),
        (lambda x: SimAM()(x), {"torch"}),
        (lambda x: means_torch(x, 0), {"torch"}),
        (torch.exp, {"torch"}),
        (np.exp, {"numpy"}),
        (Exercise, set()),
    ],
)
def test_the_libraries_that_a_function_names_are_found(answer, named):
    assert libraries(answer) == named


WITH_TENSORS = {
    "RuntimeError: shape": lambda x, lam: x * (x.mean(dim=(2, 3)) - lam).sigmoid().view(-1, 3, 4, 5),
    "RuntimeError: The size of tensor a": lambda x, lam: x * (x - x.mean(dim=1)).sigmoid() + lam,
    "'Tensor' object has no attribute": lambda x, _: torch.relu(x.mean(dim=(2, 3))).sigmoi(),
}
WITH_ARRAYS = {
    "IndexError: Dimension out of range": lambda x, _: torch.from_numpy(x).mean(dim=7),
    "'numpy.ndarray' object has no attribute": lambda x, _: x.astype(float).meen(),
    "unexpected keyword argument 'keepdim'": lambda x, _: np.mean(x, axis=(2, 3), keepdim=True),
}


@pytest.mark.parametrize("part", [*WITH_TENSORS, *WITH_ARRAYS])
def test_the_error_is_that_of_the_library_with_which_the_answer_came_farther(part):
    message = check("simam", (WITH_TENSORS | WITH_ARRAYS)[part]).message
    assert message.startswith("Your answer stops with")
    assert part in message
    assert message.endswith(" (Called with tensors of torch.)") == (part in WITH_TENSORS)


@by_library
def test_parts_of_several_shapes_are_told_from_a_wrong_number(library):
    name = {"numpy": lambda x: np.abs(x), "torch": lambda x: torch.abs(x)}[library]
    message = check("simam", lambda x, _: (name(x), x.mean(axis=(2, 3)))).message
    assert message.startswith("Your answer has 2 parts of the shapes (4, 4, 4, 4) and (4, 4), which are not")


# Public SimAMs that are wrong, by kind: what a copy computes, in either library.


def largest(d):
    return d.reshape(*d.shape[:2], -1).max(axis=2)[0] if isinstance(d, torch.Tensor) else d.max(axis=(2, 3))


def public(x, lam, sigmoid, importance, axes=(2, 3), less=1):
    d = (x - x.mean(axis=axes, keepdims=True)) ** 2
    total = d.sum(axis=axes, keepdims=True)
    n = math.prod(d.shape) // math.prod(total.shape) - less
    return x * sigmoid(importance(d, total / n, lam, n))


def least(d, v, lam):
    return 4 * (v + lam) / (d + 2 * v + 2 * lam)


def printed_energy(d, v, lam):
    return least(d, v, lam) + 8 * d / (d + 2 * v + 2 * lam)


PUBLIC = [
    ("half inside", lambda d, v, lam, _: d / (4 * (v + lam) + 0.5)),
    ("half inside", lambda d, v, lam, _: d / (4 * (v + lam + 0.5))),
    ("half inside", lambda d, v, lam, n: d / (0.5 + 4 * (v * n / n + lam))),
    ("half inside, population", lambda d, v, lam, _: d / (4 * (v + lam) + 0.5), (2, 3), 0),
    ("half inside, lambda outside", lambda d, v, lam, _: d / (4 * v + lam + 0.5)),
    ("half inside, lambda twice", lambda d, v, lam, _: d / (4 * (v + lam) + lam + 0.5)),
    ("half inside, no penalty", lambda d, v, *_: d / (4 * v + 0.5)),
    ("no half", lambda d, v, lam, _: d / (4 * (v + lam))),
    ("no half, population", lambda d, v, lam, _: d / (4 * (v + lam)), (2, 3), 0),
    ("no half, lambda outside", lambda d, v, lam, _: d / (4 * v + lam)),
    ("constant", lambda _, v, lam, n: v * n / (n + 1) / (4 * (v + lam)) + 0.5),
    ("constant", lambda _, v, lam, *__: v / (4 * (v + lam)) + 0.5),
    ("constant, no half", lambda _, v, lam, *__: v / (4 * (v + lam))),
    ("across channels", lambda d, v, lam, _: d / (4 * (v + lam)) + 0.5, (1,)),
    ("across channels", lambda d, v, lam, _: d / (4 * (v + lam)) + 0.5, (1, 2, 3)),
    ("whole batch", lambda d, v, lam, _: d / (4 * (v + lam)) + 0.5, (0, 2, 3)),
    ("lambda twice", lambda d, v, lam, _: d / (4 * ((v + lam) + lam)) + 0.5),
    ("lambda twice", lambda d, v, lam, _: d / (4 * (v + lam) + lam) + 0.5),
    ("max for sum", lambda d, _, lam, n: d / (4 * (largest(d)[:, :, None, None] / n + lam)) + 0.5),
    ("max for sum", lambda d, _, lam, *__: d / (4 * (largest(d)[:, :, None, None] + lam)) + 0.5),
    ("energy as gain", lambda d, v, lam, _: least(d, v, lam)),
    ("energy as gain", lambda d, v, lam, _: 1 / (d / (4 * (v + lam)) + 0.5)),
    ("population", lambda d, v, lam, _: d / (4 * (v + lam)) + 0.5, (2, 3), 0),
    ("population, lambda outside", lambda d, v, lam, _: d / (4 * v + lam) + 0.5, (2, 3), 0),
    ("printed sign", lambda d, v, lam, _: 1 / printed_energy(d, v, lam)),
    ("printed sign", lambda d, v, lam, _: -d / (4 * (v + lam)) + 0.5),
    ("clamped", lambda d, v, lam, _: d / (4 * v).clip(lam) + 0.5),
    ("clamped", lambda d, v, lam, _: d / (4 * v.clip(lam)) + 0.5),
    ("lambda outside", lambda d, v, lam, _: d / (4 * v + lam) + 0.5),
]


@by_library
@pytest.mark.parametrize("k", range(len(PUBLIC)), ids=[f"{k} {copy[0]}" for k, copy in enumerate(PUBLIC)])
def test_a_wrong_public_simam_is_told_what_it_computes(k, library):
    names, importance, *statistics = PUBLIC[k]
    sigmoid = LIBRARIES[library][1]
    verdict = check("simam", lambda x, lam: public(x, lam, sigmoid, importance, *statistics))
    assert not verdict.passed
    hints = [HINTS[name] for name in names.split(", ")]
    said = verdict.message.removeprefix("Not yet. ").removesuffix(" (Called with tensors of torch.)")
    if len(hints) == 1:
        assert said == hints[0]
    else:
        assert said.startswith("Two mistakes at once. ")
        assert all(hint in said for hint in hints)


@pytest.mark.parametrize("name", GALLERY)
def test_the_exercise_on_the_ten_lines_and_the_gallery_say_the_same(name):
    for answer in (GALLERY[name], GALLERY[name].function):
        assert check("simam", answer).message == f"Not yet. {GALLERY[name].hint}"
