"""A small detector with SimAM, exported and checked in onnxruntime at two sizes.

A detector runs at sizes that it was not exported for, and often in float16, where the ten lines of the paper
go wrong without a word. `simam_edu.SimAM` exports another form, and this is how to see that it is right.

    pip install onnx onnxruntime onnxscript
    python examples/detector.py
"""

import argparse
import tempfile
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import onnxruntime
import torch
from torch import Tensor, nn

from simam_edu import SimAM, insert
from simam_edu.export import check


class Detector(nn.Module):
    """Four strided convolutions, and at each place of the last map a box and the logits of the classes."""

    def __init__(self, classes: int = 5) -> None:
        super().__init__()
        widths = (3, 16, 32, 64, 64)
        self.backbone = nn.Sequential(*(self.block(*pair) for pair in pairwise(widths)))
        self.boxes, self.classes = nn.Conv2d(64, 4, 1), nn.Conv2d(64, classes, 1)

    @staticmethod
    def block(channels_in: int, channels_out: int) -> nn.Sequential:
        """Return a convolution of stride 2 with its norm and its activation."""
        convolution = nn.Conv2d(channels_in, channels_out, 3, stride=2, padding=1, bias=False)
        return nn.Sequential(convolution, nn.BatchNorm2d(channels_out), nn.SiLU())

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return boxes (n, 4, h/16, w/16) and logits (n, classes, h/16, w/16) of images (n, 3, h, w)."""
        maps = self.backbone(x)
        return self.boxes(maps), self.classes(maps)


def export(network: nn.Module, channels: int, file: Path) -> onnxruntime.InferenceSession:
    """Write a network as ONNX for maps whose sides are any multiples of 16, and load it in onnxruntime."""
    height, width = (16 * torch.export.Dim(name, min=2, max=64) for name in ("rows", "columns"))
    x = torch.randn(1, channels, 96, 128)
    torch.onnx.export(
        network.eval(),  # a norm in training mode would take the statistics of the batch
        (x,), file, input_names=["x"], dynamic_shapes=({2: height, 3: width},), dynamo=True, verbose=False,
    )  # fmt: skip
    return onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])


@torch.no_grad()
def main(arguments: Sequence[str] | None = None) -> tuple[float, str]:
    """Export and check; print and return the largest difference from torch, and the verdict on SimAM."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sizes", nargs="+", default=["64x96", "160x96"], help="of images")
    sizes = parser.parse_args(arguments).sizes
    torch.manual_seed(0)
    network = Detector()
    print(insert(network, after=nn.BatchNorm2d))
    with tempfile.TemporaryDirectory() as folder:
        # What the exporter and the runtime make of SimAM, for inputs of several scales and sizes ...
        alone = export(SimAM(), 8, Path(folder) / "simam.onnx")
        report = check(lambda x: alone.run(None, {"x": x})[0])
        print(report)
        # ... and the network whole, at sizes that it was not exported for.
        whole, worst = export(network, 3, Path(folder) / "detector.onnx"), 0.0
        for size in sizes:
            image = torch.randn(1, 3, *map(int, size.split("x")))
            found = whole.run(None, {"x": image.numpy()})
            wanted = network(image)
            off = max(abs(a - b.numpy()).max() for a, b in zip(found, wanted, strict=True))
            print(f"{size}: {found[1].shape[1]} classes at {found[1].shape[2:]}, off by {off:.1e}")
            worst = max(worst, off)
    return float(worst), report.verdict


if __name__ == "__main__":
    main()
