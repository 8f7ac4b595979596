"""SimAM in torch against the numpy oracle, its gradient, and its registry."""

import doctest
import inspect
import warnings
from fractions import Fraction
from functools import partial
from typing import Any, Never

import numpy as np
import pytest
import torch

import simam_edu
from simam_cases import draw
from simam_edu import SimAM, energy, gradient, solvers
from simam_edu.attention import (
    ATTENTION,
    CBAM,
    CONTROLS,
    ECA,
    GlobalContext,
    SqueezeExcite,
    attention_factory,
    cbam,
    eca,
    global_context,
    simam,
    squeeze_excite,
)


def test_it_has_nothing_to_learn_and_says_lam() -> None:
    module = SimAM(lam=0.1)
    assert list(module.parameters()) == []
    assert module.state_dict() == {}
    assert repr(module) == "SimAM(lam=0.1)"


NO_NUMBERS = [True, None, "1e-4", 1j, np.array(1e-4), np.True_, [1e-4], torch.tensor(1e-4)]


@pytest.mark.parametrize(
    "lam", [-1e-4, float("nan"), float("inf"), 10**400, *NO_NUMBERS[:-1]], ids=lambda lam: repr(lam)[:9]
)
def test_lam_is_a_finite_number_of_at_least_0(lam: Any) -> None:
    message = "lam must be a finite number of at least 0"
    with pytest.raises(ValueError, match=message):
        SimAM(lam=lam)
    with pytest.raises(ValueError, match=message):
        attention_factory("simam", lam=lam)
    module = SimAM()
    with pytest.raises(ValueError, match=message):
        module.lam = lam
    assert module.lam == 1e-4


@pytest.mark.parametrize("kind", [torch.tensor, lambda value: torch.nn.Parameter(torch.tensor(value))])
def test_a_lam_to_learn_is_refused_with_the_reason(kind: Any) -> None:
    message = r"lam must be a number of Python or numpy, got a .*: use lam=float\(value\)"
    with pytest.raises(ValueError, match=message):
        SimAM(lam=kind(1e-4))
    module = SimAM()
    with pytest.raises(ValueError, match=message):
        module.lam = kind(1e-4)
    assert list(module.parameters()) == []


@pytest.mark.parametrize("lam", [np.float32(0.5), np.float16(0.5), np.int64(2), Fraction(1, 2), 0, 2])
def test_lam_is_any_real_number_of_python_or_numpy(lam: Any) -> None:
    module = SimAM(lam=lam)
    assert module.lam == float(lam)
    assert type(module.lam) is float


@pytest.mark.parametrize("value", [64, 1e-4, True, None, "1e-4", [1024]], ids=repr)
def test_a_positional_argument_is_refused_with_the_right_calls(value: Any) -> None:
    message = r"lam must be given by name, got SimAM\(.*\); SimAM\(\) has no channels.*SimAM\(lam=\.\.\.\)"
    with pytest.raises(ValueError, match=message):
        SimAM(value)
    with pytest.raises(ValueError, match=r'attention_factory\("simam", lam=0.1\)'):
        partial(SimAM, lam=0.1)(value)


def test_the_name_of_the_authors_leads_to_lam() -> None:
    words = r"no argument e_lambda; it has lam \(the authors' e_lambda\)"
    with pytest.raises(TypeError, match=words):
        SimAM(e_lambda=1e-4)
    with pytest.raises(ValueError, match=words):
        attention_factory("simam", e_lambda=1e-4)


def test_the_signature_shows_the_arguments_and_no_positional_one() -> None:
    parameters = inspect.signature(SimAM).parameters
    named = [name for name, value in parameters.items() if value.kind == value.KEYWORD_ONLY]
    assert named == ["lam", "dims", "statistics", "one_position", "backend"]
    others = {name: value.annotation for name, value in parameters.items() if name not in named}
    assert others == {"refused": Never, "unknown": Never}


