"""Names of the first edition: each works for one more version and says what it is called now."""

import importlib

import pytest

from simam_edu.training import Metrics, Progress

OLD = [
    ("simam_edu.networks", "PreResNet", "ResNet"),
    ("simam_edu.networks", "WideResNet", "ResNet"),
    ("simam_edu.training", "Score", "Metrics"),
]


@pytest.mark.parametrize(("module", "name", "now"), OLD)
def test_an_old_name_works_and_names_the_new_one(module: str, name: str, now: str) -> None:
    with pytest.warns(DeprecationWarning, match=rf"{module}.{name} .* it is now {now}"):
        assert callable(getattr(importlib.import_module(module), name))


@pytest.mark.parametrize("module", sorted({module for module, *_ in OLD}))
def test_an_unknown_name_is_no_attribute(module: str) -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        importlib.import_module(module).Nothing  # noqa: B018


def test_an_old_attribute_works_and_names_the_new_one() -> None:
    metrics = Metrics(images=1, loss=0.5, accuracy=1.0)
    progress = Progress(
        epoch=1, epochs=1, images=1, seen=1, metrics=metrics, learning_rate=0.1, history=()
    )  # fmt: skip
    with pytest.warns(DeprecationWarning, match="Progress.score is now Progress.metrics"):
        assert progress.score is metrics
