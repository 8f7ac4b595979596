"""The exercises: the solution passes in every form, each known mistake gets its own hint, nothing raises."""

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
from simam_edu import SimAM, energy, exercises, solvers
from simam_edu.exercises import Exercise, Result, check
from simam_edu.exercises._answers import libraries, rounded_case
from simam_edu.exercises._grading import grade
from simam_edu.gradient import simam_gradient
from simam_edu.mistakes import HINTS
from simam_edu.wrong_simams import GALLERY

BY_CHAPTER = exercises.chapters()
ALL = [exercise for listed in BY_CHAPTER.values() for exercise in listed]
BY_NAME = {exercise.name: exercise for exercise in ALL}
MISTAKES = [(exercise, k) for exercise in ALL for k in range(len(exercise.mistakes))]
# The numbers of the first are longer than those of float32, and the second is asked for as text.
SINGLE = [exercise for exercise in ALL if exercise.name not in ("merged_statistics", "which_exhibit")]


def by_exercise(listed):
    return pytest.mark.parametrize("exercise", listed, ids=lambda exercise: exercise.name)


def by_mistake(pairs):
    return pytest.mark.parametrize(("exercise", "k"), pairs, ids=[f"{e.name}-{k}" for e, k in pairs])


def test_names_are_unique_and_another_is_refused():
    assert len({exercise.name for exercise in ALL}) == len(ALL)
    with pytest.raises(ValueError, match=r"name must be one of .*best_line.*, got 'best line'"):
        check("best line", 1)


@by_exercise(ALL)
def test_the_solution_is_right_each_time_and_nothing_is_no_answer(exercise):
    for _ in range(2):
        assert check(exercise.name, exercise.solution) == Result(passed=True, message="Right.")
    assert len(exercise.mistakes) >= 2
    no_answer = Result(passed=None, message=f"Your turn, in the notebook of this page: {exercise.prompt}.")
    for nothing in (None, ..., *([lambda *_: None, lambda *_: ...] if callable(exercise.solution) else [])):
        assert check(exercise.name, nothing) == no_answer


@by_mistake(MISTAKES)
def test_each_mistake_gets_its_hint(exercise, k):
    mistake = exercise.mistakes[k]
    result = check(exercise.name, mistake.answer)
    assert result == Result(passed=False, message=f"Not yet. {mistake.hint}")
    assert mistake.hint.endswith((".", ")")), "a hint is made of sentences"


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


def test_a_result_shows_itself():
    right, wrong = Result(passed=True, message="Right."), Result(passed=False, message="Not yet.")
    assert (repr(right), right._repr_markdown_()) == ("Right.", "✔ Right.")
    assert wrong._repr_markdown_() == "✘ Not yet."


# What is right, in any form.


def variance(x):
    return x.var()


VARIANCE = Exercise(
    name="variance",
    prompt="a function of x that returns its variance",
    solution=variance,
    inputs=lambda generator: [(generator.normal(size=(3, 4)),), (np.array([[1.0, 2.0]]),)],
    wrong={"var() -> var(ddof=1)": "This divides by one less.", lambda x: x.std(): "The standard deviation."},
)
HALF = Exercise("half", "one half", 0.5, {2: "Inverted.", -0.5: "Sign."})
BY_NAME |= {"variance": VARIANCE, "half": HALF}


def in_place(x):
    x -= x.mean()
    return (x**2).mean()


def p_value_by_torch(gain, M):
    z2 = 4 * (torch.logit(gain) - 0.5)  # which takes no float
    return 2 * stats.t.sf((M * (M - 2) * z2 / ((M - 1) ** 2 - M * z2)).sqrt().item(), M - 2)


def batch_gradient_by_autograd(w, b, t, batch, lam):
    line = torch.tensor([w, b], dtype=torch.float64, requires_grad=True)
    residuals = (line[0] * batch + line[1] + 1).square().mean() + (line[0] * t + line[1] - 1) ** 2
    (residuals + lam * line[0] ** 2).backward()
    return line.grad


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


