"""torchao's quantization of a program of torch.export for the CPU, run by torch as it is."""

from collections import Counter
from pathlib import Path

import numpy as np
import torch
from torch import nn

from toolchains import FORMS, Conversion, Converted


def int8(module: nn.Module, x: np.ndarray, _: Path, spare: bool = False) -> Converted:
    """Quantized by X86InductorQuantizer."""
    from torchao.quantization.pt2e import quantize_pt2e
    from torchao.quantization.pt2e.quantizer import x86_inductor_quantizer as backend

    example = (torch.from_numpy(x),)
    quantizer = backend.X86InductorQuantizer()
    quantizer.set_global(backend.get_default_x86_inductor_quantization_config())
    if spare:
        for kind in FORMS.values():
            quantizer.set_module_type_qconfig(kind, None)
    prepared = quantize_pt2e.prepare_pt2e(torch.export.export(module, example).module(), quantizer)
    prepared(*example)
    program = quantize_pt2e.convert_pt2e(prepared)
    kinds = Counter(str(node.target) for node in program.graph.nodes if node.op == "call_function")

    def run(x: np.ndarray) -> torch.Tensor:
        with torch.no_grad():
            y: torch.Tensor = program(torch.from_numpy(x))
        return y

    return Converted(run, kinds)


CONVERSIONS = {
    "int8 by X86InductorQuantizer": Conversion(
        int8, calibrated=True, call="quantizer.set_module_type_qconfig(SimAM, None)"
    ),
}
