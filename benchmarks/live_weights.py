"""Write a trained ResNet-20 with SimAM as the script of the page "A trained network in the page".

Run it by hand on the folder of a finished run on CIFAR-10, with the images at hand:

    SIMAM_EDU_DATA=FOLDER python benchmarks/live_weights.py runs/live

It writes book/_static/live/network.js and two lines of book/results/live.jsonl: the record of the
run, and what the written network scores on the test images as it is and with its gains changed.

A batch norm right behind a convolution is folded into it, which is exact before rounding. Between
the second convolution of a block and its norm stands SimAM; that norm becomes a scale and a shift
for each channel. Then all numbers are rounded to float16. The file is a script and not bytes to be
fetched, since a browser that has opened the book from a folder fetches nothing; base64 makes it a
third larger, which compression by a server takes back.
"""

import base64
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import common
from simam_edu import SimAM
from simam_edu.attention.controls import Control, Shuffled
from simam_edu.datasets import ImageSet, load
from simam_edu.networks import BasicBlock, build
from simam_edu.training import DeviceImages
from simam_edu.training.metrics import evaluate

SCRIPT = common.BOOK / "_static" / "live" / "network.js"
RECORDS = common.RESULTS / "live.jsonl"
SAMPLES = 16
START = "globalThis.liveNetwork = "


class Averaged(Control):
    """Give all neurons of a channel the mean of their gains."""

    def _moved(self, gain: Tensor, _deviation: Tensor) -> Tensor:
        return gain.mean((-2, -1), keepdim=True)


CHANGES = {
    "as trained": lambda _: SimAM(),
    "off": lambda _: nn.Identity(),
    "averaged": Averaged,
    "shuffled": Shuffled,
    "lambda 100": lambda _: SimAM(lam=100.0),
}
"""What may stand in the place of all nine modules, from a number of channels."""


def blocks_of(network: nn.Module) -> list[tuple[str, BasicBlock]]:
    """Return the nine blocks with their names, from 1.1 to 3.3."""
    stages = enumerate(network.get_submodule("stages").children(), start=1)
    return [(f"{s}.{b}", block) for s, stage in stages for b, block in enumerate(stage.children(), start=1)]


def pairs_of(network: nn.Module) -> Iterator[tuple[str, nn.Conv2d | None, nn.BatchNorm2d]]:
    """Yield each batch norm with its name and the convolution right before it, if there is one."""
    stem = network.get_submodule("stem")
    yield "stem", stem[0], stem[1]
    for name, block in blocks_of(network):
        yield f"{name}.conv1", block.conv1, block.bn1
        yield f"{name}.norm", None, block.bn2
        if isinstance(block.shortcut, nn.Sequential):
            yield f"{name}.shortcut", block.shortcut[0], block.shortcut[1]


@torch.no_grad()
def layers(network: nn.Module) -> dict[str, np.ndarray]:
    """Return the arrays of a network by name, folded, in float16.

    Raises:
        ValueError: If one of them is too large for float16.
    """
    found: dict[str, Tensor] = {}
    for name, convolution, norm in pairs_of(network):
        scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
        found[f"{name}.bias"] = norm.bias - scale * norm.running_mean
        found[f"{name}.weight"] = (
            scale if convolution is None else convolution.weight * scale[:, None, None, None]
        )
    found |= {f"{name}.conv2.weight": block.conv2.weight for name, block in blocks_of(network)}
    head = network.get_submodule("head")
    found |= {"head.weight": head.weight, "head.bias": head.bias}
    with np.errstate(over="ignore"):
        rounded = {name: value.double().numpy().astype(np.float16) for name, value in found.items()}
    for name, array in rounded.items():
        if not np.isfinite(array).all():
            most = found[name].abs().max()
            raise ValueError(f"{name} must fit into float16, got numbers up to {most:g}")
    return rounded


@torch.no_grad()
def network_of(content: dict[str, Any], attention: Any = CHANGES["as trained"]) -> nn.Module:
    """Return the network of a written script as the package builds it, in float32."""
    network = build("resnet20", num_classes=len(content["classes"]), attention=attention)
    arrays = {name: torch.from_numpy(array.astype(np.float32)) for name, array in arrays_of(content).items()}
    for name, convolution, norm in pairs_of(network):
        norm.eps = 0.0  # mean 0 and variance 1: the norm only multiplies and adds
        norm.bias.copy_(arrays[f"{name}.bias"])
        target = norm if convolution is None else convolution
        target.weight.copy_(arrays[f"{name}.weight"])
    for name, block in blocks_of(network):
        block.conv2.weight.copy_(arrays[f"{name}.conv2.weight"])
    head = {key: arrays[f"head.{key}"] for key in ("weight", "bias")}
    network.get_submodule("head").load_state_dict(head)
    return network.eval()