AXES = {"axis": (-2, -1), "keepdims": True}
NUMPY, TORCH = (np, lambda z: 1 / (1 + np.exp(-z)), np.max), (torch, torch.sigmoid, torch.amax)
LIBRARIES = {"numpy": NUMPY, "torch": TORCH}
TO_SINGLE = {"numpy": lambda x: x.astype(np.float32), "torch": torch.Tensor.float}
TO_DOUBLE = {"numpy": lambda x: x.astype(np.float64), "torch": torch.Tensor.double}
by_library = pytest.mark.parametrize("library", LIBRARIES)


def gain_in(library, cast=lambda x: x, one_pass=False):
    """Return the ten lines' gain in a library, which may be called after a cast, or with a naive variance."""
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


T, MU, VAR, LAM, COUNT, RHO, MU_T = sp.symbols("t mu var lam M rho mu_t")
LINE = BY_NAME["best_line"].solution
HALVES = ("best_line", "gc_pool", "backward", "simam", "two_levels", "p_value")
RIGHT = {
    "loop": ("variance", lambda x: sum((v - x.sum() / x.size) ** 2 for r in x.tolist() for v in r) / x.size),
    "torch's names": ("variance", lambda x: x.square().mean(dim=(-2, -1)) - x.mean(dim=(-2, -1)).square()),
    "in place": ("variance", in_place),
    "keepdims": ("variance", lambda x: np.mean((x - x.mean()) ** 2, **AXES)),
    "list": ("variance", lambda x: [float(np.var(x))]),
    "tensor with gradient": ("variance", lambda x: torch.tensor(x).var(correction=0).requires_grad_()),
    "sympy": ("variance", lambda x: sum(sp.Float(v) ** 2 for v in (x - x.mean()).flat) / x.size),
    **{repr(half): ("half", half) for half in (0.5, Fraction(1, 2), Decimal("0.5"), sp.Rational(1, 2))},
    **{repr(half): ("half", half) for half in (np.float32(0.5), torch.tensor([0.5]), [0.5], "1/2", " 0.5 ")},
    "lists of lists": ("others_variance", lambda x: [[x[x != v].var() for v in row] for row in x]),
    "tensor for an array": (
        "others_variance",
        lambda x: (x.square().sum() - x**2) / (x.numel() - 1) - ((x.sum() - x) / (x.numel() - 1)).square(),
    ),
    "autograd": ("batch_gradient", batch_gradient_by_autograd),
    "tensor for a number": ("p_value", p_value_by_torch),
    "tensors for both": ("repaired_gain", lambda g, M: ((g.logit() - 0.5) * (M - 1) / M + 0.5).sigmoid()),
    "single precision": ("simam", lambda x, lam: SimAM(lam=lam)(torch.from_numpy(x).float())),
    "one channel at a time": (
        "simam",
        lambda x, lam: [[energy.gain(c[None], lam=lam)[0] * c for c in image] for image in x],
    ),
    "linear solve": (
        "best_line",
        lambda t, m, v, lam: np.linalg.solve([[t**2 + m**2 + v + lam, t + m], [t + m, 2]], [t - m, 0]),
    ),
    "zero with a rounding error": ("best_line", lambda *c: np.dot([[1, 0], [1e-12, 1]], LINE(*c))),
    "expression": ("decision_point", (T + MU_T) / 2),
    "expression of some": ("weighted_importance", (1 + RHO) / (4 * RHO) + (T - MU) ** 2 / (4 * (VAR + LAM))),
    "expression with an integer": ("mean_importance", (COUNT - 1) / (4 * COUNT) * VAR / (VAR + LAM) + 0.5),
    "numpy's boolean": ("farthest_first", lambda *case: np.bool_(BY_NAME["farthest_first"].solution(*case))),
    "text": ("which_exhibit", " Lambda twice "),
    "whole number in single precision": ("means_of_a_batch", torch.tensor(1024.0)),
    **{f"{lib}'s {to}": ("stable_gain", gain_in(lib, cast))
       for lib in LIBRARIES
       for to, cast in (("double", TO_DOUBLE[lib]), ("first neuron", lambda x: x - x[:1, :1]))},
    **{f"{lib}'s {to}": ("simam", simam_in(lib, cast))
       for lib in LIBRARIES
       for to, cast in (("ten lines", lambda x: x), ("ten lines in float32", TO_SINGLE[lib]))},
    **{f"{name} in {dtype}": (name, answered_in(BY_NAME[name].solution, dtype))
       for name in HALVES for dtype in (torch.float16, torch.bfloat16)},
}  # fmt: skip


