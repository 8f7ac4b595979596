"""The exercises: the solution passes in every form, each known mistake gets its own hint, nothing raises."""

import re
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import sympy as sp
import torch
from scipy import stats

from pages import BOOK
from simam_edu import SimAM, energy, exercises, solvers
from simam_edu.exercises import Exercise, Result, check
from simam_edu.exercises._grading import grade
from simam_edu.gradient import simam_gradient
from simam_edu.mistakes import HINTS
from simam_edu.wrong_simams import GALLERY

BY_CHAPTER = exercises.chapters()
ALL = [exercise for listed in BY_CHAPTER.values() for exercise in listed]
BY_NAME = {exercise.name: exercise for exercise in ALL}
MISTAKES = [(exercise, mistake) for exercise in ALL for mistake in exercise.mistakes]
TEXT = "which_exhibit"  # the exercise whose answer is no number


def by_exercise(listed):
    return pytest.mark.parametrize("exercise", listed, ids=lambda exercise: exercise.name)


def by_mistake(pairs):
    return pytest.mark.parametrize(("exercise", "mistake"), pairs, ids=lambda part: getattr(part, "name", ""))


def answered_in(answer, dtype):
    """Return an answer in a format; it is computed from arrays."""
    if callable(answer):
        return lambda *case: answered_in(answer(*case), dtype)
    if isinstance(answer, tuple | list):
        return tuple(answered_in(part, dtype) for part in answer)
    return torch.tensor(np.array(answer, dtype=float)).to(dtype)


def test_names_are_unique_and_another_is_refused():
    assert len({exercise.name for exercise in ALL}) == len(ALL)
    with pytest.raises(ValueError, match=r"name must be one of .*best_line.*, got 'best line'"):
        check("best line", 1)


@by_exercise(ALL)
def test_the_solution_is_right_each_time_and_nothing_is_no_answer(exercise):
    for _ in range(2):
        right = check(exercise.name, exercise.solution)
        assert right == Result(passed=True, message="Right.")
        assert (repr(right), right._repr_markdown_()) == ("Right.", "✔ Right.")
    for nothing in (None, ..., lambda *_: None, lambda *_: (..., 1.0)):
        result = check(exercise.name, nothing)
        assert result.passed is None
        assert result.message.startswith("Your turn, in the notebook of this page: ")


@by_mistake(MISTAKES)
def test_each_mistake_gets_its_hint(exercise, mistake):
    told = f"Not yet. {mistake.hint}"
    assert check(exercise.name, mistake.answer) == Result(passed=False, message=told)
    assert mistake.hint.endswith((".", ")")), "a hint is made of sentences"
    if exercise.name not in ("simam", TEXT):
        assert check(exercise.name, answered_in(mistake.answer, torch.float32)).message.startswith(told)


# The solutions are texts of the pages; these are the oracles.
ORACLES = {
    "best_line": lambda t, mu, var, lam: energy.optimal_weight_bias(t, mu, var, lam=lam),
    "least_energy": lambda t, others, lam: energy.minimal_energy(t, others.mean(), others.var(), lam=lam),
    "batch_gradient": lambda w, b, t, batch, lam: solvers.energy_gradient(w, b, t, batch, lam=lam),
    "others_variance": lambda x: energy.leave_one_out_statistics(x)[1],
    "backward": lambda x, grad, lam: simam_gradient(x, grad, lam=lam),
    "p_value": lambda gain, M: p_value_by_torch(torch.tensor(gain, dtype=torch.float64), M),
    "two_levels": lambda M, k: energy.gain((np.arange(M) < k) * np.ones((1, M)), lam=0.0)[0, [0, -1]],
    "welch_p_value": lambda m1, s1, m2, s2, n: (
        stats.ttest_ind_from_stats(m1, s1, n, m2, s2, n, equal_var=False).pvalue
    ),
}


