"""The benchmark of the training loops runs, and compares two loops that do the same."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from simam_edu.training import DeviceImages
from toys import toy


@pytest.fixture(scope="module")
def throughput(benchmark_script):
    return benchmark_script("throughput")


def test_pillow_cuts_the_windows_that_the_package_cuts(throughput):
    images = toy(4)
    index, flip = torch.arange(4), [0, 0, 1, 1]
    top, left = torch.tensor([[0, 4, 8, 3], [8, 4, 0, 5]])
    cut = DeviceImages.put(images, torch.device("cpu")).crop(index, top, left, torch.tensor(flip))
    mean, std = (np.array(v)[:, None, None] for v in (images.mean, images.std))
    for k in range(4):
        picture = throughput.window(images.images[k].transpose(1, 2, 0), int(top[k]), int(left[k]), flip[k])
        assert isinstance(picture, Image.Image)
        values = (np.asarray(picture).transpose(2, 0, 1) / 255 - mean) / std
        np.testing.assert_allclose(cut[k].numpy(), values, atol=1e-5)


def test_the_usual_data_set_shifts_mirrors_and_normalizes(throughput):
    images = toy(1)
    data = throughput.PillowImages(images)
    torch.manual_seed(0)
    seen = {data[0][0].numpy().tobytes() for _ in range(400)}
    assert len(seen) > 100
    mean, std = (np.array(v)[:, None, None] for v in (images.mean, images.std))
    plain = ((images.images[0] / 255 - mean) / std).astype(np.float32)
    closest = min(np.abs(np.frombuffer(one, np.float32).reshape(3, 32, 32) - plain).max() for one in seen)
    assert closest < 1e-5


def test_medians_and_ratios(throughput):
    seconds = {
        "package": [1.0, 2.0, 1.0],
        "augmentation": [0.1, 0.1, 0.3],
        "usual, 0 workers": [4.0, 4.0, 4.0],
        "usual, 2 workers": [2.0, 3.0, 2.0],
    }
    found = throughput.summary(seconds, 100)
    assert found["usual"] == "usual, 2 workers"
    assert found["images_per_second"]["package"] == {"median": 100.0, "least": 50.0, "most": 100.0}
    assert found["ratio"] == pytest.approx({"median": 2.0, "least": 1.5, "most": 2.0})
    assert found["augmentation_part"] == pytest.approx({"median": 0.1, "least": 0.05, "most": 0.3})


def test_it_runs_and_writes_the_line_that_it_prints(throughput, tmp_path, capsys):
    out, threads = tmp_path / "throughput.jsonl", torch.get_num_threads()
    try:
        throughput.main(
            ["--out", str(out), "--dataset", "shapes", "--images", "8", "--rounds", "1", "--workers", "0",
             "--threads", "1"]
        )  # fmt: skip
    finally:
        torch.set_num_threads(threads)
    (line,) = capsys.readouterr().out.splitlines()
    assert out.read_text() == line + "\n"
    record = json.loads(line)
    assert {name: len(times) for name, times in record["seconds"].items()} == {
        "package": 1, "augmentation": 1, "usual, 0 workers": 1,
    }  # fmt: skip
    assert all(min(times) > 0 for times in record["seconds"].values())
    assert record["environment"]["threads"] == 1
