"""ExecuTorch, on its XNNPACK backend."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from toolchains import Conversion, Converted


def program_of(exported: Any, folder: Path, dtype: torch.dtype = torch.float32) -> Converted:
    """Lower a program of torch.export and run it; operators are those before the backend's part."""
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower
    from executorch.runtime import Runtime

    lowered = to_edge_transform_and_lower(exported, partitioner=[XnnpackPartitioner()])
    nodes = [node for node in lowered.exported_program().graph.nodes if node.op == "call_function"]
    kinds = Counter(str(getattr(node.target, "__name__", node.target)) for node in nodes)
    file = folder / "m.pte"
    file.write_bytes(lowered.to_executorch().buffer)
    method = Runtime.get().load_program(file).load_method("forward")
    return Converted(lambda x: method.execute([torch.from_numpy(x).to(dtype)])[0].clone(), kinds)


def float32(module: nn.Module, x: np.ndarray, folder: Path) -> Converted:
    """For the size of x."""
    return program_of(torch.export.export(module, (torch.from_numpy(x),)), folder)


def float16(module: nn.Module, x: np.ndarray, folder: Path) -> Converted:
    """The module in half precision; a module that computes in float32 inside still does."""
    half = torch.from_numpy(x).half()
    return program_of(torch.export.export(module.half(), (half,)), folder, torch.float16)


def int8(module: nn.Module, x: np.ndarray, folder: Path, spare: bool = False) -> Converted:
    """Quantized by the backend's own quantizer."""
    from executorch.backends.xnnpack.quantizer import xnnpack_quantizer as backend
    from torchao.quantization.pt2e import quantize_pt2e

    example = (torch.from_numpy(x),)
    quantizer, config = backend.XNNPACKQuantizer(), backend.get_symmetric_quantization_config()
    if spare:
        for operator in (torch.ops.aten.conv2d.default, torch.ops.aten.relu.default):
            quantizer.set_operator_type(operator, config)
    else:
        quantizer.set_global(config)
    prepared = quantize_pt2e.prepare_pt2e(torch.export.export(module, example).module(), quantizer)
    prepared(*example)
    return program_of(torch.export.export(quantize_pt2e.convert_pt2e(prepared), example), folder)


CONVERSIONS = {
    "float32": Conversion(float32),
    "float16": Conversion(float16),
    "int8 static": Conversion(
        int8,
        calibrated=True,
        call="XNNPACKQuantizer().set_operator_type(torch.ops.aten.conv2d.default, config), no set_global",
    ),
}