@pytest.mark.parametrize("form", RIGHT)
def test_a_right_answer_passes_in_any_form(form):
    name, answer = RIGHT[form]
    result = grade(BY_NAME[name], answer)
    assert result.passed, result.message


@by_exercise(SINGLE)
def test_the_solution_in_float32_is_right_as_tensors_lists_objects_and_of_rounded_arguments(exercise):
    solution = exercise.solution
    single = answered_in(solution, torch.float32)

    def listed(*case):
        found = single(*case)
        return [part.tolist() for part in found] if isinstance(found, tuple) else found.tolist()

    ways = [single]
    if callable(solution):
        ways += [listed, lambda *case: np.array(listed(*case), dtype=object)]
        if not exercise.needs_digits:
            ways.append(answered_in(lambda *case: solution(*rounded_case(case, "float32")), torch.float32))
    for answer in ways:
        assert check(exercise.name, answer).passed, check(exercise.name, answer).message


# What is wrong, and what is said to it.


@by_mistake([(exercise, k) for exercise, k in MISTAKES if exercise in SINGLE and exercise.name != "simam"])
def test_a_mistake_in_float32_is_told_all_the_same(exercise, k):
    mistake = exercise.mistakes[k]
    result = check(exercise.name, answered_in(mistake.answer, torch.float32))
    assert result.message.startswith(f"Not yet. {mistake.hint}")


def hint_of(words):
    (hint,) = {m.hint for m in BY_NAME["stable_gain"].mistakes if words in m.hint.split(".")[0]}
    return f"Not yet. {hint}"


def told(name):
    return f"Not yet. {HINTS[name]}"


def with_means(function):
    return lambda x, _: (function(x), x.mean(axis=(2, 3)))


COARSE, STOPS = "which cannot hold the numbers", "Your answer stops with "
SHAPES = "Your answer has 2 parts of the shapes (4, 4, 4, 4) and (4, 4), which are not"
MERGED = answered_in(BY_NAME["merged_statistics"].solution, torch.float32)
NEARER = ("population", "lambda twice")
WRONG = [  # exercise, answer, and a part of the message
    ("variance", lambda x: x, "has the shape (3, 4); asked for is ()"),
    ("variance", lambda x: x.var() * 3, "It is the right answer times 3, everywhere."),
    ("variance", lambda x: x.var() + 2, "The difference is the same everywhere: 2."),
    ("variance", lambda x: x.var() ** 2, "It is none of the known mistakes."),
    ("variance", lambda x: x.var() * np.nan, "not a number in 1 places"),
    ("variance", lambda _: 1 / 0, f"{STOPS}ZeroDivisionError"),
    ("variance", lambda _: "text", "your answer is text"),
    ("variance", lambda x, _: x, f"{STOPS}TypeError"),
    ("variance", lambda _: {"a": 1}, f"{STOPS}TypeError"),
    ("variance", 0.5, "a function is asked for, this is float"),
    ("half", 2.0, "Not yet. Inverted."),
    ("half", -0.5, "Not yet. Sign."),
    ("half", 0.7, "Not yet. Your answer 0.7 is off by 0.2. "),
    ("half", "2", "Not yet. Inverted."),
    ("half", "1/0", "Not yet. Your answer is 1/0"),
    ("half", "one half", "Not yet. Your answer is one half"),
    ("decision_point", sp.Symbol("x"), "the symbols must be among t, mu_t, got x"),
    ("merged_statistics", MERGED, f"float32, {COARSE}"),
    ("least_time", answered_in(lambda *_: 1.0, torch.float16), f"float16, {COARSE}"),  # arguments up to 7e13
    ("means_of_a_batch", torch.tensor(1032.0, dtype=torch.bfloat16), "off by 8"),  # whole numbers are exact
    # A mistake that agrees in a coarse format is told if it is nearer than the solution.
    *(("simam", answered_in(GALLERY[name].function, torch.bfloat16), told(name)) for name in NEARER),
    # The ten lines and the gallery say the same.
    *(("simam", exhibit, told(name)) for name, exhibit in GALLERY.items()),
    *(("simam", exhibit.function, f"Not yet. {exhibit.hint}") for exhibit in GALLERY.values()),
    # A float32 map stays one, and a naive variance is caught, in both libraries and formats.
    *(("stable_gain", gain_in(lib, one_pass=True), hint_of("difference")) for lib in LIBRARIES),
    *(("stable_gain", gain_in(lib), hint_of("mean is far larger")) for lib in LIBRARIES),
    *(("simam", simam_in(lib, one_pass=True), told("naive variance")) for lib in LIBRARIES),
    *(("simam", simam_in(lib, TO_SINGLE[lib], one_pass=True), told("naive variance")) for lib in LIBRARIES),
    # Parts of several shapes are told from a wrong number.
    *(("simam", with_means(function), SHAPES) for function in (np.abs, torch.abs)),
]


