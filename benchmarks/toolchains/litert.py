"""LiteRT by litert-torch, and ai-edge-quantizer for int8."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from toolchains import Conversion, Converted


def interpreter_of(file: str) -> Converted:
    """Run a file in LiteRT, with one thread and its default kernels, XNNPACK."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    model = Interpreter(file, num_threads=1)
    builtin = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES  # its operators have not been fused
    plain = Interpreter(file, experimental_op_resolver_type=builtin)
    plain.allocate_tensors()
    runner = model.get_signature_runner()
    ((name, entry),) = runner.get_input_details().items()
    (left,) = runner.get_output_details().values()

    def run(x: np.ndarray) -> Any:
        if entry["dtype"] != np.float32:  # the caller of a quantized model rounds its input
            (scale, zero), least = entry["quantization"], np.iinfo(entry["dtype"])
            x = np.clip(np.round(x / scale) + zero, least.min, least.max).astype(entry["dtype"])
        (y,) = runner(**{name: x}).values()
        if left["dtype"] != np.float32:
            scale, zero = left["quantization"]
            return scale * (y.astype(np.float32) - zero)
        return y

    return Converted(run, Counter(op["op_name"] for op in plain._get_ops_details()))


def float32(module: nn.Module, x: np.ndarray, folder: Path) -> Converted:
    """By torch.export, for the size of x."""
    return interpreter_of(_file(module, x, folder))


def _file(module: nn.Module, x: np.ndarray, folder: Path) -> str:
    import litert_torch

    file = str(folder / "m.tflite")
    litert_torch.convert(module, (torch.from_numpy(x),)).export(file)
    return file


def int8(module: nn.Module, x: np.ndarray, folder: Path, spare: bool = False) -> Converted:
    """Quantized statically, weights and activations, or the convolutions alone."""
    from ai_edge_litert.interpreter import Interpreter
    from ai_edge_quantizer import quantizer, recipe

    file = _file(module, x, folder)
    (entry,) = Interpreter(file).get_signature_runner().get_input_details()
    steps = recipe.static_wi8_ai8()
    if spare:
        steps = [step | {"operation": recipe.TFLOperationName.CONV_2D} for step in steps]
    quantized = quantizer.Quantizer(file, steps)
    seen = quantized.calibrate({"serving_default": [{entry: x}]})
    quantized.quantize(seen).export_model(file + ".int8")
    return interpreter_of(file + ".int8")


CONVERSIONS = {
    "float32": Conversion(float32),
    "int8 static": Conversion(
        int8,
        calibrated=True,
        call='a recipe of "operation" TFLOperationName.CONV_2D',
    ),
}
