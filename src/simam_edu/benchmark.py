r"""What SimAM costs beside other modules: time, memory kept, and memory at the peak.

All forms run side by side in one process and in turns, so that what disturbs the machine disturbs all alike.
The floor is ``torch.nn.functional.silu``, :math:`x \cdot \operatorname{sigmoid}(x)`: SimAM without its
statistics, with one exponential per element, reading its input once and keeping it for the backward pass.
"""

import os
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from simam_edu import kernels
from simam_edu.attention import ATTENTION, CONTROLS, SimAM
from simam_edu.networks import build

SHAPES = ((128, 16, 32, 32), (128, 64, 8, 8), (16, 256, 56, 56), (1, 512, 7, 7))
"""A first and a last stage of ResNet-20 at batch 128, a wide early one, and the last map of one image."""

ELEMENTS = tuple((10**k, 16, 25, 25) for k in range(5))
"""The number of elements grows: more images of 16 channels of 25 by 25."""

CUTS = (
    *((max(2**14 // side**2, 1), 64, side, side) for side in (2, 4, 7, 8, 14, 16, 28, 32, 56, 64, 128)),
    *((2**12 // channels, channels, 16, 16) for channels in (1, 3, 16, 64, 256, 1024)),
)
"""About a million elements, cut into large maps or many channels."""

ROUNDS = 5
"""How often each form has its turn, so that a slow minute of the machine meets all of them."""

UNTIMED = 10
"""Calls at the beginning of a turn that are not timed, or as many as are timed where these are fewer."""

LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
"""The order of the numbers in memory, by its name."""

FLOOR_AND_SIMAM = ("silu", "ten lines", "simam")
"""The forms that every series has: the floor, the reference and the module."""

Shape = tuple[int, int, int, int]


class TenLines(nn.Module):
    """SimAM as in the paper's Figure 3, with the missing keepdim."""

    def __init__(self, lam: float = 1e-4) -> None:
        super().__init__()
        self.lam = lam

    def forward(self, x: Tensor) -> Tensor:
        """Return x times its gain."""
        squares = (x - x.mean(dim=(-2, -1), keepdim=True)).square()
        var = squares.sum(dim=(-2, -1), keepdim=True) / (x.shape[-2] * x.shape[-1] - 1)
        return x * torch.sigmoid(squares / (4 * (var + self.lam)) + 0.5)


def _compiled(module: nn.Module) -> nn.Module:
    return torch.compile(module, dynamic=False)  # type: ignore[return-value]


FORMS: dict[str, Callable[[int], nn.Module]] = {
    "silu": lambda _: nn.SiLU(),
    "ten lines": lambda _: TenLines(),
    "ten lines, compiled": lambda _: _compiled(TenLines()),
    "simam": lambda _: SimAM(),
    "simam, torch": lambda _: SimAM(backend="torch"),
    "simam, compiled": lambda _: _compiled(SimAM()),
    **{name: ATTENTION[name] for name in ATTENTION if name not in ("none", "simam", *CONTROLS)},
    "3x3 convolution": lambda channels: nn.Conv2d(channels, channels, 3, padding=1, bias=False),
}
"""Every form by its name; each takes the number of channels."""

# The last is what runs without a kernel, inside torch.compile too.
_WHOLE = ("none", "ten lines", "simam", "simam, torch")

NETWORKS = {
    "step": ("none", "silu", "ten lines", "ten lines, compiled", "simam", "simam, torch"),
    "compiled step": _WHOLE,
    "inference": _WHOLE,
    "compiled inference": _WHOLE,
}
"""What is timed of a network, and with which forms."""


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Median and quartiles of the times of one form, in milliseconds."""

    median: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Row:
    """What one form costs on one shape."""

    name: str  #: a key of :data:`FORMS`
    shape: Shape  #: of the input
    layout: str  #: ``"contiguous"`` or ``"channels_last"``
    path: str | None  #: the path that SimAM took; None for other forms
    forward: Timing  #: without a graph
    both: Timing  #: forward and backward
    saved: float  #: bytes kept for the backward pass over the bytes of the input
    #: The most bytes allocated at once during forward and backward, without input, upstream gradient and
    #: parameters, over the bytes of the input. The least is 2: output and gradient.
    peak: float


def measure(
    shape: Shape,
    names: Sequence[str] = tuple(FORMS),
    *,
    device: str = "cpu",
    layout: str = "contiguous",
    seconds: float = 2.0,
) -> list[Row]:
    """Measure forms on an input of one shape (n, c, h, w), in turns, after a warm-up.

    Args:
        shape: Of the input.
        names: Keys of :data:`FORMS`.
        device: ``"cpu"`` or ``"cuda"``.
        layout: A key of :data:`LAYOUTS`.
        seconds: Time to spend on each form and pass, roughly; at least fifteen calls are timed.

    Raises:
        ValueError: If a name or the layout is unknown, or ``seconds`` is negative.
    """
    if unknown := sorted(set(names) - set(FORMS)):
        raise ValueError(
            f"names must be among {', '.join(map(repr, FORMS))}, got {', '.join(map(repr, unknown))}"
        )
    _settle_memory()
    x, grad_output = (_input(shape, device, layout, seed) for seed in (0, 1))
    modules = {name: FORMS[name](shape[1]).to(device) for name in names}
    still = x.detach()
    forward_jobs = [torch.no_grad()(partial(module, still)) for module in modules.values()]
    jobs = [
        partial(_forward_and_backward, module, [x, *module.parameters()], grad_output)
        for module in modules.values()
    ]
    forward, both = (_in_turn(some, seconds, device) for some in (forward_jobs, jobs))
    size = x.numel() * x.element_size()
    return [
        Row(
            name=name, shape=shape, layout=layout, forward=forward[k], both=both[k],
            path=kernels.backend_for(x, module.backend) if isinstance(module, SimAM) else None,
            saved=saved_bytes(module, x) / size,
            peak=peak_bytes(jobs[k], device) / size,
        )
        for k, (name, module) in enumerate(modules.items())
    ]  # fmt: skip


def compare(
    shape: Shape, *, names: Sequence[str] = FLOOR_AND_SIMAM, device: str = "cpu"
) -> list[dict[str, Any]]:
    """Return the median times of a few forms on one shape, for a page; see :func:`measure`.

    Each has the keys ``name``, ``path``, ``forward_ms`` and ``both_ms``.
    """
    return [
        {"name": row.name, "path": row.path, "forward_ms": row.forward.median, "both_ms": row.both.median}
        for row in measure(shape, names, device=device, seconds=0.5)
    ]


def network_times(
    kind: str = "step",
    names: Iterable[str] | None = None,
    *,
    batch: int = 128,
    seconds: float = 20.0,
    device: str = "cpu",
) -> dict[str, Timing]:
    """Return the times of ResNet-20 with each form as attention in the authors' place, channels-last.

    Args:
        kind: A key of :data:`NETWORKS`. A step is forward, loss, backward and update, ``"inference"`` a
            forward pass in evaluation mode; with ``"compiled"`` torch.compile is given the whole network.
        names: ``"none"`` or keys of :data:`FORMS`; None for those of the kind.
        batch: The number of images.
        seconds: For each form, roughly.
        device: ``"cpu"`` or ``"cuda"``.

    Raises:
        ValueError: If there is no such kind or form, or ``seconds`` is negative.
    """
    if kind not in NETWORKS:
        raise ValueError(f"kind must be one of {', '.join(NETWORKS)}, got {kind!r}")
    chosen = list(names or NETWORKS[kind])
    if unknown := set(chosen) - {"none", *FORMS}:
        raise ValueError(f"names must be of 'none', {', '.join(map(repr, FORMS))}, got {unknown}")
    images = _input((batch, 3, 32, 32), device, "channels_last", 0).detach()
    jobs = {name: _network_job(kind, name, images) for name in chosen}
    return dict(zip(jobs, _in_turn(list(jobs.values()), seconds, device), strict=True))


def _settle_memory() -> None:
    """Free one block of nearly 32 MB, as any network soon does.

    Until a process has freed one as large, glibc takes blocks of some megabytes from the system each time or
    not, by chance, and times jump between two values. Source: mallopt(3) under M_MMAP_THRESHOLD.
    """
    torch.empty(31 * 2**20, dtype=torch.uint8)


def saved_bytes(module: nn.Module, x: Tensor) -> int:
    """Return the bytes of distinct memory that autograd keeps for the backward pass, without parameters.

    The module runs forward once; its input ``x`` counts where it is kept.

    >>> x = torch.zeros(1, 2, 8, 8)  # of 512 bytes
    >>> saved_bytes(nn.SiLU(), x), saved_bytes(SimAM(backend="torch"), x)
    (512, 528)
    """
    own = {parameter.untyped_storage().data_ptr() for parameter in module.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        output = module(x.detach().requires_grad_())
    del output  # alive until here, so that no address was used twice
    return sum(size for address, size in kept.items() if address not in own)


def peak_bytes(job: Callable[[], object], device: str = "cpu") -> int:
    """Return the most bytes that a job, which runs once, has allocated through torch at once."""
    if device == "cuda":
        torch.cuda.synchronize()
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        job()
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated() - before
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # or the profiler reports its own steps on standard error
    activities = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=activities, profile_memory=True) as profile:
        job()
    results = profile.profiler.kineto_results
    changes = [event for event in results.events() if event.name() == "[memory]"]
    held = peak = 0
    for event in sorted(changes, key=lambda event: int(event.start_ns())):
        held += event.nbytes()
        peak = max(peak, held)
    return peak


def _network_job(kind: str, name: str, images: Tensor) -> Callable[[], object]:
    """Return one step or one inference of a new network with a form."""
    attention = None if name == "none" else FORMS[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = build("resnet20", num_classes=10, attention=attention)
    network.to(images.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    if kind.startswith("compiled"):
        network.compile(fullgraph=True, dynamic=False)
    if kind.endswith("inference"):
        return torch.no_grad()(partial(network.eval(), images))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)
    labels = torch.arange(len(images), device=images.device) % 10

    def step() -> None:
        loss = F.cross_entropy(network(images), labels)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step


def _input(shape: Shape, device: str, layout: str, seed: int) -> Tensor:
    if layout not in LAYOUTS:
        raise ValueError(f"layout must be {' or '.join(LAYOUTS)}, got {layout!r}")
    x = torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(device)
    return x.contiguous(memory_format=LAYOUTS[layout]).requires_grad_()


def _forward_and_backward(module: nn.Module, inputs: Sequence[Tensor], grad_output: Tensor) -> object:
    return torch.autograd.grad(module(inputs[0]), inputs, grad_output)


def _in_turn(jobs: Sequence[Callable[[], object]], seconds: float, device: str) -> list[Timing]:
    """Time jobs in rounds, each job several times before the next one begins.

    The first calls of a job in a round are not timed: what other jobs left in the caches and in the memory
    that the process keeps would count for it.
    """
    if seconds < 0:
        raise ValueError(f"seconds must be at least 0, got {seconds}")
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    times: list[list[float]] = [[] for _ in jobs]
    torch.compiler.reset()
    # Beyond a small number of modules and shapes of one class torch.compile would run it uncompiled.
    with torch._dynamo.config.patch(recompile_limit=64):
        for job in jobs:  # warm up, compile
            job()
    once = sum(_seconds(job, wait) for job in jobs) / len(jobs)
    calls = min(max(3, round(seconds / once / ROUNDS)), 200)
    for _ in range(ROUNDS):
        for job, mine in zip(jobs, times, strict=True):
            for _ in range(min(calls, UNTIMED)):
                job()
            mine += [1000 * _seconds(job, wait) for _ in range(calls)]
    quarters = [statistics.quantiles(mine, n=4) for mine in times]
    return [Timing(low=low, median=median, high=high) for low, median, high in quarters]


def _seconds(job: Callable[[], object], wait: Callable[[], object]) -> float:
    wait()
    start = time.perf_counter()
    job()
    wait()
    return time.perf_counter() - start
