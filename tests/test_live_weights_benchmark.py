"""The script of the network in the page holds the trained network, and its records say whose it is."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import live_weights
from simam_edu import SimAM, datasets
from simam_edu.networks import build
from simam_edu.training import append_record, read_records
from simam_edu.training.checkpoint import save_checkpoint

SHAPES = datasets.load("shapes", "test")
NAMES = ("network", "attention", "seed", "epochs", "training_images", "test_accuracy", "source")
RUN = dict.fromkeys(NAMES, 0) | {"slot": "pre_norm", "dataset": "cifar10", "attention_options": {}}
RUN |= {"network": "resnet20", "attention": "simam"}


@pytest.fixture
def network():
    torch.manual_seed(0)
    network = build("resnet20", num_classes=len(SHAPES.classes), attention=lambda _: SimAM())
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):  # norms that have learned
            torch.nn.init.uniform_(layer.weight, 0.5, 2.0)
            torch.nn.init.normal_(layer.bias, std=0.3)
            torch.nn.init.normal_(layer.running_mean, std=0.3)
            torch.nn.init.uniform_(layer.running_var, 0.5, 2.0)
    return network.eval()


def test_written_and_read_again_the_network_is_the_same_but_for_rounding(network):
    content = live_weights.content_of(network, RUN, SHAPES)
    images = torch.from_numpy(SHAPES.images[:8]).float() / 128 - 1
    with torch.no_grad():
        wanted, found = network(images), live_weights.network_of(json.loads(json.dumps(content)))(images)
    assert (wanted - found).abs().max() < 5e-3 * wanted.abs().max()
    assert (wanted - found).abs().max() > 0, "it is rounded"


def test_what_does_not_fit_into_float16_is_refused_by_its_name(network):
    network.head.weight.data[0, 0] = 7e4
    with pytest.raises(ValueError, match=r"head\.weight must fit into float16, got numbers up to 70000"):
        live_weights.layers(network)


def test_samples_are_the_first_of_each_class(network):
    first = [np.argmax(SHAPES.labels == label) for label in range(10)]
    found = live_weights.samples(SHAPES)
    assert list(found[:10]) == first
    assert len(found) == live_weights.SAMPLES
    content = live_weights.content_of(network, RUN, SHAPES)
    assert np.array_equal(live_weights.samples_of(content), SHAPES.images[found])


def test_only_the_folder_of_a_finished_run_of_this_network_is_taken(network, tmp_path):
    with pytest.raises(ValueError, match=r"folder must be of a finished run.*record\.json"):
        live_weights.trained(tmp_path)
    save_checkpoint(tmp_path, {"state": {"network": network.state_dict()}}, step=1, keep=None)
    (tmp_path / "record.json").write_text(json.dumps(RUN | {"attention": "se"}))
    with pytest.raises(ValueError, match=r"the run must be resnet20 simam pre_norm cifar10.*'se'"):
        live_weights.trained(tmp_path)


def test_the_script_of_the_page_is_of_the_recorded_run():
    run, measured = read_records(live_weights.RECORDS)
    content = live_weights.read()
    assert content["run"] == {name: run[name] for name in NAMES}
    assert measured["accuracy"].keys() == live_weights.CHANGES.keys()
    arrays = live_weights.arrays_of(content)
    assert measured["parameters"] == sum(array.size for array in arrays.values())
    assert abs(measured["accuracy"]["as trained"] - run["test_accuracy"]) < 2e-3, "float16 is enough"


def test_the_program_writes_script_and_records(network, tmp_path, monkeypatch):
    small = replace(SHAPES, images=SHAPES.images[:64], labels=SHAPES.labels[:64], masks=None)
    monkeypatch.setattr(live_weights, "load", lambda *_: small)
    monkeypatch.setattr(live_weights, "trained", lambda _: (network, RUN))
    out, records = tmp_path / "live" / "network.js", tmp_path / "live.jsonl"
    append_record(records, {"run": "an earlier one"})
    live_weights.main(["folder", "--out", str(out), "--record", str(records)])
    run, measured = read_records(Path(records))
    assert run == RUN
    assert live_weights.read(out)["classes"] == list(SHAPES.classes)
    assert measured["images"] == 64
    assert all(0 <= value <= 1 for value in measured["accuracy"].values())
