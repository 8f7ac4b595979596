"""onnxruntime, and the reference evaluator of onnx, which computes in float16 what a file says is float16."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from simam_edu.export import simam_nodes
from toolchains import Conversion, Converted, onnx_file


def session_of(file: str) -> Converted:
    """Run an ONNX file in onnxruntime, with one thread."""
    import onnx
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    half = session.get_inputs()[0].type == "tensor(float16)"
    dtype = np.float16 if half else np.float32
    kinds = Counter(node.op_type for node in onnx.load(file).graph.node)
    return Converted(lambda x: session.run(None, {"x": x.astype(dtype)})[0], kinds)


def newer(module: nn.Module, x: np.ndarray, folder: Path) -> Converted:
    """By torch.export."""
    return session_of(onnx_file(module, x, folder))


def older(module: nn.Module, x: np.ndarray, folder: Path) -> Converted:
    """By the TorchScript exporter."""
    return session_of(onnx_file(module, x, folder, dynamo=False))


def fixed(module: nn.Module, x: np.ndarray, folder: Path) -> Converted:
    """By torch.export, for the size of x."""
    return session_of(onnx_file(module, x, folder, free=False))


def _float16(module: nn.Module, x: np.ndarray, folder: Path, *, common: bool, free: bool) -> str:
    import onnx

    if common:
        from onnxconverter_common.float16 import convert_float_to_float16
    else:
        from onnxruntime.transformers.float16 import convert_float_to_float16
    file = onnx_file(module, x, folder, dynamo=False, free=free)
    onnx.save(convert_float_to_float16(onnx.load(file)), file)
    return file


def float16_common(module: nn.Module, x: np.ndarray, folder: Path) -> Converted:
    """Converted by onnxconverter-common."""
    return session_of(_float16(module, x, folder, common=True, free=False))


def float16(module: nn.Module, x: np.ndarray, folder: Path) -> Converted:
    """Converted by onnxruntime.transformers."""
    return session_of(_float16(module, x, folder, common=False, free=True))


def float16_declared(module: nn.Module, x: np.ndarray, folder: Path) -> Converted:
    """The same file, each operator in float16, as it is declared."""
    from onnx.reference import ReferenceEvaluator

    model = ReferenceEvaluator(_float16(module, x, folder, common=False, free=True))
    kinds = Counter(node.op_type for node in model.proto_.graph.node)
    return Converted(lambda x: model.run(None, {"x": x.astype(np.float16)})[0], kinds)


def int8_dynamic(module: nn.Module, x: np.ndarray, folder: Path) -> Converted:
    """Quantized dynamically."""
    from onnxruntime.quantization import quantize_dynamic

    file = onnx_file(module, x, folder)
    quantize_dynamic(file, file + ".int8")
    return session_of(file + ".int8")


def int8_static(module: nn.Module, x: np.ndarray, folder: Path, spare: bool = False) -> Converted:
    """Quantized statically, in the form QDQ."""
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        values = iter([{"x": x}])

        def get_next(self) -> Any:
            return next(self.values, None)

    file = onnx_file(module, x, folder, free=False)
    quant_pre_process(file, file, skip_symbolic_shape=True)  # which raises for a ReduceMax of this opset
    excluded = [name for names in simam_nodes(onnx.load(file)) for name in names] if spare else []
    quantize_static(file, file + ".int8", Reader(), nodes_to_exclude=excluded)
    return session_of(file + ".int8")


CONVERSIONS = {
    "float32, older exporter": Conversion(older, free=True),
    "float32, newer exporter": Conversion(newer, free=True),
    "float16 by onnxconverter-common": Conversion(float16_common),
    "float16 by onnxruntime": Conversion(float16, free=True),
    "float16 as declared": Conversion(float16_declared, free=True),
    "int8 dynamic": Conversion(int8_dynamic, free=True),
    "int8 static": Conversion(
        int8_static,
        calibrated=True,
        call="quantize_static(..., nodes_to_exclude=sum(simam_nodes(model), ()))",
    ),
}

LATENCY = fixed
