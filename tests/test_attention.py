"""What the attention modules take and refuse: arguments, inputs, names."""

import doctest
import inspect
import sys
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
)

NO_NUMBERS = [True, None, "1e-4", 1j, np.array(1e-4), np.True_, [1e-4], torch.tensor(1e-4)]
RIVALS = {"se": SqueezeExcite, "cbam": CBAM, "eca": ECA, "gc": GlobalContext}
RIVAL_MODULES = pytest.mark.parametrize("name", RIVALS)
REFUSED_LAM = "lam must be a finite number of at least 0"
TO_LEARN = r"lam must be a number of Python or numpy, got a .*: use lam=float\(value\)"


def test_simam_has_nothing_to_learn_and_says_lam() -> None:
    module = SimAM(lam=0.1)
    assert list(module.parameters()) == []
    assert module.state_dict() == {}
    assert repr(module) == "SimAM(lam=0.1)"


# The arguments.


@pytest.mark.parametrize(
    ("lam", "message"),
    [
        *((lam, REFUSED_LAM) for lam in (-1e-4, float("nan"), float("inf"), 10**400, *NO_NUMBERS[:-1])),
        *((kind(torch.tensor(1e-4)), TO_LEARN) for kind in (torch.Tensor, torch.nn.Parameter)),
    ],
    ids=lambda value: repr(value)[:9],
)
def test_lam_is_a_finite_number_of_at_least_0_and_nothing_to_learn(lam: Any, message: str) -> None:
    module = SimAM()
    for call in (
        lambda: SimAM(lam=lam),
        lambda: attention_factory("simam", lam=lam),
        lambda: setattr(module, "lam", lam),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    assert module.lam == 1e-4
    assert list(module.parameters()) == []


@pytest.mark.parametrize("lam", [np.float32(0.5), np.float16(0.5), np.int64(2), Fraction(1, 2), 0, 2])
def test_lam_is_any_real_number_of_python_or_numpy(lam: Any) -> None:
    module = SimAM(lam=lam)
    assert module.lam == float(lam)
    assert type(module.lam) is float


@pytest.mark.parametrize("value", NO_NUMBERS, ids=repr)
@pytest.mark.usefixtures("unchecked")
def test_energy_and_solvers_take_the_lam_that_the_module_takes(value: Any) -> None:
    x, others = np.arange(12.0).reshape(3, 4), np.arange(3.0)
    least = solvers.condition_number, solvers.largest_stable_step, solvers.energy_hessian
    for function, *arguments in (
        (energy.gain, x),
        (energy.importance, x),
        (energy.neuron_energy, 1.0, 0.0, 4.0, others),
        (energy.minimal_energy, 4.0, 1.0, 1.0),
        (energy.optimal_weight_bias, 4.0, 1.0, 1.0),
        (gradient.simam_gradient, x, np.ones_like(x)),
        *((solve, 4.0, others) for solve in (solvers.solve_linear, solvers.solve_newton, solvers.solve_bfgs)),
        *((look, 4.0, others) for look in least),
    ):
        function(*arguments, lam=1e-4)
        with pytest.raises(ValueError, match=REFUSED_LAM):
            function(*arguments, lam=value)


@pytest.mark.parametrize("value", [64, 1e-4, True, None, "1e-4", [1024]], ids=repr)
def test_a_positional_argument_is_refused_with_the_right_calls(value: Any) -> None:
    message = r"lam must be given by name, got SimAM\(.*\); SimAM\(\) has no channels.*SimAM\(lam=\.\.\.\)"
    with pytest.raises(ValueError, match=message):
        SimAM(value)
    with pytest.raises(ValueError, match=r'attention_factory\("simam", lam=0.1\)'):
        partial(SimAM, lam=0.1)(value)


def test_the_signature_shows_the_arguments_no_positional_one_and_no_other() -> None:
    parameters = inspect.signature(SimAM).parameters
    named = [name for name, value in parameters.items() if value.kind == value.KEYWORD_ONLY]
    assert named == ["lam", "dims", "statistics", "one_position", "backend"]
    others = {name: value.annotation for name, value in parameters.items() if name not in named}
    assert others == {"refused": Never, "unknown": Never}
    with pytest.raises(TypeError, match=r"no argument e_lambda; it has lam \(the authors' e_lambda\)"):
        SimAM(e_lambda=1e-4)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("statistics", "exact", "shared, population, leave_one_out, got 'exact'"),
        ("statistics", None, "shared, population, leave_one_out, got None"),
        ("one_position", "nan", "refuse, half, got 'nan'"),
        ("backend", "fast", "auto, native, torch, triton, reference, got 'fast'"),
        ("backend", "plain", "reference, got 'plain'"),
        *(("dims", value, f"1, 2, 3, got {value}") for value in (4, True, 2.0)),
        ("dims", torch.tensor(2), r"1, 2, 3, got tensor\(2\)"),
    ],
)
def test_an_option_of_simam_must_be_one_of_its_choices(name: str, value: Any, words: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be one of .*{words}"):
        SimAM(**{name: value})


WHOLE = ["channels", "reduction", "min_hidden", "kernel_size"]


@RIVAL_MODULES
@pytest.mark.parametrize("value", [0, -16, 16.0, *NO_NUMBERS], ids=repr)
def test_the_rivals_take_whole_numbers_only(name: str, value: Any) -> None:
    for argument in inspect.signature(RIVALS[name]).parameters.keys() & WHOLE:
        with pytest.raises(ValueError, match=f"{argument} must be a whole number of at least"):
            RIVALS[name](**({"channels": 16} | {argument: value}))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), *NO_NUMBERS], ids=repr)
