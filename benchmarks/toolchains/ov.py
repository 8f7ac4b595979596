"""OpenVINO, and nncf for int8."""

from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from simam_edu.export import simam_nodes
from toolchains import Conversion, Converted, onnx_file

OV_OTHER = {"Parameter", "Result", "Constant"}


def _compiled(model: Any, **config: str) -> Converted:
    import openvino

    compiled = openvino.compile_model(model, "CPU", {"INFERENCE_NUM_THREADS": "1", **config})
    kinds = Counter(op.get_type_name() for op in model.get_ops())
    for name in OV_OTHER:
        kinds.pop(name, None)
    return Converted(lambda x: np.array(compiled(x)[0]), kinds)


def traced(module: nn.Module, x: np.ndarray, _: Path, *, free: bool = True, **config: str) -> Converted:
    """By torch.jit.trace, for any map size or for that of x."""
    import openvino

    size = [*x.shape[:2], -1, -1] if free else [*x.shape]
    model = openvino.convert_model(module, example_input=torch.from_numpy(x), input=[size])
    return _compiled(model, **config)


def exported(module: nn.Module, x: np.ndarray, _: Path) -> Converted:
    """From a program of torch.export with free sizes."""
    import openvino

    dim = torch.export.Dim
    sizes = ({2: dim("h", min=2), 3: dim("w", min=2)},)
    program = torch.export.export(module, (torch.from_numpy(x),), dynamic_shapes=sizes)
    return _compiled(openvino.convert_model(program))


def int8(module: nn.Module, x: np.ndarray, folder: Path, spare: bool = False) -> Converted:
    """Quantized by nncf."""
    import nncf
    import onnx
    import openvino

    file = onnx_file(module, x, folder, free=False)
    model = openvino.convert_model(file)
    names = [name for names in simam_nodes(onnx.load(file)) for name in names] if spare else []
    scope = nncf.IgnoredScope(names=names, validate=False)  # a product of two constants is folded
    return _compiled(nncf.quantize(model, nncf.Dataset([x]), ignored_scope=scope))


CONVERSIONS = {
    "float32": Conversion(traced, free=True),
    "float32, torch.export": Conversion(exported, free=True),
    "hint float16": Conversion(partial(traced, INFERENCE_PRECISION_HINT="f16"), free=True),
    "hint bfloat16": Conversion(partial(traced, INFERENCE_PRECISION_HINT="bf16"), free=True),
    "int8 by nncf": Conversion(
        int8, calibrated=True, call="nncf.IgnoredScope(names=[*sum(simam_nodes(model), ())], validate=False)"
    ),
}

LATENCY = partial(traced, free=False)
