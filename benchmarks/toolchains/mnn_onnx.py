"""MNN, from an ONNX file."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
from torch import nn

from toolchains import Conversion, Converted, onnx_file

NOT_COUNTED = {"Input", "Const"}


def mnn_float32(module: nn.Module, x: np.ndarray, folder: Path, free: bool = True) -> Converted:
    """For any map size."""
    import _tools  # what the command mnnconvert calls; the command installs a package and sends a log, too
    import MNN.expr
    import MNN.nn

    file = onnx_file(module, x, folder, free=free)
    made, text = file + ".mnn", file + ".json"
    options = ["--modelFile", file, "--MNNModel", made, "--bizCode", "x"]
    _tools.mnnconvert(["mnnconvert", "-f", "ONNX", *options])
    _tools.mnnconvert(["mnnconvert", "-f", "MNN", "--modelFile", made, "--JsonFile", text])
    net = MNN.nn.load_module_from_file(made, ["x"], ["y"])
    layout = MNN.expr.NCHW

    def run(x: np.ndarray) -> np.ndarray:
        entered = MNN.expr.const(x.ravel().tolist(), list(x.shape), layout)
        return np.array(MNN.expr.convert(net.forward(entered), layout).read())

    operators = json.loads(Path(text).read_text())["oplists"]
    kinds = Counter(op["type"] for op in operators if op["type"] not in NOT_COUNTED)
    return Converted(run, kinds)


def mnn_fixed(module: nn.Module, x: np.ndarray, folder: Path) -> Converted:
    """From a file of one size, run at another all the same, as MNN allows."""
    return mnn_float32(module, x, folder, free=False)


CONVERSIONS = {
    "float32": Conversion(mnn_float32, free=True),
    "float32, a file of one size": Conversion(mnn_fixed, free=True),
}
