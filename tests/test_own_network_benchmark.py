"""The benchmark of one's own network measures what it says, on new networks and drawn shapes."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from simam_edu import SimAM
from simam_edu.datasets import load
from simam_edu.networks import NETWORKS, build

FOLDER = Path(__file__).resolve().parent.parent / "benchmarks"
BEFORE = "before the last norm"


@pytest.fixture
def own_network(benchmark_script, monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    before = dict(NETWORKS)
    modules = [benchmark_script(f"own_network_{name}") for name in ("lab", "questions")]
    yield SimpleNamespace(**(vars(modules[0]) | vars(modules[1])))
    NETWORKS.clear()
    NETWORKS.update(before)


@pytest.fixture
def lab(own_network):
    """Networks that are new, with statistics of some images, in the place of trained ones."""
    found = own_network.Lab.__new__(own_network.Lab)
    found.train_set, found.test_set = (
        own_network.first_of(load("shapes", part), 40) for part in ("train", "test")
    )

    def trained(place, seed):
        torch.manual_seed(seed)
        network = own_network.with_simam(place, num_classes=10)
        network.train()(torch.randn(20, 3, 32, 32))
        return SimpleNamespace(network=network.eval())

    found.results, found.trained = {}, trained
    return found


def test_places_have_the_modules_that_they_say_and_the_weights_of_the_network_without(own_network):
    counts = {}
    for place in own_network.PLACES:
        torch.manual_seed(0)
        network = own_network.with_simam(place, num_classes=10)
        counts[place] = sum(isinstance(module, SimAM) for module in network.modules())
        torch.manual_seed(0)
        plain = build(own_network.NETWORK, num_classes=10).state_dict()
        assert all(torch.equal(value, plain[key]) for key, value in network.state_dict().items())
    assert list(counts.values()) == [0, 6, 6, 3, 1, 1, 6]


def test_factor_gives_a_normal_channel_its_variance(own_network):
    x = torch.randn(1, 1, 1000, 1000, generator=torch.Generator().manual_seed(0))
    assert own_network.Rescaled()(x).var().item() == pytest.approx(1, abs=0.01)
    assert own_network.normal_gain()[0] == pytest.approx((SimAM()(x) / x).mean().item(), abs=1e-3)


def test_norms_are_those_of_the_images(own_network):
    images = own_network.DeviceImages.put(
        own_network.first_of(load("shapes", "train"), 40), torch.device("cpu")
    )
    norm = nn.BatchNorm2d(3)
    own_network.estimate_norms(norm, images)
    x = next(images.plain_batches(40))[0]
    torch.testing.assert_close(norm.running_mean, x.mean((0, 2, 3)), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(norm.running_var, x.var((0, 2, 3)), rtol=1e-3, atol=1e-6)


def test_zeros_outside_leave_the_plain_network_alone_and_a_mask_simam(own_network, lab):
    for place in own_network.ASKED:
        rows = own_network.padding(lab, 0, place)["rows"]
        changed = {(row["value"], row["masked"], row["share"]): row["changed"] for row in rows}
        zeros = {key: value for key, value in changed.items() if key[0] == "zeros"}
        exact = [value for (_, masked, _), value in zeros.items() if masked or place == "none"]
        assert max(exact) < 1e-5
        assert min(value for key, value in changed.items() if zeros.get(key) not in exact) > 1e-4


def test_wide_margins_give_the_plain_network_the_whole_image_and_simam_another(own_network, lab):
    plain, simam = (own_network.tiles(lab, 0, place)["rows"] for place in own_network.ASKED)
    assert [row["tile"] for row in plain] == [32, 64, 96, 128]
    assert plain[0]["difference"] > 1e-2
    assert max(row["difference"] for row in plain[2:]) < 1e-5 < 1e-3 < simam[-1]["difference"]


def test_sizes_are_tested_without_a_change_at_that_of_training(own_network, lab):
    found = own_network.sizes(lab, 0, BEFORE)["accuracy"]
    x, labels = lab.test()
    assert found["32"] == own_network.accuracy(lab.network(BEFORE, 0)(x), labels)
    assert list(found) == ["16", "24", "32", "40", "48", "64", "96"]


def test_lambda_is_changed_in_the_copy_alone(own_network, lab):
    found = own_network.lambdas(lab, 0)
    x, labels = lab.test()
    assert found["accuracy"]["1e-4"] == own_network.accuracy(lab.network(BEFORE, 0)(x), labels)
    he, authors = (torch.tensor(found["first_std"][name]) for name in ("he", "authors"))
    assert (he / authors).mean().item() == pytest.approx(6**0.5, rel=0.15)
