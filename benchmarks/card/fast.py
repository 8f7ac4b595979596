"""How fast is the module on the card? Forward and backward beside SiLU, the ten lines and a copy."""

import statistics
import timeit
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from multiprocessing import get_context
from typing import Any

import torch
from benchmarks.card.log import Log
from torch import Tensor, nn

from simam_edu import SimAM
from simam_edu.benchmark import TenLines

SHAPES = ((128, 16, 32, 32), (128, 64, 8, 8), (128, 64, 56, 56), (16, 256, 56, 56), (1, 512, 7, 7))
DTYPES = (torch.float32, torch.bfloat16)
FLUSHED = 2**30
"""Bytes that are written before each timing: more than any cache holds."""
REPEATS = 40
MAPS_MOVED = 5
"""Forward reads and writes a map, backward reads two and writes one: what any form must move."""

FORMS: dict[str, Callable[[], nn.Module]] = {
    "silu": nn.SiLU,
    "ten lines": TenLines,
    "ten lines, compiled": lambda: torch.compile(TenLines(), dynamic=False),  # type: ignore[return-value]
    "simam": SimAM,
    "simam, compiled": lambda: torch.compile(SimAM(), dynamic=False),  # type: ignore[return-value]
}


def jobs_of(
    shape: tuple[int, ...], dtype: torch.dtype, device: str
) -> dict[str, tuple[Callable[[], object], Callable[[], object]]]:
    """Return of each form the forward pass, and forward with backward; of a copy twice the copy."""
    torch.compiler.reset()
    generator = torch.Generator().manual_seed(0)
    x, grad = (torch.randn(shape, generator=generator).to(device, dtype) for _ in range(2))
    leaf, target = x.clone().requires_grad_(), torch.empty_like(x)
    found: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {}
    for name, make in FORMS.items():
        module = make()

        def forward(module: nn.Module = module) -> Tensor:
            with torch.no_grad():
                result: Tensor = module(x)
            return result

        def both(module: nn.Module = module) -> object:
            return torch.autograd.grad(module(leaf), leaf, grad)

        found[name] = forward, both
    found["copy"] = (lambda: target.copy_(x),) * 2
    return found


def compile_forms(shape: tuple[int, ...], dtype: torch.dtype, device: str) -> None:
    """Run each form once, so that what is compiled is in the caches on disk."""
    for job in (job for pair in jobs_of(shape, dtype, device).values() for job in pair):
        job()


def times(jobs: list[Callable[[], object]], device: str, repeats: int) -> list[list[float]]:
    """Return the milliseconds of each job, timed in turns, with caches that hold nothing of it.

    On a card they are times between two events around the job, which wait behind the flushing of
    the caches: the card has no gaps in which it waits for the host, unless the job itself waits.
    """
    for job in jobs:
        for _ in range(3):
            job()
    if device != "cuda":
        return [timeit.repeat(job, number=1, repeat=repeats) for job in jobs]  # a rehearsal: in seconds
    flushed = torch.empty(FLUSHED, dtype=torch.uint8, device=device)
    events: list[list[tuple[Any, Any]]] = [[] for _ in jobs]
    for _ in range(repeats):
        for job, mine in zip(jobs, events, strict=True):
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            flushed.zero_()
            start.record()
            job()
            end.record()
            mine.append((start, end))
        torch.cuda.synchronize()
    return [[start.elapsed_time(end) for start, end in mine] for mine in events]


def run(log: Log, device: str, *, rehearse: bool, processes: int) -> None:
    """Time all forms on every shape and dtype that has no answer yet."""
    shapes = ((2, 4, 8, 8),) if rehearse else SHAPES
    cells = [
        (shape, dtype) for shape, dtype in product(shapes, DTYPES) if log.wants("fast", _name(shape, dtype))
    ]
    if processes > 1 and cells:
        with ProcessPoolExecutor(min(processes, len(cells)), get_context("spawn")) as pool:
            for _ in pool.map(compile_forms, *zip(*[(*cell, device) for cell in cells], strict=True)):
                if log.seconds_left < 0:
                    pool.shutdown(cancel_futures=True)
                    return
    for shape, dtype in cells:
        if log.seconds_left < 0:
            return
        jobs = jobs_of(shape, dtype, device)
        flat = [job for pair in jobs.values() for job in pair]
        medians = [statistics.median(mine) for mine in times(flat, device, 3 if rehearse else REPEATS)]
        size = MAPS_MOVED * torch.Size(shape).numel() * dtype.itemsize
        forward = dict(zip(jobs, medians[::2], strict=True))
        both = dict(zip(jobs, medians[1::2], strict=True))
        copy = 2 * size / MAPS_MOVED / both["copy"]
        log.add(
            "fast", _name(shape, dtype), forward_ms=forward, both_ms=both,
            over_silu={name: both[name] / both["silu"] for name in both},
            compiled_ten_lines_over_simam=both["ten lines, compiled"] / both["simam"],
            of_the_copys_bandwidth={name: size / both[name] / copy for name in FORMS},
            copy_gb_per_second=copy / 1e6,
        )  # fmt: skip


def _name(shape: tuple[int, ...], dtype: torch.dtype) -> str:
    return f"{'x'.join(map(str, shape))} {str(dtype).removeprefix('torch.')}"
