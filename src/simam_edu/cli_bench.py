"""The commands about speed: ``simam-edu bench`` and ``simam-edu kernels``."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

import torch

from simam_edu import benchmark, kernels
from simam_edu.benchmark import FLOOR_AND_SIMAM, FORMS, LAYOUTS, Row, Shape, Timing, measure
from simam_edu.training.distributed import World, keep_freed_memory
from simam_edu.training.record import environment

LINE, STEP_LINE = "{:24}{:>28}{:>8}{:>28}{:>8}{:>7}{:>6}", "{:24}{:>28}{:>8}"


def add_options(name: str, command: argparse.ArgumentParser) -> None:
    """Add the options of a command to its parser, and the function that runs it."""
    if name == "kernels":
        command.set_defaults(run=_kernels)
        return
    command.set_defaults(run=_bench)
    told = f"which forms, each in quotes: {', '.join(map(repr, FORMS))} (default: all)"
    add = command.add_argument
    add("--forms", nargs="+", choices=FORMS, default=list(FORMS), metavar="FORM", help=told)
    add("--device", choices=("cpu", "cuda"), default="cpu", help="where to measure (default cpu)")
    add("--seconds", type=float, default=2.0, help="for each form, shape and pass (default 2)")
    add("--sweeps", action="store_true", help="also growing sizes, map sizes and channels")
    add("--steps", action="store_true", help="also steps and inference of ResNet-20, eager and compiled")
    add(
        "--record",
        type=Path,
        metavar="FILE",
        help="file for the numbers, as lines of JSON, in the place of what it has",
    )


def _kernels(_options: argparse.Namespace) -> None:
    reason, loads = kernels.native.failure(), kernels.native.is_built()
    file = kernels.build()
    done = "it was there, and it loads" if loads else f"built anew, since {reason}" if reason else "built"
    print(f"The native kernel of SimAM is ready: {file}\n({done})")


def _bench(options: argparse.Namespace) -> None:
    if options.record:  # better known before the measurement than after it
        options.record.parent.mkdir(parents=True, exist_ok=True)
        options.record.open("a").close()
    lines: list[dict[str, Any]] = []
    seconds, device = options.seconds, World().device(options.device).type

    def show(kind: str, shapes: Sequence[Shape], forms: Sequence[str], seconds: float = seconds) -> None:
        for shape, layout in product(shapes, ("contiguous",) if kind == "elements" else LAYOUTS):
            rows = measure(shape, forms, device=device, layout=layout, seconds=seconds)
            lines.extend({"kind": kind, **asdict(row)} for row in rows)
            print(table(rows), flush=True)

    backend = kernels.backend_for(torch.zeros(1, 1, 2, 2, device=device))
    print(f"{torch.get_num_threads()} threads, backend of SimAM: {backend}", file=sys.stderr)
    show("shape", benchmark.SHAPES, options.forms)
    if options.sweeps:
        show("elements", benchmark.ELEMENTS, FLOOR_AND_SIMAM)
        show("cut", benchmark.CUTS, FLOOR_AND_SIMAM, seconds / 2)
    if options.steps:
        keep_freed_memory()
        print("\nFrom here on the process keeps the memory that it frees, as simam-edu train does.")
        show("kept", benchmark.SHAPES, FLOOR_AND_SIMAM)
        print(f"processor: {environment()['processor']}, {torch.get_num_threads()} threads")
        for kind in benchmark.NETWORKS:
            times = benchmark.network_times(kind, seconds=10 * seconds, device=device)
            lines.extend({"kind": kind, "name": name, "step": asdict(time)} for name, time in times.items())
            print(steps_table(kind, times), flush=True)
    if options.record:
        common = {"environment": environment(), "finished": datetime.now(UTC).isoformat(timespec="seconds")}
        text = "".join(json.dumps(line | common) + "\n" for line in lines)
        options.record.write_text(text, encoding="utf-8")
        print(f"{len(lines)} lines written to {options.record}", file=sys.stderr)


def table(rows: Sequence[Row]) -> str:
    """Return the rows of one shape as text: times in milliseconds with quartiles, and ratios to SiLU."""
    floor = next((row for row in rows if row.name == "silu"), None)
    heads = ("forward ms", "/ SiLU", "forward and backward ms", "/ SiLU", "saved", "peak")
    lines = [f"\n{rows[0].shape} {rows[0].layout}", LINE.format("", *heads)]
    for row in rows:
        name = row.name if row.path is None else f"{row.name} ({row.path})"
        forward = _times(row.forward, floor.forward if floor else None)
        both = _times(row.both, floor.both if floor else None)
        lines.append(LINE.format(name, *forward, *both, f"{row.saved:.2f}", f"{row.peak:.1f}"))
    return "\n".join(lines)


def steps_table(kind: str, steps: dict[str, Timing]) -> str:
    """Return the times of a network as text, with ratios to the one without attention."""
    lines = [f"\n{kind} of ResNet-20, 128 images", STEP_LINE.format("", "ms", "/ none")]
    lines += [STEP_LINE.format(name, *_times(time, steps.get("none"))) for name, time in steps.items()]
    return "\n".join(lines)


def _times(time: Timing, floor: Timing | None) -> tuple[str, str]:
    ratio = "" if floor is None else f"{time.median / floor.median:.2f}"
    return f"{time.median:.3f} ({time.low:.3f}-{time.high:.3f})", ratio