@pytest.mark.parametrize("make", [SqueezeExcite, CBAM, ECA, GlobalContext])
@pytest.mark.parametrize("value", [0, -16, 16.0, *NO_NUMBERS], ids=repr)
def test_the_rivals_take_whole_numbers_only(make: Any, value: Any) -> None:
    names = inspect.signature(make).parameters.keys() - {"gamma", "b", "ratio"}
    assert "channels" in names
    for name in names:
        with pytest.raises(ValueError, match=f"{name} must be a whole number of at least"):
            make(**({"channels": 16} | {name: value}))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), *NO_NUMBERS], ids=repr)
def test_the_constants_of_eca_are_finite_numbers(value: Any) -> None:
    with pytest.raises(ValueError, match="gamma must be a finite positive number"):
        ECA(16, gamma=value)
    with pytest.raises(ValueError, match="b must be a finite number"):
        ECA(16, b=value)


def test_whole_numbers_of_numpy_are_whole_numbers() -> None:
    x = torch.zeros(1, 16, 4, 4)
    for make in (SqueezeExcite, CBAM, ECA, GlobalContext):
        assert make(np.int64(16))(x).shape == x.shape


@pytest.mark.parametrize("value", NO_NUMBERS, ids=repr)
@pytest.mark.usefixtures("unchecked")
def test_energy_and_solvers_take_the_lam_that_the_module_takes(value: Any) -> None:
    x, others = np.arange(12.0).reshape(3, 4), np.arange(3.0)
    calls = [
        lambda lam: energy.gain(x, lam=lam),
        lambda lam: energy.importance(x, lam=lam),
        lambda lam: energy.neuron_energy(1.0, 0.0, 4.0, others, lam=lam),
        lambda lam: energy.minimal_energy(4.0, 1.0, 1.0, lam=lam),
        lambda lam: energy.optimal_weight_bias(4.0, 1.0, 1.0, lam=lam),
        lambda lam: gradient.simam_gradient(x, np.ones_like(x), lam=lam),
        *(
            lambda lam, solve=solve: solve(4.0, others, lam=lam)
            for solve in (
                solvers.solve_linear,
                solvers.solve_newton,
                solvers.solve_bfgs,
                solvers.condition_number,
                solvers.largest_stable_step,
                solvers.energy_hessian,
            )
        ),
    ]
    for call in calls:
        call(1e-4)
        with pytest.raises(ValueError, match="lam must be a finite number of at least 0"):
            call(value)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.zeros(2, 3, 1, 1), "at least two positions"),
        (torch.zeros(16, 8, 8), r"a single image is x\[None\], a batch \(n, c, l\) is for SimAM\(dims=1\)"),
        (torch.zeros(2, 3, 4, 5, 6), r"\(n, c, h, w\), .* batch \(n, c, d, h, w\) is for SimAM\(dims=3\)"),
        (torch.zeros(3, 4), r"the axes \(n, c, h, w\), got shape \(3, 4\)"),
        (torch.zeros(1, 2, 3, 4, 5, 6), "must have the axes"),
    ],
    ids=str,
)
@pytest.mark.parametrize("backend", ["auto", "torch", "reference"])
def test_a_map_of_another_number_of_axes_is_refused(backend: Any, x: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SimAM(backend=backend)(x)


@pytest.mark.parametrize(
    ("dims", "shape", "message"),
    [
        (1, (3, 8), r"\(n, c, l\), got shape .*; a single sound is x\[None\]$"),
        (1, (2, 3, 8, 8), r"a batch \(n, c, h, w\) is for SimAM\(dims=2\)"),
        (3, (2, 3, 8, 8), r"a single volume is x\[None\], a batch \(n, c, h, w\) is for SimAM\(dims=2\)"),
    ],
)
def test_dims_says_how_many_axes_a_map_has(dims: int, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SimAM(dims=dims)(torch.zeros(shape))
    x = draw(2, 3, *(4,) * dims)
    flat = SimAM()(x.reshape(2, 3, 1, -1)).reshape(x.shape)
    for backend in ("auto", "torch", "reference"):
        torch.testing.assert_close(SimAM(dims=dims, backend=backend)(x), flat)


@pytest.mark.filterwarnings("ignore")  # of torch.jit.trace
def test_compiled_and_mapped_it_refuses_another_number_of_axes() -> None:
    """Maps over a batch are of vmap; what each call gets is counted."""
    with pytest.raises(ValueError, match=r"a single image is x\[None\]"):
        torch.func.vmap(SimAM())(torch.zeros(2, 3, 4, 4))
    assert torch.func.vmap(SimAM(dims=1))(torch.zeros(2, 3, 4, 4)).shape == (2, 3, 4, 4)
    x = torch.zeros(3, 4, 4)
    unsupported = torch._dynamo.exc.Unsupported  # what torch 2.6 makes of an error
    for call in (
        lambda: torch.export.export(SimAM(), (x,)),
        lambda: torch.jit.trace(SimAM(), x),
        lambda: torch.compile(SimAM(), backend="eager")(x),
    ):
        with pytest.raises((ValueError, unsupported), match=r"a single image is x\[None\]|Observed exc"):
            call()


MAPS = torch.zeros(2, 16, 4, 4)


def nested() -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls it a prototype
        return torch.nested.nested_tensor([torch.zeros(16, 4, 4), torch.zeros(16, 4, 5)])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: [1.0, 2.0], r"torch.Tensor, got list; make one with torch.as_tensor\("),
        (lambda: MAPS.numpy(), r"torch.Tensor, got ndarray; make one with torch.as_tensor\("),
        (lambda: None, "torch.Tensor, got NoneType"),
        (lambda: 16, "torch.Tensor, got int"),
        (lambda: MAPS.int(), r"floating tensor, got torch.int32; convert it with x.float\(\)"),
        (lambda: MAPS.bool(), r"floating tensor, got torch.bool; convert it with x.float\(\)"),
        (lambda: MAPS + 0j, r"got torch.complex64; take x.abs\(\), or .* on x.real and on x.imag"),
        (
            lambda: torch.quantize_per_tensor(MAPS, 0.1, 0, torch.quint8),
            r"got torch.quint8; convert it with x.dequantize\(\)",
        ),
        (lambda: MAPS.to_sparse(), r"got torch.sparse_coo; convert it with x.to_dense\(\)"),
        (lambda: MAPS.to_mkldnn(), r"got torch._mkldnn; convert it with x.to_dense\(\)"),
        (nested, "got a nested one; call the module on each part"),
        (lambda: MAPS[:, :, :0], "at least one channel and one position"),
    ],
)
@pytest.mark.parametrize("name", ["simam", "se", "cbam", "eca", "gc"])
@pytest.mark.filterwarnings("ignore:.*quantiz.*")
def test_what_is_no_batch_of_maps_is_refused_with_the_way_out(name: str, make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^x must .*{message}"):
        attention_factory(name)(16)(make())


@pytest.mark.parametrize("name", ["se", "cbam", "eca", "gc"])
def test_a_single_image_is_told_to_the_rivals_user(name: str) -> None:
    with pytest.raises(ValueError, match=r"got shape \(16, 4, 4\); a single image is x\[None\]$"):
        attention_factory(name)(16)(MAPS[0])


def test_registry_makes_modules() -> None:
    assert set(ATTENTION) == {"none", "simam", "se", "cbam", "eca", "gc", *CONTROLS}
    assert isinstance(attention_factory("none")(16), torch.nn.Identity)
    made = attention_factory("simam", lam=0.1)
    first, second = made(16), made(16)
    assert isinstance(first, SimAM)
    assert first.lam == 0.1
    assert first is not second


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "simm",
            {},
            "attention must be one of cbam, eca, gc, none, one_sided, other_image, reversed, se, shuffled, "
            "simam, got 'simm'",
        ),
        ("simam", {"lambda_": 1.0}, "does not take these options"),
        ("none", {"lam": 1.0}, "does not take these options"),
        ("simam", {"lam": -1.0}, "lam must be"),
    ],
)
def test_registry_refuses(name: str, options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        attention_factory(name, **options)


def test_package_offers_simam_and_nothing_else() -> None:
    assert simam_edu.SimAM is SimAM
    with pytest.raises(AttributeError, match="no attribute 'SimAm'"):
        simam_edu.SimAm  # noqa: B018


MODULES = [squeeze_excite, cbam, eca, global_context, simam]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__.rpartition(".")[2])
def test_the_example_in_the_docstring_runs(module: Any) -> None:
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0
