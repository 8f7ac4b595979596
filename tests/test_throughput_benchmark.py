"""The benchmark of the training loops runs, and compares two loops that do the same."""

import json

import pytest
import torch

from simam_edu.training import DeviceImages
from toys import toy


@pytest.fixture(scope="module")
def throughput(benchmark_script):
    return benchmark_script("throughput")


def test_pillow_cuts_the_windows_that_the_package_cuts(throughput, monkeypatch):
    images = toy(4)
    draw = torch.tensor([[0, 1, 2, 3], [0, 4, 8, 3], [8, 4, 0, 5], [0, 0, 1, 1]])
    wanted, labels = DeviceImages.put(images, torch.device("cpu")).batch(draw)
    data = throughput.PillowImages(images)
    for k, top, left, flip in draw.T.tolist():
        monkeypatch.setattr(torch, "randint", lambda *_, at=(top, left): torch.tensor(at))
        monkeypatch.setattr(torch, "rand", lambda _, flip=flip: torch.tensor(1.0 - flip))
        found, label = data[k]
        torch.testing.assert_close(found, wanted[k], rtol=0, atol=1e-5)
        assert label == labels[k]


def test_medians_and_ratios(throughput):
    seconds = {
        "package": [1.0, 2.0, 1.0],
        "augmentation": [0.1, 0.1, 0.3],
        "usual, 0 workers": [4.0, 4.0, 4.0],
        "usual, 2 workers": [2.0, 3.0, 2.0],
    }
    found = throughput.summary(seconds, 100)
    rates = {"median": 100.0, "least": 50.0, "most": 100.0}
    assert found["usual"] == "usual, 2 workers"
    assert found["images_per_second"]["package"] == rates
    assert found["ratio"] == pytest.approx({"median": 2.0, "least": 1.5, "most": 2.0})
    part = {"median": 0.1, "least": 0.05, "most": 0.3}
    assert found["augmentation_part"] == pytest.approx(part)


@pytest.mark.usefixtures("threads_put_back")
def test_it_runs_and_writes_the_line_that_it_prints(throughput, tmp_path, capsys):
    out = tmp_path / "throughput.jsonl"
    throughput.main(
        ["--out", str(out), "--dataset", "shapes", "--images", "8", "--rounds", "1",
         "--workers", "0", "--threads", "1"]
    )  # fmt: skip
    (line,) = capsys.readouterr().out.splitlines()
    assert out.read_text() == line + "\n"
    seconds = json.loads(line)["seconds"]
    assert seconds.keys() == {"package", "augmentation", "usual, 0 workers"}
    assert all(len(times) == 1 and times[0] > 0 for times in seconds.values())
