"""MNN, from an ONNX file."""

import json
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
from torch import nn

from toolchains import Conversion, Converted, onnx_file

NOT_COUNTED = {"Input", "Const"}


def convert(module: nn.Module, x: np.ndarray, folder: Path, free: bool = True) -> Converted:
    """From a file for any map size, or of one; MNN runs that at another all the same."""
    import _tools  # what mnnconvert calls, which also installs a package and sends a log
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


CONVERSIONS = {
    "float32": Conversion(convert, free=True),
    "float32, a file of one size": Conversion(partial(convert, free=False), free=True),
}
