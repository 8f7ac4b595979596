"""How each runtime is given a module: one file a toolchain, each run in an environment of its own.

A conversion takes a module in evaluation mode, an input (n, c, h, w) and a folder for its files,
and returns what runs it and what operators came out. One that quantizes keeps SimAM in float where
told to spare it.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from simam_edu import SimAM


class TenLines(nn.Module):
    """The ten lines of the paper; ``pow``, as there: quantizers treat a product in another way."""

    def forward(self, x: Tensor) -> Tensor:
        """Return x times its gain."""
        n = x.shape[2] * x.shape[3] - 1
        d = (x - x.mean(dim=[2, 3], keepdim=True)).pow(2)
        v = d.sum(dim=[2, 3], keepdim=True) / n
        return x * torch.sigmoid(d / (4 * (v + 1e-4)) + 0.5)


class InstanceNorm(nn.Module):
    """SimAM by the built-in norm, whose eps is lam in units of the biased variance."""

    def forward(self, x: Tensor) -> Tensor:
        """Return x times its gain."""
        m = int(x.shape[2] * x.shape[3])
        z = nn.functional.instance_norm(x, eps=1e-4 * (m - 1) / m)
        return x * torch.sigmoid(z * z * ((m - 1) / (4 * m)) + 0.5)


FORMS: dict[str, Callable[[], nn.Module]] = {
    "ten lines": TenLines,
    "ours": SimAM,
    "instance norm": InstanceNorm,
}


class Converted(NamedTuple):
    """What came out: a function of an array (n, c, h, w), and how many operators of each kind."""

    run: Callable[[np.ndarray], Any]
    operators: Mapping[str, int]


class Conversion(NamedTuple):
    """A precision of a runtime: how it is made, whether for any size, whether calibrated."""

    convert: Callable[..., Converted]
    free: bool = False
    calibrated: bool = False
    call: str = ""  # what keeps SimAM in float
    runs: bool = True


def onnx_file(
    module: nn.Module, x: np.ndarray, folder: Path, *, dynamo: bool = True, free: bool = True
) -> str:
    """Write a module as ONNX, for any map size or for that of x."""
    file, dim = str(folder / f"{len(list(folder.iterdir()))}.onnx"), torch.export.Dim
    sizes: dict[str, Any] = {}
    if free and dynamo:
        sizes = {"dynamic_shapes": ({2: dim("h", min=2), 3: dim("w", min=2)},)}
    elif free:
        sizes = {"dynamic_axes": {"x": {2: "h", 3: "w"}}}
    options = {"opset_version": 18, "input_names": ["x"], "output_names": ["y"], "verbose": False}
    options["external_data"] = False  # onnxruntime's preparation for int8 finds no other file
    torch.onnx.export(module, (torch.from_numpy(x),), file, dynamo=dynamo, **options, **sizes)
    return file
