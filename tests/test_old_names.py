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
def test_an_old_name_works_and_names_the_new_one_and_an_unknown_one_is_none(module, name, now) -> None:
    with pytest.warns(DeprecationWarning, match=rf"{module}.{name} .* it is now {now}"):
        assert callable(getattr(importlib.import_module(module), name))
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        importlib.import_module(module).Nothing  # noqa: B018


def test_the_old_name_of_the_type_works_and_names_the_new_one() -> None:
    with pytest.warns(DeprecationWarning, match=r"kernels.Path .* it is now Backend"):
        assert kernels.Path == kernels.Backend


def test_the_old_name_of_the_module_on_wrong_simams_works_and_names_the_new_one() -> None:
    with pytest.warns(DeprecationWarning, match=r"simam_edu\.gallery is now simam_edu\.wrong_simams"):
        old = importlib.import_module("simam_edu.gallery")
    assert old.GALLERY is importlib.import_module("simam_edu.wrong_simams").GALLERY


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
    "options",
    [
        {"correction": 2},
        {"correction": True},
        {"correction": 0, "statistics": "leave_one_out"},
        {"correction": 1, "statistics": "population"},
    ],
)
def test_a_correction_that_is_none_or_contradicts_the_statistics_is_refused(options) -> None:
    with pytest.raises(ValueError, match="correction must"):
        SimAM(**options)


def test_the_old_path_for_speaks_by_the_old_names() -> None:
    with pytest.warns(DeprecationWarning, match="backend_for"):
        path_for = kernels.path_for
    x = torch.zeros(1, 1, 2, 2)
    found = [path_for(x, path="plain"), path_for(x, "torch"), path_for(x.to("meta"))]
    assert found == ["plain", "torch", "plain"]


def test_an_old_attribute_works_and_names_the_new_one() -> None:
    progress = Progress(
        epoch=1, epochs=1, images=1, seen=1, metrics=Metrics(images=1, loss=0.5, accuracy=1.0),
        learning_rate=0.1, history=(),
    )  # fmt: skip
    with pytest.warns(DeprecationWarning, match="Progress.score is now Progress.metrics"):
        assert progress.score is progress.metrics


@pytest.mark.parametrize(("name", "now"), [("correction", "statistics"), ("path", "backend")])
def test_an_old_attribute_is_not_set_without_an_effect(name, now) -> None:
    with pytest.raises(AttributeError, match=f"no {name} to be set; it is now {now}"):
        setattr(SimAM(), name, 0)


# What the pages of the first edition imported, by module; the notebooks of their readers still do.
PAGES_IMPORTED = {
    "simam_edu": "SimAM benchmark derivation energy gradient kernels solvers",
    "simam_edu.attention": "CBAM ECA GlobalContext SqueezeExcite attention_factory",
    "simam_edu.benchmark": "TenLines",
    "simam_edu.datasets": "load",
    "simam_edu.derivation": "M SUM SUM_OF_SQUARES b derive lam mu s sigma t w",
    "simam_edu.exercises": "check",
    "simam_edu.exercises.wrong_simams": "mystery",
    "simam_edu.experiments": (
        "estimate grid holm in_words make_tables markdown missing_runs paper_differences "
        "paper_table power runs_needed welch"
    ),
    "simam_edu.experiments.report": "column_name",
    "simam_edu.experiments.text": "accuracy_table difference_table",
    "simam_edu.gallery": "CHECKS GALLERY batches caught gains right",
    "simam_edu.kernels": "tiling triton_kernels",
    "simam_edu.networks": "BasicBlock NETWORKS build",
    "simam_edu.plots.closed_form": "bowl_figure midpoint_figure",
    "simam_edu.plots.descent": (
        "digits_figure floor_figure iterations_figure paths_figure price_figure "
        "schedules_figure stability_figure step_size_figure"
    ),
    "simam_edu.plots.energy": "energies_figure fisher_figure separation_figure surrogate_figure",
    "simam_edu.plots.gain": (
        "budget_figure cap_figure p_values_figure penalty_figure shape_figure slopes_figure"
    ),
    "simam_edu.plots.gallery": "gallery_figure",
    "simam_edu.plots.gpu_kernel": "roofline_figure traffic_figure",
    "simam_edu.plots.gradients": (
        "copies_figure errors_figure growth_figure half_precision_figure matrices_figure norms_figure"
    ),
    "simam_edu.plots.images": "image_grid",
    "simam_edu.plots.module": "gain_figure maps_figure",
    "simam_edu.plots.networks": "slots_figure",
    "simam_edu.plots.one_mean": "differences_figure importance_figure",
    "simam_edu.plots.rivals": "costs_figure gains_figure",
    "simam_edu.plots.study": "differences_figure power_figure report_figure",
    "simam_edu.plots.training": "curves_figure live_curves schedule_figure stages_figure",
    "simam_edu.training": "DeviceImages RECIPES TrainConfig loop make_record recorded train",
    "simam_edu.training.record": "environment",
    "simam_edu.widgets": "energy_widget",
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("module", PAGES_IMPORTED)
def test_what_a_page_of_the_first_edition_imported_still_imports(module: str) -> None:
    exec(f"from {module} import {PAGES_IMPORTED[module].replace(' ', ', ')}", {})
