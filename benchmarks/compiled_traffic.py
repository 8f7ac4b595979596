"""Count how often the code that torch.compile writes for the ten lines reads and writes the map.

    python benchmarks/compiled_traffic.py

No GPU is needed: torch.compile is asked for its code in Triton, which is read and not run. It does
not know the GPU then, and might choose otherwise for one that it knows. The counts are written to
book/results/compiled_traffic.jsonl, in the place of those that are there. The chapter "One kernel
on the GPU" shows them.

The functions of torch that are used here are not public, so another version may need other words.
"""

import copy
import math
import re
from collections.abc import Callable, Sequence
from typing import Any
from unittest import mock

import torch
from torch import Tensor, fx

import common
from simam_edu.benchmark import TenLines

SHAPES = ((128, 64, 8, 8), (128, 16, 32, 32), (16, 256, 56, 56))
SIZES = re.compile(r"(?:assert_size_stride\((\w+), |(\w+) = empty_strided_\w+\()\(([\d, ]*)\)")
REUSED = re.compile(r"(\w+) = (?:reinterpret_tensor\()?(\w+)\b.*; del \2\b")
KERNEL = re.compile(r"^def (triton_\w+)\(([^)]*)\):\n(.*?)^'''", re.MULTILINE | re.DOTALL)
LAUNCH = re.compile(r"(triton_\w+)\.run\(([^)]*), stream")


def generated(function: Callable[[Tensor], Tensor], x: Tensor) -> list[str]:
    """Return the code for the forward and for the backward of a function."""
    from functorch.compile import make_boxed_func, min_cut_rematerialization_partition
    from torch._dynamo.backends.common import aot_autograd
    from torch._inductor import config
    from torch._inductor.compile_fx import compile_fx_inner
    from torch._inductor.decomposition import select_decomp_table
    from torch._inductor.graph import GraphLowering

    written: list[str] = []

    def write_only(lowering: GraphLowering) -> Any:
        written.append(lowering.codegen()[0].value)
        return mock.Mock()

    def compiler(graph: fx.GraphModule, inputs: Sequence[Any]) -> Any:
        compile_fx_inner(copy.deepcopy(graph), inputs)
        return make_boxed_func(graph.forward)

    backend = aot_autograd(
        fw_compiler=compiler,
        bw_compiler=compiler,
        decompositions=select_decomp_table(),
        partition_fn=min_cut_rematerialization_partition,
    )
    torch._dynamo.reset()
    with (
        config.patch(cpu_backend="triton", fx_graph_cache=False),
        mock.patch.object(GraphLowering, "compile_to_module", write_only),
        mock.patch("torch.utils._triton.triton_hash_with_backend", return_value=""),  # asks for a GPU
    ):
        torch.compile(function, backend=backend)(x.requires_grad_()).sum().backward()
    return written


def counts(code: str, elements: int) -> dict[str, int]:
    """Return the number of kernels, and of the reads and writes of tensors as large as the map.

    A load within a loop over the map is one read of the map, and so is one outside.
    """
    sizes = {
        checked or made: math.prod(int(side) for side in shape.split(",") if side.strip())
        for checked, made, shape in SIZES.findall(code)
    }
    for new, old in REUSED.findall(code):
        sizes[new] = sizes[old]
    kernels = {name: (arguments, body) for name, arguments, body in KERNEL.findall(code)}
    found = {"kernels": 0, "load": 0, "store": 0}
    for name, passed in LAUNCH.findall(code):
        arguments, body = kernels[name]
        names = [argument.split(":")[0].strip() for argument in arguments.split(",")]
        given = dict(zip(names, (value.strip() for value in passed.split(",")), strict=False))
        found["kernels"] += 1
        for kind, pointer in re.findall(r"tl\.(load|store)\((\w+)", body):
            found[kind] += sizes[given[pointer]] == elements
    return {"kernels": found["kernels"], "reads": found["load"], "writes": found["store"]}


def record(shape: tuple[int, ...], layout: str) -> dict[str, Any]:
    """Return the counts for one shape and layout."""
    format_ = {"contiguous": torch.contiguous_format, "channels last": torch.channels_last}[layout]
    x = torch.zeros(shape).to(memory_format=format_)
    forward, backward = (counts(code, x.numel()) for code in generated(TenLines(), x))
    return {
        "benchmark": "compiled traffic",
        "torch": torch.__version__,
        "shape": shape,
        "layout": layout,
        "forward": forward,
        "backward": backward,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Count all and write the records."""
    parser = common.options_of(__doc__, common.RESULTS / "compiled_traffic.jsonl")
    out = parser.parse_args(arguments).out
    layouts = ("contiguous", "channels last")
    common.write(out, *(common.signed(record(shape, layout)) for layout in layouts for shape in SHAPES))


if __name__ == "__main__":
    main()
