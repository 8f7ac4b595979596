"""The benchmark on maps measures what it says, and writes what the page reads."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import map_measures as measures
from simam_edu.attention import attention_factory
from simam_edu.datasets import load
from simam_edu.networks import build

RECORD = Path(__file__).resolve().parent.parent / "book" / "results" / "localisation.jsonl"
RNG = np.random.default_rng(0)
MASKS = RNG.random((5, 8, 8)) < 0.3


@pytest.fixture(scope="module")
def few():
    """The first of the test images."""
    full = load("shapes", "test")
    return lambda n: replace(full, images=full.images[:n], labels=full.labels[:n], masks=full.masks[:n])


def network(seed=0):
    torch.manual_seed(seed)
    return build("resnet8", num_classes=10, attention=attention_factory("simam")).eval()


def test_the_area_under_the_curve_counts_pairs_and_halves_ties():
    values = RNG.integers(0, 5, (5, 64))
    objects = MASKS.reshape(5, 64)
    for value, mask, found in zip(values, objects, measures.auc(values, objects), strict=True):
        pairs = value[mask][:, None] - value[~mask]
        assert found == pytest.approx(((pairs > 0) + (pairs == 0) / 2).mean())


def test_the_object_itself_is_the_best_map_and_a_constant_one_says_nothing():
    perfect = torch.from_numpy(MASKS).float()
    found = measures.located(perfect, MASKS, measures.best_threshold(perfect, MASKS))
    area = (1 / MASKS.mean(axis=(1, 2))).mean()
    assert found == pytest.approx({"auc": 1, "mass": area, "pointing": 1, "iou": 1, "threshold": 0.05})
    nothing = measures.located(torch.ones(5, 4, 4), MASKS, 0.5)
    assert nothing == {"auc": 0.5, "mass": 1.0, "pointing": 0.0, "iou": 0.0, "threshold": 0.5}


def test_the_threshold_of_a_map_is_chosen_on_the_other_images():
    shown = torch.from_numpy(MASKS).float()  # 0.05 would be the best for these
    chosen = torch.where(shown > 0, 1.0, 0.52)
    background = torch.from_numpy((~MASKS).reshape(5, 64).argmax(axis=1))
    chosen.flatten(1)[torch.arange(5), background] = 0.0
    found = measures.measured({"map": shown}, MASKS, {"map": chosen}, MASKS)
    assert found["map"]["threshold"] == pytest.approx(0.55)


def test_replaced_gains_keep_what_they_say():
    gain = torch.rand(3, 2, 4, 4)
    assert torch.equal(measures.replaced_gain(gain, "own"), gain)
    torch.testing.assert_close(measures.replaced_gain(gain, "mean").flatten(), gain.mean((2, 3)).flatten())
    shuffled = measures.replaced_gain(gain, "shuffled")
    assert not torch.equal(shuffled, gain)
    assert torch.equal(shuffled.flatten(2).sort().values, gain.flatten(2).sort().values)
    assert torch.equal(measures.replaced_gain(gain, "other image")[1], gain[0])


def test_own_gains_in_place_of_the_modules_change_no_answer_and_other_gains_do(monkeypatch):
    model, x = network(), torch.randn(16, 3, 32, 32)
    with torch.no_grad():
        model.head.bias -= model(x).mean(dim=0)  # else an untrained network gives one answer to all
    labels = model(x).argmax(dim=1)
    found = measures.causal(model, x, labels)
    assert all(entry["lost"] == entry["won"] == 0 for entry in found if entry["how"] == "own")
    monkeypatch.setattr(measures, "replaced_gain", lambda gain, _: 9 * torch.randn(gain.shape))
    assert all(entry["lost"] > 0 for entry in measures.causal(model, x, labels) if len(entry["stages"]) > 1)
    assert not any(module._forward_hooks for module in model.modules())


def test_zoomed_images_show_larger_objects_and_their_masks_follow(few):
    images = few(4)
    wide = measures.zoomed(images)
    assert np.array_equal(wide.images[:4], images.images)
    assert np.array_equal(wide.masks[:4], images.masks)
    shares = wide.masks.mean(axis=(1, 2)).reshape(len(measures.WINDOWS), 4)
    assert (np.diff(shares[:5], axis=0) > 0).all()  # the last crop may cut the object
    (found,) = measures.by_share({"mask": torch.from_numpy(wide.masks).float()}, wide.masks).values()
    assert sum(entry[0] for entry in found) == (~wide.masks.all(axis=(1, 2))).sum()
    assert all(entry[2:] == [1.0, 1.0] for entry in found if entry[0])


def test_gains_stay_where_the_layers_above_are_made_anew():
    x = torch.randn(3, 3, 32, 32)
    found = measures.randomized(network(), network(1), x, torch.zeros(3, dtype=torch.int64))
    assert found["stages.2"]["gain 2"] == pytest.approx(1)
    assert found["stages.2"]["gain 3"] < 0.99
    assert found["stem"]["gain 1"] < 0.99


def test_a_run_has_what_the_page_reads_and_is_not_run_again(benchmark_script, few, tmp_path, monkeypatch):
    localisation = benchmark_script("localisation")
    monkeypatch.setattr(localisation, "load", lambda *_: few(100))
    monkeypatch.setattr(localisation, "COVERED", 3)
    out = tmp_path / "out.jsonl"
    command = ["--out", str(out), "--folder", str(tmp_path), "--epochs", "1"]
    command += ["--seeds", "0", "--modules", "simam"]
    localisation.main(command)
    lines = out.read_text()
    kept = [json.loads(line) for line in RECORD.read_text().splitlines()]
    by_kind = {(record["kind"], record.get("attention")): record for record in kept}
    for record in map(json.loads, lines.splitlines()):
        wanted = by_kind[record["kind"], record.get("attention")]
        assert record.keys() == wanted.keys()
        assert record["maps"].keys() == wanted["maps"].keys()
    localisation.main(command)
    assert out.read_text() == lines
    assert localisation.trained(tmp_path / "simam-s0", 10)[1].network == "resnet8"
    with pytest.raises(ValueError, match="folder must be of a finished run"):
        localisation.trained(tmp_path, 10)
