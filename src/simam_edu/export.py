"""Is SimAM still right after a conversion?

In float16, in int8, or at another map size than it was converted for, a runtime can switch attention
off or saturate it without a word. :func:`check` brings that out, and :func:`simam_nodes` names what
a quantizer should leave alone::

    session = onnxruntime.InferenceSession("simam.onnx")
    print(check(lambda x: session.run(None, {"x": x})[0]))
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from simam_edu.energy import DEFAULT_LAM, Statistics, gain

__all__ = ["FEEDS", "OFF", "SHAPES", "VERDICTS", "Finding", "Report", "check", "feed", "simam_nodes"]

OFF = 1.0 / (1.0 + np.exp(-0.5))
"""The gain sigmoid(1/2) of a neuron that equals its mean, 0.6225: all gains, where attention is off."""

VERDICTS = ("right", "rounded", "wrong", "saturated", "off", "NaN")
"""From best to worst; :class:`Finding` says what each means."""

FEEDS = ("std 1", "std 30", "std 300", "mean 100", "mixed")
"""The names of the inputs of :func:`feed`."""

SHAPES = ((1, 8, 32, 32), (1, 8, 80, 80))
"""Two sizes; on the larger one a running sum in float16 loses digits."""

Shape = tuple[int, int, int, int]


class Finding(NamedTuple):
    """What came out for one input."""

    feed: str  #: the input, one of :data:`FEEDS`
    shape: Shape  #: the input's shape
    #: Of the worst channel. ``"right"``: no gain is off by more than the tolerance. ``"rounded"``:
    #: some are, by no more than eight bits of input and output explain, or ``kept`` is near 1.
    #: ``"off"``: every gain is sigmoid(1/2). ``"saturated"``: gains near 1. ``"NaN"``: NaN or
    #: infinity came out. ``"wrong"``: else.
    verdict: str
    #: The largest error of a gain y/x where the size of x is at least half its root mean square;
    #: infinite with a NaN.
    error: float
    #: How much of the attention is there in the worst channel, by least squares: 1 is right, 0 off.
    kept: float


@dataclass(frozen=True)
class Report:
    """All findings of :func:`check`; printed, it is a table and what to change."""

    findings: tuple[Finding, ...]  #: one for each shape and input

    @property
    def verdict(self) -> str:
        """The worst verdict."""
        return max((finding.verdict for finding in self.findings), key=VERDICTS.index)

    @property
    def advice(self) -> tuple[str, ...]:
        """What to change, the likeliest cause first; nothing where all is right."""
        causes = {_cause(found, self.findings) for found in self.findings if found.verdict != "right"}
        return tuple(cure for cause, cure in CURES.items() if cause in causes)

    def __str__(self) -> str:
        lines = [f"{'input':<9} {'map':>9} {'verdict':<9} {'error':>8} {'kept':>6}"]
        for feed, shape, verdict, error, kept in self.findings:
            size = "x".join(map(str, shape[2:]))
            lines.append(f"{feed:<9} {size:>9} {verdict:<9} {error:8.1e} {kept:6.2f}")
        return "\n".join([*lines, *self.advice])


CURES = {
    "size": "wrong at one size and right at another: the conversion froze the map size; convert for the "
    "size that is used, or export simam_edu.SimAM",
    "scale": "wrong for large values alone: float16 overflows or loses digits; export simam_edu.SimAM, or "
    "keep the nodes that simam_nodes names in float32",
    "mixed": "wrong where channels differ in scale: they share the steps of int8 inside SimAM; exclude "
    "the nodes that simam_nodes names from quantization",
    "everywhere": "wrong at every size that was fed: check was told another lam or other statistics, or "
    'SimAM was quantized (exclude the nodes that simam_nodes names), or, where "std 1" was not fed, '
    "float16 overflows",
    "rounded": "the attention is right, and input and output are rounded to few steps; take 16 bits for "
    "activations, or dynamic quantization, if that is too coarse",
}


def _cause(finding: Finding, findings: Sequence[Finding]) -> str:
    """Return the likeliest cause, a key of CURES, by what is right beside it."""
    if finding.verdict == "rounded":
        return "rounded"
    small = {other.verdict for other in findings if (other.feed, other.shape) == ("std 1", finding.shape)}
    if small and small <= {"right", "rounded"}:
        return "mixed" if finding.feed == "mixed" else "scale"
    same = {other.verdict for other in findings if other.feed == finding.feed}
    return "size" if "right" in same else "everywhere"


def feed(name: str, shape: Shape) -> np.ndarray:
    """Return an input (n, c, h, w) in float32, normal in each channel, of numbers that float16 has too.

    Args:
        name: ``"std 1"``, ``"std 30"`` or ``"std 300"`` have that standard deviation and mean 0,
            ``"mean 100"`` has mean 100 and standard deviation 1, and in ``"mixed"`` the channels
            have standard deviations from 0.1 to 3, as far apart as in trained networks.
        shape: Its shape.

    Raises:
        ValueError: If there is no input of that name.

    >>> x = feed("mixed", (1, 3, 64, 64))
    >>> [round(float(channel.std()), 1) for channel in x[0]]
    [0.1, 0.5, 3.0]
    """
    if name not in FEEDS:
        raise ValueError(f"name must be one of {', '.join(FEEDS)}, got {name!r}")
    kind, _, number = name.partition(" ")
    mean, std = (100.0, 1.0) if kind == "mean" else (0.0, float(number or 1))
    stds = np.geomspace(0.1, 3.0, shape[1]) if kind == "mixed" else np.full(shape[1], std)
    values = mean + stds[:, None, None] * np.random.default_rng(0).standard_normal(shape)
    return values.astype(np.float16).astype(np.float32)


def check(
    run: Callable[[np.ndarray], Any],
    *,
    shapes: Sequence[Shape] = SHAPES,
    feeds: Sequence[str] = FEEDS,
    lam: float = DEFAULT_LAM,
    statistics: Statistics = "shared",
    tolerance: float = 0.01,
) -> Report:
    r"""Feed a converted SimAM inputs of several scales and sizes, and say whether its attention is right.

    The gain y/x is compared with :func:`simam_edu.energy.gain` of the same input, in float64.

    Args:
        run: Takes an array (n, c, h, w) in float32 and returns the output of a converted SimAM, an
            array or a tensor of the same shape.
        shapes: The shapes to feed. What was converted for one size takes that one only.
        feeds: Which of :data:`FEEDS`. A statically quantized model is right for the scale it was
            calibrated with, and is fed that alone.
        lam: That of the module.
        statistics: Those of the module.
        tolerance: The largest error of a gain that is right: float16 and bfloat16 need 0.002 and
            0.02, and attention that is off has an error of 0.37.

    Raises:
        ValueError: If there is no shape or no input, a feed is unknown, ``lam`` or ``statistics`` is not
            SimAM's, or an output has not the shape of its input.

    >>> report = check(lambda x: x * OFF, shapes=[(1, 2, 8, 8)], feeds=["std 1"])
    >>> print(report)  # doctest: +NORMALIZE_WHITESPACE
    input           map verdict      error   kept
    std 1           8x8 off        2.8e-01   0.00
    wrong at every size that was fed: check was told another lam or other statistics, or
    SimAM was quantized (exclude the nodes that simam_nodes names), or, where "std 1" was
    not fed, float16 overflows
    """
    if not shapes or not feeds:
        raise ValueError(f"shapes and feeds must name one each at least, got {shapes!r} and {feeds!r}")
    findings = []
    for shape in shapes:
        for name in feeds:
            x = feed(name, shape)
            y = run(x.copy())  # some runtimes compute in place
            y = y.detach().cpu().double() if hasattr(y, "detach") else y  # numpy has no bfloat16
            y = np.asarray(y, np.float64)
            if y.shape != tuple(shape):
                raise ValueError(
                    f"run must return an output of its input's shape {tuple(shape)}, got {y.shape}; "
                    "take the output of SimAM, not that of the network"
                )
            wanted = gain(x.astype(np.float64), lam=lam, statistics=statistics)
            findings.append(Finding(name, x.shape, *_compare(x.astype(np.float64), y, wanted, tolerance)))
    return Report(tuple(findings))


def _compare(x: np.ndarray, y: np.ndarray, wanted: np.ndarray, tolerance: float) -> tuple[str, float, float]:
    """Return verdict, error and kept of an input and its output, given the gain that is right."""
    if not np.isfinite(y).all():
        return "NaN", np.inf, np.nan
    axes = (-2, -1)
    square = np.square(x).mean(axes, keepdims=True)
    far = np.square(x) >= square / 4
    error = np.abs(np.divide(y, x, out=wanted.copy(), where=far) - wanted).max(axes)
    whole = (x * y).mean(axes) / square[..., 0, 0]  # one gain for all
    signal = x * (wanted - OFF)
    kept = (signal * (y - x * OFF)).sum(axes) / np.square(signal).sum(axes)
    explained = np.abs(y - x * wanted).max(axes) <= 1.5 * _step(y)
    channels = zip(error.flat, kept.flat, whole.flat, explained.flat, strict=True)
    verdicts = [VERDICTS.index(_verdict(*channel, tolerance)) for channel in channels]
    worst = max(range(len(verdicts)), key=lambda k: (verdicts[k], error.flat[k]))
    return VERDICTS[verdicts[worst]], float(error.max()), float(kept.flat[worst])


def _step(y: np.ndarray) -> float:
    """Return the step of an output in eight bits, or 0 where there are more values than those have."""
    values = np.unique(y)
    return float(np.diff(values).min()) if 1 < len(values) <= 256 else 0.0


def _verdict(error: float, kept: float, whole: float, explained: bool, tolerance: float) -> str:
    if error <= tolerance:
        return "right"
    if explained or 0.8 <= kept <= 1.2:
        return "rounded"
    if abs(kept) <= 0.1 and abs(whole - OFF) <= 0.02:
        return "off"
    return "saturated" if whole >= 0.9 else "wrong"


REDUCTIONS = {"ReduceMean", "ReduceSum", "GlobalAveragePool", "InstanceNormalization"}
WEIGHTED = {"BatchNormalization", "Conv", "ConvTranspose", "Gemm", "MatMul"}


def simam_nodes(model: Any) -> tuple[tuple[str, ...], ...]:
    """Return the names of the nodes of each SimAM in an ONNX model, for a quantizer's exclusions.

    Found by structure, in a model of either exporter, whether of the ten lines, of this package or
    with a built-in instance norm: x times a sigmoid of what only x enters, with a mean or a sum and
    without weights. So SiLU, squeeze-and-excitation and ECA are none. With
    ``model = onnx.load(file)``,

    - onnxruntime takes ``quantize_static(..., nodes_to_exclude=sum(simam_nodes(model), ()))``,
    - nncf takes ``nncf.IgnoredScope(names=[*sum(simam_nodes(model), ())], validate=False)``, since
      what a conversion folds is not there any more.

    Args:
        model: An ``onnx.ModelProto`` in float, before it is quantized.

    Raises:
        ValueError: If a node that belongs to one has no name.

    >>> from onnx import parser
    >>> model = parser.parse_model('''<ir_version: 10, opset_import: ["" : 18]>
    ... net (float[n, c, h, w] x) => (float[n, c, h, w] y) {
    ...     [mean] m = ReduceMean (x)
    ...     [far] d = Sub (x, m)
    ...     [gain] g = Sigmoid (d)
    ...     [out] y = Mul (x, g)
    ... }''')
    >>> simam_nodes(model)
    (('mean', 'far', 'gain', 'out'),)
    """
    maker = {name: node for node in model.graph.node for name in node.output}
    constants = {tensor.name for tensor in model.graph.initializer}
    found = []
    for last in model.graph.node:
        if last.op_type != "Mul":
            continue
        for x, weight in (last.input, reversed(last.input)):
            nodes = _nodes_between(x, weight, maker, constants)
            kinds = {node.op_type for node in nodes}
            if nodes and nodes[0].op_type == "Sigmoid" and kinds & REDUCTIONS and not kinds & WEIGHTED:
                found.append(tuple(node.name for node in (*reversed(nodes), last)))
    if not all(name for names in found for name in names):
        raise ValueError("model must have names for its nodes, got some without; export it anew")
    return tuple(found)


def _nodes_between(x: str, y: str, maker: dict[str, Any], constants: set[str]) -> list[Any]:
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
