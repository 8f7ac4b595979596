"""The benchmark on ranks measures what it says, goes on where it was, and writes what the page reads."""

import numpy as np
import pytest
import torch

from simam_edu import energy
from simam_edu.attention import attention_factory
from simam_edu.networks import build
from simam_edu.training import read_records, recorded


@pytest.fixture(scope="module")
def rank_share(benchmark_script):
    return benchmark_script("rank_share")


def share_of_a_fit(table, columns):
    """The share of the variance that least squares on some columns explains."""
    fitted = columns @ np.linalg.lstsq(columns, table.ravel(), rcond=None)[0]
    return 1 - np.sum((table.ravel() - fitted) ** 2) / np.sum((table - table.mean()) ** 2)


def test_the_shares_are_those_of_least_squares_and_of_the_nearest_product(rank_share):
    generator = np.random.default_rng(0)
    table = 1 + generator.normal(size=(5, 1)) + generator.normal(size=(5, 7)) + generator.normal(size=7)
    rows, columns = np.kron(np.eye(5), np.ones((7, 1))), np.tile(np.eye(7), (5, 1))
    found = rank_share.shares(table)
    assert np.isclose(found["channels"], share_of_a_fit(table, rows))
    assert np.isclose(found["positions"], share_of_a_fit(table, columns))
    assert np.isclose(found["additive"], share_of_a_fit(table, np.hstack([rows, columns])))
    u, v = np.ones(5), np.ones(7)
    for _ in range(200):  # alternating least squares finds the nearest product
        u = table @ v / (v @ v)
        v = table.T @ u / (u @ u)
    nearest = 1 - np.sum((table - np.outer(u, v)) ** 2) / np.sum((table - table.mean()) ** 2)
    assert np.isclose(found["rank_one"], nearest)
    assert found["rank_one"] >= max(found["channels"], found["positions"])


@pytest.mark.parametrize("rank", [1, 2, 4])
def test_the_rank_is_the_least_one_that_has_nine_tenths(rank_share, rank):
    table = np.zeros((4, 6))
    table[np.arange(rank), np.arange(rank)] = 1.0
    assert rank_share.shares(table)["rank"] == rank
    assert rank_share.shares(np.outer([1.0, 2, 3, 4], np.ones(6)))["channels"] == pytest.approx(1)


def test_the_logits_are_those_of_what_enters_each_module(rank_share):
    attention = attention_factory("simam", lam=0.5)
    network = build("resnet20", num_classes=10, attention=attention, slot="pre_norm").eval()
    images, entered = torch.randn(2, 3, 32, 32), []
    found = rank_share.tables(network, images)
    assert [logits.shape for logits in found] == [
        (2, 16 * 2**stage, (32 // 2**stage) ** 2) for stage in range(3) for _ in range(3)
    ]
    module = [m for m in network.modules() if type(m).__name__ == "SimAM"][4]
    module.register_forward_hook(lambda _, inputs, __: entered.append(inputs[0]))
    with torch.no_grad():
        network(images)
    assert np.allclose(found[4], energy.importance(entered[0].double().numpy(), lam=0.5).reshape(2, 32, -1))


def test_a_shuffle_keeps_the_means_of_channels_and_the_values(rank_share):
    logits = np.random.default_rng(0).normal(size=(2, 3, 20))
    moved = rank_share.shuffled(logits)
    assert np.array_equal(np.sort(moved, axis=-1), np.sort(logits, axis=-1))
    orders = {tuple(np.argsort(logits[0, c])[np.argsort(np.argsort(moved[0, c]))]) for c in range(3)}
    assert len(orders) == 3, "each channel in another way"


def test_it_trains_once_measures_folders_too_and_has_what_the_page_reads(rank_share, tmp_path, monkeypatch):
    out, runs = tmp_path / "shares.jsonl", tmp_path / "runs"
    short = ["--out", str(out), "--images", "2"]
    training = [*short, "--runs", str(runs), "--dataset", "shapes", "--recipe", "smoke", "--epochs", "1"]
    rank_share.main([*training, "--train-images", "32", "--seeds", "3"])
    (record,) = read_records(out)
    monkeypatch.setattr(rank_share, "finish", lambda *_, **__: pytest.fail("nothing is trained"))
    rank_share.main([*short, "--checkpoints", *map(str, runs.iterdir())])
    assert list(read_records(out)) == [record], "a network is measured once"
    kept = recorded("rank_share")
    assert {entry["seed"] for entry in kept if entry["dataset"] == "cifar10"} == set(range(5))
    for entry in kept:
        assert entry.keys() == record.keys()
        assert entry["images"] == 100
        assert [module.keys() for module in entry["modules"]] == [m.keys() for m in record["modules"]]
    with pytest.raises(ValueError, match="folder must be of a finished run"):
        rank_share.measure(tmp_path, 2)
