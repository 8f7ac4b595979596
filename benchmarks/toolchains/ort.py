"""onnxruntime, and the evaluator of onnx, which computes in float16 what a file says is float16."""

import importlib
from collections import Counter
from functools import partial
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


def exported(module: nn.Module, x: np.ndarray, folder: Path, **options: bool) -> Converted:
    """In float32, by torch.export unless the options say otherwise."""
    return session_of(onnx_file(module, x, folder, **options))


def half_file(
    module: nn.Module,
    x: np.ndarray,
    folder: Path,
    package: str = "onnxruntime.transformers",
    free: bool = True,
) -> str:
    """Write a file in float16, as a package converts it."""
    import onnx

    file = onnx_file(module, x, folder, dynamo=False, free=free)
    converter = importlib.import_module(f"{package}.float16")
    onnx.save(converter.convert_float_to_float16(onnx.load(file)), file)
    return file


def float16(module: nn.Module, x: np.ndarray, folder: Path, **options: Any) -> Converted:
    """In float16, as onnxruntime computes it."""
    return session_of(half_file(module, x, folder, **options))


def float16_declared(module: nn.Module, x: np.ndarray, folder: Path) -> Converted:
    """The same file, each operator in float16, as it is declared."""
    from onnx.reference import ReferenceEvaluator

    model = ReferenceEvaluator(half_file(module, x, folder))
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
    quant_pre_process(file, file, skip_symbolic_shape=True)  # it raises for this ReduceMax
    excluded = [name for names in simam_nodes(onnx.load(file)) for name in names] if spare else []
    quantize_static(file, file + ".int8", Reader(), nodes_to_exclude=excluded)
    return session_of(file + ".int8")


COMMON = partial(float16, package="onnxconverter_common", free=False)
CONVERSIONS = {
    "float32, older exporter": Conversion(partial(exported, dynamo=False), free=True),
    "float32, newer exporter": Conversion(exported, free=True),
    "float16 by onnxconverter-common": Conversion(COMMON),
    "float16 by onnxruntime": Conversion(float16, free=True),
    "float16 as declared": Conversion(float16_declared, free=True),
    "int8 dynamic": Conversion(int8_dynamic, free=True),
    "int8 static": Conversion(
        int8_static,
        calibrated=True,
        call="quantize_static(..., nodes_to_exclude=sum(simam_nodes(model), ()))",
    ),
}

LATENCY = partial(exported, free=False)
