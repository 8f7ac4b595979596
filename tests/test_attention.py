"""What the attention modules take and refuse: arguments, inputs, names."""

import inspect
import warnings
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

import simam_edu
from simam_cases import draw
from simam_edu import SimAM
from simam_edu.attention import (
    ATTENTION,
    CBAM,
    CONTROLS,
    ECA,
    GlobalContext,
    SqueezeExcite,
    attention_factory,
)

NO_NUMBERS = [True, None, "1e-4", 1j, np.array(1e-4), [1e-4], torch.tensor(1e-4)]
RIVALS = {"se": SqueezeExcite, "cbam": CBAM, "eca": ECA, "gc": GlobalContext}
MAPS = torch.zeros(2, 16, 4, 4)


# The arguments.


@pytest.mark.parametrize("lam", [-1e-4, float("nan"), 10**400, torch.nn.Parameter(MAPS), *NO_NUMBERS])
def test_lam_is_a_finite_number_of_at_least_0_and_nothing_to_learn(lam: Any) -> None:
    module = SimAM()
    for call in (
        lambda: SimAM(lam=lam),
        lambda: attention_factory("simam", lam=lam),
        lambda: setattr(module, "lam", lam),
    ):
        with pytest.raises(ValueError, match="lam must be a"):
            call()
    assert module.lam == 1e-4
    assert [*module.parameters(), *module.state_dict()] == []


@pytest.mark.parametrize("lam", [np.float32(0.5), np.float16(0.5), np.int64(2), Fraction(1, 2), 0])
def test_lam_is_any_real_number_of_python_or_numpy(lam: Any) -> None:
    module = SimAM(lam=lam)
    assert module.lam == float(lam)
    assert type(module.lam) is float


@pytest.mark.parametrize("value", [64, 1e-4, None], ids=repr)
def test_a_positional_argument_is_refused_with_the_right_call(value: Any) -> None:
    with pytest.raises(ValueError, match=r'lam must be given by name.*attention_factory\("simam", lam=0.1\)'):
        partial(SimAM, lam=0.1)(value)


@pytest.mark.parametrize(
    ("name", "value"),
    [("statistics", "exact"), ("statistics", None), ("one_position", "nan"), ("backend", "fast"),
     ("backend", "plain"), *(("dims", value) for value in (4, True, 2.0, torch.tensor(2)))],
)  # fmt: skip
def test_an_option_of_simam_must_be_one_of_its_choices(name: str, value: Any) -> None:
    module = SimAM()
    for wrong in (lambda: SimAM(**{name: value}), lambda: setattr(module, name, value)):
        with pytest.raises(ValueError, match=f"{name} must be one of .*, got"):
            wrong()
    assert repr(module) == repr(SimAM())


def test_numbers_and_words_of_numpy_are_options_too() -> None:
    module = SimAM(dims=np.int64(1), statistics=np.array(["population"])[0])
    assert (type(module.dims), type(module.statistics)) == (int, str)
    assert repr(module) == repr(SimAM(dims=1, statistics="population"))


@pytest.mark.parametrize("name", RIVALS)
@pytest.mark.parametrize("value", [0, 16.0, *NO_NUMBERS], ids=repr)
def test_the_rivals_take_whole_numbers_only(name: str, value: Any) -> None:
    whole = {"channels", "reduction", "min_hidden", "kernel_size"}
    for argument in whole.intersection(inspect.signature(RIVALS[name]).parameters):
        with pytest.raises(ValueError, match=f"{argument} must be a whole number of at least"):
            RIVALS[name](**({"channels": 16} | {argument: value}))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), *NO_NUMBERS], ids=repr)