@pytest.mark.parametrize("name", ORACLES)
def test_a_solution_is_that_of_the_oracle(name):
    for case in BY_NAME[name].inputs(np.random.default_rng(1)):
        found = BY_NAME[name].solution(*case)
        np.testing.assert_allclose(found, ORACLES[name](*case), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("chapter", BY_CHAPTER)
def test_a_hint_names_a_heading_of_its_page_or_the_title_of_a_chapter(chapter):
    pages = {page.stem: page.read_text(encoding="utf-8") for page in BOOK.glob("*.md")}
    titles, own = (
        re.findall(r"^#{1,2} (.*)$", text, re.MULTILINE) for text in ("".join(pages.values()), pages[chapter])
    )
    for hint in (mistake.hint for exercise in BY_CHAPTER[chapter] for mistake in exercise.mistakes):
        for name in re.findall(r"'([A-Z].*?)'(?!\w)", hint):
            assert name in own or ("chapter" in hint and name in titles), f"no section '{name}': {hint}"


# What is right, in any form.

HALF = Exercise("half", "one half", 0.5, {2: "Inverted.", -0.5: "Sign."})
BY_NAME["half"] = HALF


def in_place(x):
    M = x.size
    x -= x.mean()
    np.square(x, out=x)
    return (x.sum() - M / (M - 1) * x) / (M - 1)


def p_value_by_torch(gain, M):
    z2 = 4 * (torch.logit(gain) - 0.5)  # which takes no float
    return 2 * stats.t.sf((M * (M - 2) * z2 / ((M - 1) ** 2 - M * z2)).sqrt().item(), M - 2)


AXES = {"axis": (-2, -1), "keepdims": True}
LIBRARIES = {
    "numpy": (np, lambda z: 1 / (1 + np.exp(-z)), lambda x: x.astype(np.float32)),
    "torch": (torch, torch.sigmoid, torch.Tensor.float),
}


def gain_in(library, cast=lambda x: x, one_pass=False):
    """Return the ten lines' gain in a library, perhaps after a cast, or with a naive variance."""
    xp, sigmoid, _ = LIBRARIES[library]

    def gain(x, lam):
        x, neurons = cast(x), x.shape[-2] * x.shape[-1]
        squares = (x - x.mean(**AXES)) ** 2
        var = (x**2).mean(**AXES) - x.mean(**AXES) ** 2 if one_pass else squares.mean(**AXES)
        importance = squares / (4 * (var * neurons / (neurons - 1) + lam)) + 0.5
        return sigmoid(importance + 0 * xp.ones(1, dtype=xp.float32))

    return gain


def simam_in(library, cast=lambda x: x, one_pass=False):
    gain = gain_in(library, cast, one_pass)
    return lambda x, lam: cast(x) * gain(x, lam)


T, MU, VAR, LAM, RHO, MU_T = sp.symbols("t mu var lam rho mu_t")
LINE = BY_NAME["best_line"].solution
HALVES = ("best_line", "gc_pool", "backward", "simam", "two_levels", "p_value")
RIGHT = {
    "in place": ("others_variance", in_place),
    "lists of lists": ("others_variance", lambda x: [[sp.Float(x[x != v].var()) for v in row] for row in x]),
    "tensor for an array": (
        "others_variance",
        lambda x: (x.square().sum() - x**2) / (x.numel() - 1) - ((x.sum() - x) / (x.numel() - 1)).square(),
    ),
    "tensor with gradient": ("others_variance", lambda x: torch.tensor(in_place(x), requires_grad=True)),
    **{repr(half): ("half", half) for half in (0.5, Fraction(1, 2), Decimal("0.5"), sp.Rational(1, 2))},
    **{repr(half): ("half", half) for half in (np.float32(0.5), torch.tensor([0.5]), [0.5], "1/2", " 0.5 ")},
    "as its page rounds it": ("half_precision_limit", 7.998),
    "a fraction in decimals": ("least_energy_on_paper", 1.684),
    "bfloat16": ("largest_offset", torch.tensor(128.0, dtype=torch.bfloat16)),
    "text": (TEXT, " Lambda twice "),
    "tensor for a number": ("p_value", p_value_by_torch),
    "single precision": ("simam", lambda x, lam: SimAM(lam=lam)(torch.from_numpy(x).float())),
    "zero with a rounding error": ("best_line", lambda *c: np.dot([[1, 0], [1e-12, 1]], LINE(*c))),
    "expression": ("decision_point", (T + MU_T) / 2),
    "expression of some": ("weighted_importance", (1 + RHO) / (4 * RHO) + (T - MU) ** 2 / (4 * (VAR + LAM))),
    "numpy's boolean": ("farthest_first", lambda *case: np.bool_(BY_NAME["farthest_first"].solution(*case))),
    **{f"{name} in float16": (name, answered_in(BY_NAME[name].solution, torch.float16)) for name in HALVES},
    **{f"{lib} with one neuron's offset": ("stable_gain", gain_in(lib, lambda x: x - x[:1, :1]))
       for lib in LIBRARIES},
    **{f"{lib}'s ten lines": ("simam", simam_in(lib)) for lib in LIBRARIES},
    **{f"{lib}'s ten lines in float32": ("simam", simam_in(lib, LIBRARIES[lib][2])) for lib in LIBRARIES},
}  # fmt: skip


@pytest.mark.parametrize("form", RIGHT)
def test_a_right_answer_passes_in_any_form(form):
    name, answer = RIGHT[form]
    result = grade(BY_NAME[name], answer)
    assert result.passed, result.message


@by_exercise([exercise for exercise in ALL if exercise.name != TEXT])
def test_the_solution_in_float32_is_right_as_tensors_and_as_lists(exercise):
    single = answered_in(exercise.solution, torch.float32)

    def listed(*case):
        found = single(*case)
        return [part.tolist() for part in found] if isinstance(found, tuple) else found.tolist()

    for answer in (single, listed) if callable(exercise.solution) else (single,):
        assert check(exercise.name, answer).passed, check(exercise.name, answer).message


# What is wrong, and what is said to it.


def told(name):
    return f"Not yet. {HINTS[name]}"


def hint_of(words):
    (hint,) = {m.hint for m in BY_NAME["stable_gain"].mistakes if words in m.hint.split(".")[0]}
    return f"Not yet. {hint}"


def naive_half(x, lam):
    half = x.half()
    squares = (half - half.mean(**AXES)).square()
    dof = x.shape[-2] * x.shape[-1] - 1
    return half * torch.sigmoid(squares / (4 * (squares.sum(**AXES) / dof + lam)) + 0.5)


STOPS, VARIANCE = "Your answer stops with ", BY_NAME["others_variance"].solution
WRONG = [  # exercise, answer, and a part of the message
    ("others_variance", lambda _: 1.0, "your answer has the shape (); asked for is (2, 2)."),
    ("others_variance", lambda x: 3 * VARIANCE(x), " at most. It is none of the known mistakes."),
    ("others_variance", lambda x: VARIANCE(x) * np.nan, "not a number in 4 places: look for zero over zero."),
    ("others_variance", lambda x: str(VARIANCE(x)), "and it is none of the known mistakes."),
    ("others_variance", answered_in(VARIANCE, torch.bfloat16), f"{STOPS}TypeError: numpy has no bfloat16"),
    ("others_variance", lambda x: VARIANCE(x) + 1j, f"{STOPS}ComplexWarning"),
    ("others_variance", lambda _: 1 / 0, f"{STOPS}ZeroDivisionError: division by zero. Asked for: a "),
    ("others_variance", lambda x, _: x, f"{STOPS}TypeError"),
    ("others_variance", lambda _: {"a": 1}, f"{STOPS}TypeError"),
    ("others_variance", lambda x: (x, x.mean(axis=0)), f"{STOPS}ValueError"),
    ("decision_point", T, "Not yet. For t = 4., mu_t = 1. your answer 4. is off by 1.5. "),
    ("decision_point", sp.Symbol("x"), f"{STOPS}NameError: the symbols must be among t, mu_t, got x."),
    ("half", 2.0, "Not yet. Inverted."),
    ("half", "-1/2", "Not yet. Sign."),
    ("half", 0.7, "Not yet. Your answer 0.7 is off by 0.2. "),
    ("half", "1/0", "Not yet. Your answer is 1/0"),
    ("half", "one half", "Not yet. Your answer is one half"),
    ("half", ["one half"], f"{STOPS}ValueError"),
    ("half", abs, f"{STOPS}TypeError"),
    (TEXT, 0.5, "Not yet. Your answer is 0.5"),
    ("least_time", answered_in(lambda *_: 1.0, torch.float16), "float16, which cannot hold the numbers"),
    ("stable_gain", answered_in(BY_NAME["stable_gain"].solution, torch.float16), "is off by 0.000"),
    # The mistake is nearer than the solution, though in a coarse format both agree.
    *(("simam", answered_in(GALLERY[name].function, torch.float16), told(name))
      for name in ("population", "lambda twice")),
    # The exhibits on the wall are among the mistakes.
    *(("simam", exhibit, told(name)) for name, exhibit in GALLERY.items()),
    # The digits that a naive variance loses differ with library and format.
    *(("stable_gain", gain_in(lib, one_pass=True), hint_of("difference")) for lib in LIBRARIES),
    *(("stable_gain", gain_in(lib), hint_of("mean is far larger")) for lib in LIBRARIES),
    *(("simam", simam_in(lib, one_pass=True), told("naive variance")) for lib in LIBRARIES),
    *(("simam", simam_in(lib, LIBRARIES[lib][2], True), told("naive variance")) for lib in LIBRARIES),
    ("simam", naive_half, told("half precision")),
]  # fmt: skip


@pytest.mark.parametrize(("name", "answer", "part"), WRONG)
def test_a_wrong_answer_is_told_what_it_is(name, answer, part):
    result = grade(BY_NAME[name], answer)
    assert not result.passed
    assert part in result.message
    assert result.message.startswith(part) or not part.startswith("Not yet.")


def means_numpy(x, lam):
    return x / (1 + np.exp(-((x - x.mean(**AXES)) ** 2) / (4 * (x.var(**AXES) + lam)) - 0.5))


def means_torch(x, lam):
    return x * torch.sigmoid((x - x.mean(**AXES)) ** 2 / (4 * (x.var(**AXES) + lam)) + 0.5)


def no_keepdim(x, lam):
    return x * (x - x.mean(dim=1)).sigmoid() + lam


CALLED = [  # an answer, a part of the message, and whether it was judged with tensors
    (means_numpy, told("population"), False),  # though with tensors it would be right
    (means_torch, "Right.", True),
    (no_keepdim, f"{STOPS}RuntimeError: The size of tensor a", True),
    (lambda x, _: x.astype(float).meen(), f"{STOPS}AttributeError: 'numpy.ndarray' object has", False),
    (lambda x, _: x.mean(dim=1).sigmoi(), "; with tensors: AttributeError: 'Tensor' object has", False),
]


@pytest.mark.parametrize(("answer", "part", "with_tensors"), CALLED)
def test_an_answer_is_called_with_tensors_if_it_stops_with_arrays(answer, part, with_tensors):
    message = check("simam", answer).message
    assert part in message
    assert message.endswith(" (Called with tensors of torch.)") == with_tensors


# Public SimAMs that are wrong: what a copy makes of the squared distances d, the variance v, and lam. Most
# are written otherwise than the mutations that know them.
LEAST = "4 * (v + lam) / (d + 2 * v + 2 * lam)"
PUBLIC = [
    ("half inside", "d / (0.5 + 4 * (v * 9 / 9 + lam))"),
    ("half inside", "d / (4 * (v + lam + 0.5))"),
    ("lambda outside, half inside", "d / (4 * v + lam + 0.5)"),
    ("lambda twice, half inside", "d / (4 * (v + lam) + lam + 0.5)"),
    ("no penalty, half inside", "d / (4 * v + 0.5)"),
    ("lambda outside, no half", "d / (4 * v + lam)"),
    ("constant", "v / (4 * (v + lam)) + 0.5"),
    ("constant, no half", "v / (4 * (v + lam))"),
    ("lambda twice", "d / (4 * ((v + lam) + lam)) + 0.5"),
    ("energy as gain", LEAST),
    ("printed sign", f"1 / ({LEAST} + 8 * d / (d + 2 * v + 2 * lam))"),
    ("clamped", "d / (4 * v).clip(lam) + 0.5"),
]


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize(("names", "importance"), PUBLIC)
def test_a_wrong_public_simam_is_told_what_it_computes(names, importance, library):
    xp, sigmoid, _ = LIBRARIES[library]

    def copy(x, lam):
        d = (x - x.mean(**AXES)) ** 2
        v = d.sum(**AXES) / (x.shape[-2] * x.shape[-1] - 1)
        return xp.asarray(x) * sigmoid(eval(importance, {"d": d, "v": v, "lam": lam}))

    hints = [HINTS[name] for name in names.split(", ")]
    told_both = " ".join(["Two mistakes at once.", *hints] if len(hints) == 2 else hints)
    called = " (Called with tensors of torch.)" if library == "torch" else ""
    assert check("simam", copy).message == f"Not yet. {told_both}{called}"
