"""Names of the first edition: each works for one more version and says what it is called now."""

import importlib

import pytest

OLD = [
    ("simam_edu.exercises", "Verdict", "Result"),
    ("simam_edu.networks", "PreResNet", "ResNet"),
    ("simam_edu.networks", "WideResNet", "ResNet"),
    ("simam_edu.experiments", "part", "shard"),
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