@pytest.mark.parametrize("name", ["gamma", "b"])
def test_the_constants_of_eca_are_finite_numbers(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"{name} must be a finite"):
        ECA(16, **{name: value})


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("simm", {}, "attention must be one of cbam, .*, simam, got 'simm'"),
        ("simam", {"lam": -1.0}, "lam must be"),
        ("simam", {"e_lambda": 1e-4}, r"no argument e_lambda; it has lam \(the authors' e_lambda\)"),
        ("cbam", {"kernel_size": 6}, "kernel_size must be odd, so that a map keeps its size, got 6"),
        ("eca", {"gamma": 0.0}, "gamma must be a finite positive number"),
        ("gc", {"min_hidden": 1}, "min_hidden must be a whole number of at least 2, got 1; a layer norm"),
        ("none", {"lam": 1.0}, "does not take these options"),
        ("se", {"ratio": 16}, "does not take these options"),
    ],
)
def test_the_registry_refuses_before_a_network_is_built(name: str, options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        attention_factory(name, **options)


def test_the_registry_makes_new_modules_with_their_options() -> None:
    assert set(ATTENTION) == {"none", "simam", *RIVALS, *CONTROLS}
    assert isinstance(attention_factory("none")(16), torch.nn.Identity)
    made = attention_factory("simam", lam=0.1)
    assert repr(made(16)) == repr(made(16)) == "SimAM(lam=0.1)"
    assert made(16) is not made(16)
    for name in RIVALS:
        assert attention_factory(name)(np.int64(16))(MAPS).shape == MAPS.shape
    assert simam_edu.SimAM is SimAM
    with pytest.raises(AttributeError, match="no attribute 'SimAm'"):
        simam_edu.SimAm  # noqa: B018


# The inputs.


def nested() -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls it a prototype
        return torch.nested.nested_tensor([torch.zeros(16, 4, 4), torch.zeros(16, 4, 5)])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (MAPS.numpy, "torch.Tensor, got ndarray"),
        (lambda: None, "torch.Tensor, got NoneType"),
        (MAPS.int, r"dense floating tensor, got torch.int32.*x.float\(\)"),
        (lambda: MAPS + 0j, r"got torch.complex64.*take x.abs\(\)"),
        (lambda: torch.quantize_per_tensor(MAPS, 0.1, 0, torch.quint8), r"torch.quint8.*x.dequantize\(\)"),
        (MAPS.to_sparse, r"in the layout torch.sparse_coo.*x.to_dense\(\)"),
        (MAPS.to_mkldnn, "in the layout torch._mkldnn"),
        (nested, "got a nested one; call the module on each part"),
        (lambda: MAPS[:, :, :0], "at least one channel and one position"),
        (lambda: MAPS[0], r"the axes \(n, c, h, w\), got shape \(16, 4, 4\); a single image is x\[None\]"),
        (lambda: MAPS[None], r"the axes \(n, c, h, w\), got shape"),
        (lambda: MAPS[:, :8], "16 channels on its second axis, got shape"),
    ],
)
@pytest.mark.parametrize("name", ["simam", *RIVALS])
@pytest.mark.filterwarnings("ignore:.*quantiz.*")
def test_what_is_no_batch_of_maps_is_refused(name: str, make: Any, message: str) -> None:
    if name == "simam" and "channels on" in message:
        assert SimAM()(make()).shape == (2, 8, 4, 4), "it takes any number of them"
        return
    with pytest.raises(ValueError, match=f"^x must .*{message}"):
        attention_factory(name)(16)(make())


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("backend", ["auto", "torch", "reference"])
def test_dims_says_how_many_axes_a_map_has(backend: Any, dims: int) -> None:
    module = SimAM(dims=dims, backend=backend)
    for axes in {1, 2, 3, 4, 5, 6} - {dims + 2}:
        with pytest.raises(ValueError, match=r"x must have the axes .*; maps of other axes are for SimAM"):
            module(torch.zeros((2,) * axes))


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
def test_one_position_is_refused_or_half_where_that_is_chosen(backend: Any) -> None:
    x, mask = draw(2, 3, 1, 1), torch.tensor([True, False]).reshape(2, 1, 1, 1)
    for options in ((x,), (x, mask)):
        with pytest.raises(ValueError, match=r"at least two positions, got shape .* one_position='half'"):
            SimAM(backend=backend)(*options)
    module, half = SimAM(backend=backend, one_position="half"), x * torch.tensor(0.5).sigmoid()
    torch.testing.assert_close(module(x), half)
    torch.testing.assert_close(module(x, mask), torch.where(mask, half, x))