@pytest.mark.parametrize(("name", "answer", "part"), WRONG)
def test_a_wrong_answer_is_told_what_it_is(name, answer, part):
    result = grade(BY_NAME[name], answer)
    assert not result.passed
    assert part in result.message
    assert result.message.startswith(part) or not part.startswith("Not yet.")


STOPPING = [  # an answer, the library with which it came farther, and the error there
    (
        lambda x, lam: x * (x.mean(dim=(2, 3)) - lam).sigmoid().view(-1, 3, 4, 5),
        "torch",
        "RuntimeError: shape",
    ),
    (lambda x, lam: x * (x - x.mean(dim=1)).sigmoid() + lam, "torch", "RuntimeError: The size of tensor a"),
    (lambda x, _: torch.relu(x.mean(dim=(2, 3))).sigmoi(), "torch", "AttributeError: 'Tensor' object has no"),
    (lambda x, _: torch.from_numpy(x).mean(dim=7), "numpy", "IndexError: Dimension out of range"),
    (lambda x, _: x.astype(float).meen(), "numpy", "AttributeError: 'numpy.ndarray' object has no"),
    (lambda x, _: np.mean(x, axis=2, keepdim=True), "numpy", "TypeError: mean() got an unexpected keyword"),
]


@pytest.mark.parametrize(("answer", "library", "error"), STOPPING)
def test_the_error_is_that_of_the_library_with_which_the_answer_came_farther(answer, library, error):
    message = check("simam", answer).message
    assert message.startswith(f"{STOPS}{error}")
    assert message.endswith(" (Called with tensors of torch.)") == (library == "torch")


def means_both(x, lam):
    """Right in torch, whose var divides by M-1, and wrong in numpy; it names neither."""
    return x / (1 + math.e ** -((x - x.mean(**AXES)) ** 2 / (4 * (x.var(**AXES) + lam)) + 0.5))


def means_numpy(x, lam):
    return x / (1 + np.exp(-((x - x.mean(**AXES)) ** 2) / (4 * (var_of(x) + lam)) - 0.5))


def means_torch(x, lam):
    return x * torch.sigmoid((x - x.mean(**AXES)) ** 2 / (4 * (var_of(x) + lam)) + 0.5)


def var_of(x):
    return x.var(**AXES)


def test_a_function_is_judged_with_the_library_that_it_names():
    assert check("simam", means_numpy).message == told("population")
    assert check("simam", means_torch).message == "Right. (Called with tensors of torch.)"
    runs_with_arrays_too = grade(VARIANCE, lambda x: torch.as_tensor(x).var(correction=0))
    assert runs_with_arrays_too.message == "Right. (Called with tensors of torch.)"
    message = f"Right with tensors of torch. (Called with arrays of numpy: {told('population')})"
    assert check("simam", means_both) == Result(passed=True, message=message)


