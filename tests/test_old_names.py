"""Names of the first edition: each works for one more version and says what it is called now."""

import importlib

import pytest
import torch

from simam_edu import SimAM, kernels
from simam_edu.attention import GlobalContext, attention_factory
from simam_edu.training import Metrics, Progress

OLD = [
    ("simam_edu.exercises", "Verdict", "Result"),
    ("simam_edu.networks", "PreResNet", "ResNet"),
    ("simam_edu.networks", "WideResNet", "ResNet"),
    ("simam_edu.experiments", "part", "shard"),
    ("simam_edu.kernels", "path_for", "backend_for"),
    ("simam_edu.kernels.plain", "simam", "kernels.reference.simam"),
    ("simam_edu.kernels.plain", "gradient", "kernels.reference.gradient"),
    *(
        ("simam_edu.kernels.generated_code", name, f"kernels.inspect.{name}")
        for name in ("Access", "GeneratedCode", "accesses", "generate", "thread_bytes")
    ),
    ("simam_edu.training", "Score", "Metrics"),
]


@pytest.mark.parametrize(("module", "name", "now"), OLD)
def test_an_old_name_works_and_names_the_new_one(module: str, name: str, now: str) -> None:
    with pytest.warns(DeprecationWarning, match=rf"{module}.{name} .* it is now {now}"):
        assert callable(getattr(importlib.import_module(module), name))


def test_the_old_name_of_the_module_on_wrong_simams_works_and_names_the_new_one() -> None:
    with pytest.warns(DeprecationWarning, match=r"simam_edu\.gallery is now simam_edu\.wrong_simams"):
        old = importlib.import_module("simam_edu.gallery")
    assert old.GALLERY is importlib.import_module("simam_edu.wrong_simams").GALLERY


@pytest.mark.parametrize("module", sorted({module for module, *_ in OLD}))
def test_an_unknown_name_is_no_attribute(module: str) -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        importlib.import_module(module).Nothing  # noqa: B018


@pytest.mark.parametrize(
    ("make", "name", "now"),
    [
        (lambda: SimAM(correction=0), "correction", SimAM(statistics="population")),
        (lambda: SimAM(correction=1), "correction", SimAM()),
        (
            lambda: SimAM(correction=1, statistics="leave_one_out"),
            "correction",
            SimAM(statistics="leave_one_out"),
        ),
        (lambda: SimAM(path="plain"), "path", SimAM(backend="reference")),
        (lambda: SimAM(path="torch"), "path", SimAM(backend="torch")),
        (lambda: GlobalContext(64, ratio=8), "ratio", GlobalContext(64, reduction=8)),
        (lambda: attention_factory("gc", ratio=8)(64), "ratio", GlobalContext(64, reduction=8)),
    ],
)
def test_an_old_argument_makes_the_same_module_and_names_the_new_one(make, name, now) -> None:
    with pytest.warns(DeprecationWarning, match=rf"{name}=.* it is now"):
        assert repr(make()) == repr(now)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"correction": 2}, "correction must be 1, as in the authors' code, or 0"),
        ({"correction": True}, "correction must be 1, as in the authors' code, or 0"),
        ({"correction": 0, "statistics": "leave_one_out"}, "correction must not contradict statistics="),
        ({"correction": 1, "statistics": "population"}, "correction must not contradict statistics="),
    ],
)
def test_a_correction_that_is_none_or_contradicts_the_statistics_is_refused(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        SimAM(**options)


def test_the_old_path_for_speaks_by_the_old_names() -> None:
    with pytest.warns(DeprecationWarning, match="backend_for"):
        path_for = kernels.path_for
    x = torch.zeros(1, 1, 2, 2)
    assert [path_for(x, path="plain"), path_for(x, "torch"), path_for(x.to("meta"))] == [
        "plain",
        "torch",
        "plain",
    ]


def test_an_old_attribute_works_and_names_the_new_one() -> None:
    metrics = Metrics(images=1, loss=0.5, accuracy=1.0)
    progress = Progress(
        epoch=1, epochs=1, images=1, seen=1, metrics=metrics, learning_rate=0.1, history=()
    )  # fmt: skip
    with pytest.warns(DeprecationWarning, match="Progress.score is now Progress.metrics"):
        assert progress.score is metrics


@pytest.mark.parametrize(("name", "now"), [("correction", "statistics"), ("path", "backend")])
def test_an_old_attribute_is_not_set_without_an_effect(name: str, now: str) -> None:
    with pytest.raises(AttributeError, match=f"no {name} to be set; it is now {now}"):
        setattr(SimAM(), name, 0)
