"""The benchmark on feature maps measures what it says, and writes what the page reads."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from simam_edu import energy
from simam_edu.attention import attention_factory
from simam_edu.networks import build

RECORD = Path(__file__).resolve().parent.parent / "book" / "results" / "feature_maps.jsonl"


@pytest.fixture(scope="module")
def feature_maps(benchmark_script):
    return benchmark_script("feature_maps")


def test_the_maps_are_what_enters_each_module_and_leaves_each_block(feature_maps):
    network = build("resnet20", num_classes=10, attention=attention_factory("simam"), slot="pre_norm")
    found = feature_maps.feature_maps(network, torch.randn(2, 3, 32, 32))
    assert [(stage, place) for stage, place, _ in found] == [
        (f"stage {k}", place)
        for k in (1, 2, 3)
        for _ in range(3)
        for place in ("before SimAM", "after the block")
    ]
    assert {maps.shape for _, _, maps in found} == {(2, 16, 32, 32), (2, 32, 16, 16), (2, 64, 8, 8)}
    assert all((maps >= 0).all() == (place == "after the block") for _, place, maps in found)
    assert not any(module._forward_hooks for module in network.modules())


def test_the_description_of_maps_by_a_loop(feature_maps):
    maps = np.random.default_rng(0).normal(size=(2, 3, 4, 4)).clip(0)
    maps[1, 2] = 7.0
    channels = [channel for channel in maps.reshape(6, 4, 4) if channel.std() > 0]
    found = feature_maps.describe(maps)
    assert (found["neurons"], found["channels"], found["constant"]) == (16, 6, 1)
    assert found["zeros"] == np.mean([value == 0 for value in maps.ravel()])
    for name in ("shared", "population"):
        gaps = [
            np.abs(energy.gain(c, statistics=name) - energy.gain(c, statistics="leave_one_out")).max()
            for c in channels
        ]
        assert np.allclose(found["differences"][name], np.quantile(gaps, [0.5, 0.95, 1]))
    scores = [((c - c.mean()) / c.std()) ** 4 for c in channels]
    assert np.allclose(found["kurtosis"], np.quantile([s.mean() - 3 for s in scores], [0.25, 0.5, 0.75]))
    assert np.allclose(found["variance"], np.quantile([c.var(ddof=1) for c in channels], [0.25, 0.5, 0.75]))


def test_a_wrong_order_shows(feature_maps, monkeypatch):
    right, maps = energy.gain, np.random.default_rng(0).normal(size=(1, 1, 3, 3))
    assert feature_maps.describe(maps)["disorder"] < 1e-12
    turned = {"leave_one_out": -1}
    monkeypatch.setattr(
        energy, "gain", lambda x, *, statistics: turned.get(statistics, 1) * right(x, statistics=statistics)
    )
    assert feature_maps.describe(maps)["disorder"] > 1e-3


def test_the_record_has_what_the_page_reads(feature_maps, tmp_path, monkeypatch):
    full = feature_maps.load("shapes", "train")
    few = replace(full, images=full.images[:40], labels=full.labels[:40], masks=None)
    monkeypatch.setattr(feature_maps, "load", lambda *_: few)
    out = tmp_path / "maps.jsonl"
    feature_maps.main(["--out", str(out), "--epochs", "1", "--images", "4"])
    record, kept = json.loads(out.read_text()), json.loads(RECORD.read_text())
    assert record.keys() == kept.keys()
    assert [maps.keys() for maps in record["maps"]] == [maps.keys() for maps in kept["maps"]]
    assert (kept["dataset"], kept["images"]) == ("cifar10", 100)
