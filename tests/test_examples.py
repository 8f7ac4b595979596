"""The three examples run, and show what they say."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

FOLDER = Path(__file__).resolve().parent.parent / "examples"


def example(name):
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_finetune_puts_simam_into_a_trained_network(capsys):
    found = example("finetune").main(["--epochs", "1", "--images", "500"])
    assert "stages.0.0.bn2.inserted_before" in capsys.readouterr().out
    assert list(found) == ["without SimAM", "inserted, not trained", "one epoch later"]
    right = [500 * accuracy for accuracy in found.values()]
    assert right == pytest.approx(np.round(right))


def test_finetune_trains_and_counts_what_is_right():
    finetune = example("finetune")
    torch.manual_seed(0)
    images = finetune.first("shapes", "train", 50)
    network = nn.Sequential(nn.Flatten(), nn.Linear(3072, 10))
    finetune.train(network, images, epochs=120, rate=0.003)
    x, labels = next(images.plain_batches(50))
    wanted = (network(x).argmax(1) == labels).double().mean().item()
    assert finetune.accuracy(network, images) == wanted > 0.25, "guessing is 0.1"


def test_padded_batch_differs_without_the_mask_and_agrees_with_it():
    found = example("padded").main(["--sounds", "6"])
    assert found["with the mask"] < 1e-6 < 1e-3 < found["without"]


def test_padded_batch_says_where_it_is_valid():
    padded, valid = example("padded").batch([torch.ones(20, 2), torch.ones(20, 3)])
    assert padded.shape == (2, 20, 3)
    assert valid.tolist() == [[[True, True, False]], [[True, True, True]]]
    assert torch.equal(padded[0, :, 2], torch.zeros(20))


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_detector_is_right_in_onnxruntime_at_sizes_it_was_not_exported_for():
    worst, verdict = example("detector").main(["--sizes", "64x96"])
    assert verdict == "right"
    assert worst < 1e-5