NAMED = [
    *((means_both, ""), (means_numpy, "numpy"), (means_torch, "torch"), (p_value_by_torch, "numpy torch")),
    *((partial(means_torch, lam=1.0), "torch"), (lambda x: means_torch(x, 0), "torch"), (Exercise, "")),
    *((SimAM(), "torch"), (lambda x: SimAM()(x), "torch"), (torch.exp, "torch"), (np.exp, "numpy")),
]


@pytest.mark.parametrize(("answer", "named"), NAMED)
def test_the_libraries_that_a_function_names_are_found(answer, named):
    assert libraries(answer) == set(named.split())


# Public SimAMs that are wrong, by kind: what a copy makes of the squared distances d, their largest m, the
# variance v over n, and lam.
SIMAM, HALF_INSIDE = "d / (4 * (v + lam)) + 0.5", "d / (4 * (v + lam) + 0.5)"
LEAST = "4 * (v + lam) / (d + 2 * v + 2 * lam)"
PUBLIC = {
    "half inside": [HALF_INSIDE, "d / (4 * (v + lam + 0.5))", "d / (0.5 + 4 * (v * n / n + lam))"],
    "half inside, population": [HALF_INSIDE],
    "half inside, lambda outside": ["d / (4 * v + lam + 0.5)"],
    "half inside, lambda twice": ["d / (4 * (v + lam) + lam + 0.5)"],
    "half inside, no penalty": ["d / (4 * v + 0.5)"],
    "no half": ["d / (4 * (v + lam))"],
    "no half, population": ["d / (4 * (v + lam))"],
    "no half, lambda outside": ["d / (4 * v + lam)"],
    "constant": ["v * n / (n + 1) / (4 * (v + lam)) + 0.5", "v / (4 * (v + lam)) + 0.5"],
    "constant, no half": ["v / (4 * (v + lam))"],
    "across channels": [SIMAM, SIMAM],
    "whole batch": [SIMAM],
    "population": [SIMAM],
    "lambda twice": ["d / (4 * ((v + lam) + lam)) + 0.5", "d / (4 * (v + lam) + lam) + 0.5"],
    "max for sum": ["d / (4 * (m / n + lam)) + 0.5", "d / (4 * (m + lam)) + 0.5"],
    "energy as gain": [LEAST, f"1 / ({SIMAM})"],
    "population, lambda outside": ["d / (4 * v + lam) + 0.5"],
    "printed sign": [f"1 / ({LEAST} + 8 * d / (d + 2 * v + 2 * lam))", "-d / (4 * (v + lam)) + 0.5"],
    "clamped": ["d / (4 * v).clip(lam) + 0.5", "d / (4 * v.clip(lam)) + 0.5"],
    "lambda outside": ["d / (4 * v + lam) + 0.5"],
}
OVER = {"across channels": [(1,), (1, 2, 3)], "whole batch": [(0, 2, 3)]}
COPIES = [(names, k) for names, listed in PUBLIC.items() for k in range(len(listed))]


@by_library
@pytest.mark.parametrize(("names", "k"), COPIES)
def test_a_wrong_public_simam_is_told_what_it_computes(names, k, library):
    xp, sigmoid, largest = LIBRARIES[library]
    axes, less = OVER.get(names, [(2, 3)] * 3)[k], int("population" not in names)

    def copy(x, lam):
        d = (x - x.mean(axis=axes, keepdims=True)) ** 2
        total = d.sum(axis=axes, keepdims=True)
        n = math.prod(d.shape) // math.prod(total.shape) - less
        named = {"d": d, "v": total / n, "n": n, "lam": lam, "m": largest(d, (2, 3))[..., None, None]}
        return xp.asarray(x) * sigmoid(eval(PUBLIC[names][k], named))

    result = check("simam", copy)
    hints = [HINTS[name] for name in names.split(", ")]
    assert not result.passed
    said = result.message.removeprefix("Not yet. ").removesuffix(" (Called with tensors of torch.)")
    assert all(hint in said for hint in hints)
    assert len(said) == sum(map(len, hints)) + (len("Two mistakes at once.  ") if len(hints) == 2 else 0)