def test_the_constants_of_eca_are_finite_numbers(value: Any) -> None:
    with pytest.raises(ValueError, match="gamma must be a finite positive number"):
        ECA(16, gamma=value)
    with pytest.raises(ValueError, match="b must be a finite number"):
        ECA(16, b=value)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "simm",
            {},
            "attention must be one of cbam, eca, gc, none, one_sided, other_image, reversed, se, shuffled, "
            "simam, got 'simm'",
        ),
        ("simam", {"lam": -1.0}, "lam must be"),
        ("simam", {"e_lambda": 1e-4}, r"no argument e_lambda; it has lam \(the authors' e_lambda\)"),
        ("cbam", {"kernel_size": 6}, "kernel_size must be odd, so that a map keeps its size, got 6"),
        ("eca", {"gamma": 0.0}, "gamma must be a finite positive number"),
        ("gc", {"min_hidden": 1}, "min_hidden must be a whole number of at least 2, got 1; a layer norm"),
        *(
            (name, options, "does not take these options")
            for name, options in (
                ("simam", {"lambda_": 1.0}),
                ("none", {"lam": 1.0}),
                ("se", {"ratio": 16}),
                ("eca", {"k_size": 3}),
                ("gc", {"r": 16}),
            )
        ),
    ],
)
def test_the_registry_refuses_before_a_network_is_built(name: str, options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        attention_factory(name, **options)


# The inputs.

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
        (lambda: MAPS[0, 0], r"the axes \(n, c, h, w\), got shape \(4, 4\); merge or add axes with x"),
        (lambda: MAPS[0], r"got shape \(16, 4, 4\); a single image is x\[None\]"),
    ],
)
@pytest.mark.parametrize("name", ["simam", *RIVALS])
@pytest.mark.filterwarnings("ignore:.*quantiz.*")
def test_what_is_no_batch_of_maps_is_refused_with_the_way_out(name: str, make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^x must .*{message}"):
        attention_factory(name)(16)(make())


@RIVAL_MODULES
@pytest.mark.parametrize("shape", [(2, 8, 4, 4), (2, 4, 4, 16), (1, 1, 16, 4, 4), (16, 4, 4)], ids=str)
def test_the_rivals_refuse_other_channels_and_have_no_dims(name: str, shape: tuple[int, ...]) -> None:
    words = "must have 16 channels on its second axis" if len(shape) == 4 else "must have the axes"
    advice = r"(make the module for .*|merge or add axes .*|a single image is x\[None\])"
    with pytest.raises(ValueError, match=rf"^x {words}.*, got shape .*; {advice}$"):
        attention_factory(name)(16)(torch.zeros(shape))


@pytest.mark.parametrize(
    ("dims", "shape", "message"),
    [
        (2, (2, 3, 1, 1), "at least two positions"),
        (2, (16, 8, 8), r"a single image is x\[None\], a batch \(n, c, l\) is for SimAM\(dims=1\)"),
        (2, (2, 3, 4, 5, 6), r"\(n, c, h, w\), .* batch \(n, c, d, h, w\) is for SimAM\(dims=3\)"),
        (2, (1, 2, 3, 4, 5, 6), "must have the axes"),
        (1, (3, 8), r"\(n, c, l\), got shape .*; a single sound is x\[None\]$"),
        (1, (2, 3, 8, 8), r"a batch \(n, c, h, w\) is for SimAM\(dims=2\)"),
        (3, (2, 3, 8, 8), r"a single volume is x\[None\], a batch \(n, c, h, w\) is for SimAM\(dims=2\)"),
    ],
)
@pytest.mark.parametrize("backend", ["auto", "torch", "reference"])
def test_dims_says_how_many_axes_a_map_has(
    backend: Any, dims: int, shape: tuple[int, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        SimAM(dims=dims, backend=backend)(torch.zeros(shape))
    x = draw(2, 3, *(4,) * dims)
    flat = SimAM()(x.reshape(2, 3, 1, -1)).reshape(x.shape)
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


@pytest.mark.parametrize("backend", ["torch", "reference"])
def test_one_position_is_half_where_that_is_chosen(backend: Any) -> None:
    x = draw(2, 3, 1, 1).requires_grad_()
    with pytest.raises(ValueError, match=r"at least two positions, got shape .* choose one_position='half'"):
        SimAM(backend=backend)(x)
    y = SimAM(backend=backend, one_position="half")(x)
    torch.testing.assert_close(y, x * torch.tensor(0.5).sigmoid())


# The names.


def test_the_registry_makes_new_modules_with_their_options() -> None:
    assert set(ATTENTION) == {"none", "simam", *RIVALS, *CONTROLS}
    assert isinstance(attention_factory("none")(16), torch.nn.Identity)
    made = attention_factory("simam", lam=0.1)
    first, second = made(16), made(16)
    assert isinstance(first, SimAM)
    assert first.lam == 0.1
    assert first is not second
    for name in RIVALS:
        assert attention_factory(name)(np.int64(16))(MAPS).shape == MAPS.shape


def test_package_offers_simam_and_no_misspelling() -> None:
    assert simam_edu.SimAM is SimAM
    with pytest.raises(AttributeError, match="no attribute 'SimAm'"):
        simam_edu.SimAm  # noqa: B018


@pytest.mark.parametrize("kind", [SimAM, *RIVALS.values()], ids=lambda kind: kind.__name__)
def test_the_example_in_the_docstring_runs(kind: type) -> None:
    result = doctest.testmod(sys.modules[kind.__module__])
    assert result.attempted > 0
    assert result.failed == 0
