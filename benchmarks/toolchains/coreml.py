"""Core ML by coremltools, which converts on any system and runs on Apple's alone."""

from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

from toolchains import Conversion, Converted


def convert(module: nn.Module, x: np.ndarray, _: Path, precision: str) -> Converted:
    """By torch.jit.trace, for the size of x; what is computed from constants is not counted."""
    import coremltools

    traced = torch.jit.trace(module, torch.from_numpy(x))
    model = coremltools.convert(
        traced,
        inputs=[coremltools.TensorType("x", x.shape)],
        compute_precision=getattr(coremltools.precision, precision),
        minimum_deployment_target=coremltools.target.iOS17,
    )
    block = model.get_spec().mlProgram.functions["main"].block_specializations
    (program,) = block.values()
    return Converted(lambda x: x, Counter(op.type for op in program.operations if op.type != "const"))


CONVERSIONS = {
    "float16": Conversion(partial(convert, precision="FLOAT16"), runs=False),
    "float32": Conversion(partial(convert, precision="FLOAT32"), runs=False),
}
