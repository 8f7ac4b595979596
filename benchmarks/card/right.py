"""Is the module right on the card? Forward and backward against float64, and what runs beside."""

import math
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from itertools import product
from multiprocessing import get_context
from typing import Any, NamedTuple

import torch
from benchmarks.card.log import Log
from torch import Tensor, nn

from simam_edu import SimAM
from simam_edu.datasets import load
from simam_edu.kernels import Options, Statistics, backend_for
from simam_edu.kernels.reference import simam as reference
from simam_edu.training import TrainConfig, card, train

DTYPES = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
SHAPES = ((4, 8, 7, 7), (2, 3, 5, 9), (2, 6, 28, 28), (1, 4, 56, 56), (1, 3, 91, 93), (1, 2, 224, 224))
LARGEST = {torch.float32: 2e37, torch.bfloat16: 2e37, torch.float64: 1e307, torch.float16: 1e3}
LEAST = {torch.float32: 1e-36, torch.bfloat16: 1e-32, torch.float64: 1e-306, torch.float16: 1e-3}


class Case(NamedTuple):
    """One input, which is drawn by its own name."""

    dtype: torch.dtype
    layout: str
    shape: tuple[int, int, int, int]
    statistics: Statistics = "shared"
    scale: float = 2.0
    mean: float = 1.0
    lam: float = 0.1

    @property
    def name(self) -> str:
        """What the case is called in the records."""
        size = "x".join(map(str, self.shape))
        parts = (str(self.dtype).removeprefix("torch."), self.layout, size, self.statistics)
        return " ".join([*parts, f"scale {self.scale:g}", f"mean {self.mean:g}", f"lam {self.lam:g}"])


def cases(rehearse: bool) -> list[Case]:
    """Return every case: all dtypes, layouts and sizes; the rest on small maps."""
    shapes, small = (SHAPES[:2], SHAPES[1]) if rehearse else (SHAPES, SHAPES[1])
    found = [Case(*chosen) for chosen in product(DTYPES, LAYOUTS, shapes)]
    for dtype, layout in product(DTYPES, LAYOUTS):
        found += [Case(dtype, layout, small, name) for name in ("population", "leave_one_out")]
        found += [
            Case(dtype, layout, small, scale=table[dtype], mean=0.0, lam=0.0) for table in (LARGEST, LEAST)
        ]
    found.append(Case(torch.float32, "contiguous", small, mean=1e6))
    return found


def check(case: Case, device: str) -> dict[str, Any]:
    """Return the errors of one case and whether they are within the tolerances of the tests.

    The output may be wrong by 8 units of the last place (1 in two bytes), the gradient by 16 of its
    largest.
    """
    drawn = torch.randn((2, *case.shape), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    memory = LAYOUTS[case.layout]
    x = (case.scale * drawn[0] + case.mean).to(case.dtype).to(device).contiguous(memory_format=memory)
    grad = drawn[1].to(case.dtype).to(device).contiguous(memory_format=memory)
    leaf = x.clone().requires_grad_()
    y = SimAM(lam=case.lam, statistics=case.statistics)(leaf)
    (found,) = torch.autograd.grad(y, leaf, grad)
    wanted, wanted_grad = oracle(x, grad, case)
    eps = torch.finfo(case.dtype).eps
    tiny = torch.finfo(case.dtype).smallest_normal
    error = _largest((y.double() - wanted).abs() / (wanted.abs() + tiny / eps)) / eps
    grad_error = _largest((found.double() - wanted_grad).abs()) / (eps * _largest(wanted_grad.abs()))
    limit = 1 if x.itemsize == 2 else 8
    kept = y.stride() == found.stride() == x.stride()
    return {
        "ulps": error, "gradient_ulps": grad_error, "limits": [limit, 16], "backend": backend_for(leaf),
        "ok": error <= limit and grad_error <= 16 and kept,
    }  # fmt: skip


def oracle(x: Tensor, grad: Tensor, case: Case) -> tuple[Tensor, Tensor]:
    """Return output and gradient in float64, on a scale on which nothing overflows."""
    scale = x.abs().amax().double()
    leaf = (x.double() / scale).requires_grad_()
    options = Options(case.lam / float(scale) / float(scale), case.statistics, 2)
    y = reference(leaf, options)
    return y.detach() * scale, torch.autograd.grad(y, leaf, grad.double())[0]


def _largest(values: Tensor) -> float:
    values = values.detach()
    return float(values.max()) if bool(values.isfinite().all()) else math.inf


def double_backward(device: str) -> dict[str, Any]:
    """Return how far the gradient of a gradient is from that in float64."""
    x, v = torch.randn((2, 2, 3, 6, 7), generator=torch.Generator().manual_seed(1)).to(device)

    def twice(call: Callable[[Tensor], Tensor], at: Tensor) -> Tensor:
        leaf = at.clone().requires_grad_()
        (grad,) = torch.autograd.grad((call(leaf) * v.to(at.dtype)).sum(), leaf, create_graph=True)
        return torch.autograd.grad(grad.square().sum(), leaf)[0]

    return _close(twice(SimAM(), x), twice(lambda leaf: reference(leaf, Options()), x.double()), 1e-4)


def autocast(device: str) -> dict[str, Any]:
    """Return whether autocast leaves SimAM in its input's dtype, with the same numbers."""
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(2)).to(device)
    with torch.autocast(torch.device(device).type, torch.bfloat16):
        y = SimAM()(x)
    return _close(y, SimAM()(x), 0.0)


