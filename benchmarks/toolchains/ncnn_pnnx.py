"""ncnn, by pnnx."""

from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from toolchains import Conversion, Converted


class Behind(nn.Module):
    """A module behind a convolution without effect, which shows pnnx the axis of the batch."""

    def __init__(self, module: nn.Module, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 1, bias=False)
        nn.init.dirac_(self.conv.weight)
        self.module = module

    def forward(self, x: Tensor) -> Tensor:
        """Return the module's output."""
        y: Tensor = self.module(self.conv(x))
        return y


def convert(module: nn.Module, x: np.ndarray, folder: Path, bfloat16: bool = False) -> Converted:
    """By pnnx, with storage in bfloat16 if asked for."""
    import ncnn
    import pnnx

    param, weights = str(folder / "m.ncnn.param"), str(folder / "m.ncnn.bin")
    framed = Behind(module, x.shape[1]).eval()
    pnnx.export(framed, str(folder / "m.pt"), torch.from_numpy(x), fp16=False)
    net = ncnn.Net()
    net.opt.num_threads = 1
    net.opt.use_bf16_storage = bfloat16
    if net.load_param(param) or net.load_model(weights):
        raise RuntimeError("ncnn cannot load what pnnx wrote")

    def run(x: np.ndarray) -> np.ndarray:
        with net.create_extractor() as extractor:
            extractor.input("in0", ncnn.Mat(x[0]).clone())
            return np.array(extractor.extract("out0")[1])[None]

    lines = Path(param).read_text().splitlines()[2:]
    kinds = Counter(line.split()[0] for line in lines)
    for name in ("Input", "Split", "Convolution"):
        kinds.pop(name, None)
    return Converted(run, kinds)


CONVERSIONS = {
    "float32": Conversion(convert, free=True),
    "bfloat16": Conversion(partial(convert, bfloat16=True), free=True),
}