def arrays_of(content: dict[str, Any]) -> dict[str, np.ndarray]:
    """Return the float16 arrays of a written script by name."""
    numbers = np.frombuffer(base64.b64decode(content["weights"]), dtype="<f2")
    ends = np.cumsum([np.prod(shape) for _, shape in content["layers"]])
    parts = np.split(numbers, ends[:-1])
    named = zip(content["layers"], parts, strict=True)
    return {name: part.reshape(shape) for (name, shape), part in named}


def samples_of(content: dict[str, Any]) -> np.ndarray:
    """Return the pictures of a written script, (16, 3, 32, 32) bytes."""
    return np.frombuffer(base64.b64decode(content["pixels"]), dtype=np.uint8).reshape(-1, 3, 32, 32)


def read(path: Path = SCRIPT) -> dict[str, Any]:
    """Return what the script holds."""
    text = path.read_text(encoding="utf-8").removeprefix(START).rstrip(";\n")
    content: dict[str, Any] = json.loads(text)
    return content


def samples(test_set: ImageSet) -> np.ndarray:
    """Return which images the page offers: the first of each class, then the second of some."""
    classes = range(len(test_set.classes))
    order = [np.flatnonzero(test_set.labels == k)[n] for n in (0, 1) for k in classes]
    return np.array(order[:SAMPLES])


def content_of(network: nn.Module, record: dict[str, Any], test_set: ImageSet) -> dict[str, Any]:
    """Return all that the page needs, ready for JSON."""
    arrays, chosen = layers(network), samples(test_set)
    names = ("network", "attention", "seed", "epochs", "training_images", "test_accuracy", "source")
    weights = b"".join(array.astype("<f2").tobytes() for array in arrays.values())
    return {
        "run": {name: record[name] for name in names},
        "classes": list(test_set.classes),
        "mean": test_set.mean,
        "std": test_set.std,
        "samples": [[int(test_set.labels[i]), int(i)] for i in chosen],
        "layers": [[name, list(array.shape)] for name, array in arrays.items()],
        "weights": base64.b64encode(weights).decode(),
        "pixels": base64.b64encode(test_set.images[chosen].tobytes()).decode(),
    }


def measure(content: dict[str, Any], test_set: ImageSet) -> dict[str, Any]:
    """Return the record of what the written network scores, as it is and changed."""
    images = DeviceImages.put(test_set, torch.device("cpu"))
    accuracy = {
        name: evaluate(network_of(content, attention), images).accuracy for name, attention in CHANGES.items()
    }
    record = {
        "benchmark": "live network",
        "dataset": test_set.name,
        "source": test_set.source,
        "images": len(test_set.labels),
        "parameters": sum(array.size for array in arrays_of(content).values()),
        "accuracy": accuracy,
    }
    return common.signed(record)


def trained(folder: Path) -> tuple[nn.Module, dict[str, Any]]:
    """Return the network and the record of a finished run.

    Raises:
        ValueError: If the folder holds no finished run of ResNet-20 with SimAM on CIFAR-10.
    """
    record, weights = common.finished_run(folder)
    names = ("network", "attention", "slot", "dataset", "attention_options")
    got = {name: record[name] for name in names}
    wanted = ("resnet20", "simam", "pre_norm", "cifar10", {})
    if tuple(got.values()) != wanted:
        raise ValueError(f"the run must be {' '.join(map(str, wanted))}, got {got}")
    network = build("resnet20", num_classes=10, attention=CHANGES["as trained"])
    network.load_state_dict(weights)
    return network.eval(), record


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the script and the records."""
    parser = common.options_of(__doc__, SCRIPT)
    parser.add_argument("folder", type=Path, help="of the run, as simam-edu train --folder made it")
    parser.add_argument("--record", type=Path, default=RECORDS, help="the file of the two lines")
    options = parser.parse_args(arguments)
    network, record = trained(options.folder)
    test_set = load("cifar10", "test")
    content = content_of(network, record, test_set)
    measured = measure(content, test_set)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(f"{START}{json.dumps(content)};\n", encoding="utf-8")
    common.write(options.record, record, measured)
    print(f"{options.out}: {options.out.stat().st_size} bytes; {measured['accuracy']}")


if __name__ == "__main__":
    main()