def other_stream(device: str) -> dict[str, Any]:
    """Return whether a kernel waits for what its own stream does before it, and is in that stream."""
    x = torch.randn(64, 64, 56, 56, generator=torch.Generator().manual_seed(3)).to(device)
    wanted = SimAM()(x * 3)
    if not x.is_cuda:
        return {"ok": True, "skipped": "no CUDA"}
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        y = x
        for _ in range(20):  # keeps the stream busy
            y = y + 0 * x
        y = SimAM()(y * 3)
    stream.synchronize()
    return _close(y, wanted, 1e-6)


def second_card(device: str) -> dict[str, Any]:
    """Return whether another card than the current one computes the same."""
    if torch.device(device).type != "cuda" or torch.cuda.device_count() < 2:
        return {"ok": True, "skipped": "there is one card at most"}
    x = torch.randn(2, 3, 8, 8)
    return _close(SimAM()(x.to("cuda:1")).cpu(), SimAM()(x.to("cuda:0")).cpu(), 1e-6)


def exported(device: str) -> dict[str, Any]:
    """Return how far the program of torch.export is from the module."""
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(4)).to(device)
    return _close(torch.export.export(SimAM(), (x,)).module()(x), SimAM()(x), 1e-5)


def compiled(device: str) -> dict[str, Any]:
    """Return whether a compiled block is one graph, is compiled at most twice, and learns the same.

    Compiled at most twice: once for the first size, once for all others.
    """
    from torch._dynamo.testing import CompileCounterWithBackend

    torch.compiler.reset()
    torch.manual_seed(5)
    block = nn.Sequential(nn.BatchNorm2d(3), SimAM(), nn.ReLU()).to(device)
    counter = CompileCounterWithBackend("inductor")
    fast = torch.compile(block, backend=counter, fullgraph=True)
    errors = []
    for size in ((4, 3, 8, 8), (6, 3, 12, 10), (5, 3, 16, 14)):
        x = torch.randn(size, device=device)
        block.zero_grad()
        (wanted := block(x)).square().sum().backward()
        grads = [parameter.grad.clone() for parameter in block.parameters() if parameter.grad is not None]
        block.zero_grad()
        (found := fast(x)).square().sum().backward()
        pairs = [(found, wanted), *zip((p.grad for p in block.parameters()), grads, strict=True)]
        errors += [_close(one, other, 1e-3)["error"] for one, other in pairs if one is not None]
    return {"ok": max(errors) <= 1e-3 and counter.frame_count <= 2, "error": max(errors),
            "compilations": counter.frame_count}  # fmt: skip


def recorded_step(device: str) -> dict[str, Any]:
    """Return how far the losses of a run of recorded steps are from those of one step after another.

    Two runs of the latter differ, too: sums on a card come in any order.
    """
    if torch.device(device).type != "cuda":
        return {"ok": True, "skipped": "no CUDA"}
    images = load("shapes", "train")
    images = replace(images, images=images.images[:1000], labels=images.labels[:1000], masks=None)
    config = TrainConfig(recipe="smoke", epochs=2, held_out=0.0, device="cuda")
    losses, usual = [], card.EAGER_STEPS
    for card.EAGER_STEPS in (usual, 10**9, 10**9):
        losses.append([epoch.train.loss for epoch in train(config, images, images).epochs])
    card.EAGER_STEPS = usual
    error, noise = (max(abs(a / b - 1) for a, b in zip(one, losses[1], strict=True)) for one in losses[::2])
    return {"ok": error <= 0.02, "error": error, "noise": noise, "limit": 0.02, "losses": losses}


def _close(found: Tensor, wanted: Tensor, limit: float) -> dict[str, Any]:
    error = _largest((found.double() - wanted.double()).abs()) / (_largest(wanted.double().abs()) or 1.0)
    return {"ok": error <= limit and found.device == wanted.device, "error": error, "limit": limit}


BESIDE: dict[str, Callable[[str], dict[str, Any]]] = {
    "double backward": double_backward,
    "autocast": autocast,
    "another stream": other_stream,
    "a second card": second_card,
    "torch.export": exported,
    "torch.compile": compiled,
    "a recorded step": recorded_step,
}
"""What is checked beside the numbers of single calls."""


def run(log: Log, device: str, *, rehearse: bool, processes: int) -> None:
    """Check every case that has no answer yet, in several processes: each compiles for seconds."""
    jobs: dict[str, tuple[Callable[..., dict[str, Any]], tuple[Any, ...]]] = {
        case.name: (check, (case, device)) for case in cases(rehearse)
    }
    jobs |= {name: (function, (device,)) for name, function in BESIDE.items()}
    left = {name: job for name, job in jobs.items() if log.wants("right", name)}
    if processes <= 1 or len(left) < 2:
        for name, (function, given) in left.items():
            if log.seconds_left < 0:
                return
            log.add("right", name, **_answer(function, given))
        return
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        futures = {pool.submit(_answer, *job): name for name, job in left.items()}
        for future in as_completed(futures):
            log.add("right", futures[future], **future.result())
            if log.seconds_left < 0:
                pool.shutdown(cancel_futures=True)
                return


def _answer(function: Callable[..., dict[str, Any]], given: Iterable[Any]) -> dict[str, Any]:
    try:
        return function(*given)
    except Exception as error:  # what is found is what is written, and the other cases go on
        return {"ok": False, "raised": repr(error)[:600]}
