"""Which nodes of an ONNX model are those of a SimAM."""

from collections.abc import Mapping
from typing import Any

REDUCTIONS = {"ReduceMean", "ReduceSum", "GlobalAveragePool", "InstanceNormalization"}
WEIGHTED = {"BatchNormalization", "Conv", "ConvTranspose", "Gemm", "MatMul"}


def simam_nodes(model: Any) -> tuple[tuple[str, ...], ...]:
    """Return the names of the nodes of each SimAM in an ONNX model, for a quantizer's list of exclusions.

    Found by structure, in a model of either exporter, whether of the ten lines, of this package or with a
    built-in instance norm: x times a sigmoid of what only x enters, with a mean or a sum and without weights.
    So SiLU, squeeze-and-excitation and ECA are none. With ``model = onnx.load(file)``,

    - onnxruntime takes ``quantize_static(..., nodes_to_exclude=sum(simam_nodes(model), ()))``,
    - nncf takes ``nncf.IgnoredScope(names=[*sum(simam_nodes(model), ())], validate=False)``, since what a
      conversion folds is not there any more.

    Args:
        model: An ``onnx.ModelProto`` in float, before it is quantized.

    Raises:
        ValueError: If a node that belongs to one has no name.
    """
    maker = {name: node for node in model.graph.node for name in node.output}
    constants = {tensor.name for tensor in model.graph.initializer}
    found = []
    for last in model.graph.node:
        if last.op_type != "Mul":
            continue
        for x, weight in (last.input, reversed(last.input)):
            nodes = _from(x, weight, maker, constants)
            kinds = {node.op_type for node in nodes}
            if nodes and nodes[0].op_type == "Sigmoid" and kinds & REDUCTIONS and not kinds & WEIGHTED:
                found.append(tuple(node.name for node in (*reversed(nodes), last)))
    if not all(name for names in found for name in names):
        raise ValueError("model must have names for its nodes, got some without; export it anew")
    return tuple(found)


def _from(x: str, y: str, maker: Mapping[str, Any], constants: set[str]) -> list[Any]:
    """Return the nodes that make y of x, the last one first; none where anything else enters but sizes."""
    nodes, names, seen = [], [y], {x, "", *constants}
    while names:
        name = names.pop(0)
        if name in seen:
            continue
        seen.add(name)
        if name not in maker:  # an input of the graph
            return []
        node = maker[name]
        if node.op_type != "Shape":
            nodes.append(node)
            names += node.input
    return nodes
