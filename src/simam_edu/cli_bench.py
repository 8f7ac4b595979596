"""The commands about speed: ``simam-edu bench`` and ``simam-edu kernels``."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

import torch

from simam_edu import benchmark, kernels
from simam_edu.benchmark import FORMS, Row, Timing
from simam_edu.training.distributed import keep_freed_memory
from simam_edu.training.record import environment

WIDTHS = (28, 8, 28, 8, 7, 6)
"""Of the columns of a table."""

KEPT = ("silu", "ten lines", "simam")
"""The forms that are timed once more with freed memory kept."""

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_commands(commands: Commands) -> None:
    """Add the two commands to the parser of the command line."""
    bench = commands.add_parser("bench", help="time SimAM beside other modules, on a quiet machine")
    bench.set_defaults(command=_bench)
    bench.add_argument("--forms", nargs="+", choices=FORMS, default=list(FORMS), metavar="FORM",
                       help=f"which forms: {', '.join(FORMS)} (default: all)")  # fmt: skip
    bench.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    bench.add_argument("--seconds", type=float, default=2.0, help="for each form, shape and pass (default 2)")
    bench.add_argument("--sweeps", action="store_true", help="also growing sizes, map sizes and channels")
    bench.add_argument(
        "--steps", action="store_true", help="also training steps of ResNet-20, with freed memory kept"
    )
    bench.add_argument("--record", type=Path, metavar="FILE", help="file for the figures, as lines of JSON")
    build = commands.add_parser("kernels", help="build the native kernel of SimAM, once for this machine")
    build.set_defaults(command=_kernels)


def _kernels(_options: argparse.Namespace) -> None:
    reason, loads = kernels.native.failure(), kernels.native.is_built()
    file = kernels.build()
    done = "it was there, and it loads" if loads else f"built anew, since {reason}" if reason else "built"
    print(f"The native kernel of SimAM is ready: {file}\n({done})")


def _bench(options: argparse.Namespace) -> None:
    lines: list[dict[str, Any]] = []

    def show(kind: str, rows: Sequence[Row]) -> None:
        lines.extend({"kind": kind, **row.record()} for row in rows)
        print(table(rows), flush=True)

    def show_shapes(kind: str, forms: Sequence[str]) -> None:
        for shape in benchmark.SHAPES:
            for layout in ("contiguous", "channels_last"):
                show(kind, benchmark.measure(
                    shape, forms, device=options.device, layout=layout, seconds=options.seconds
                ))  # fmt: skip

    path = kernels.backend_for(torch.zeros(1, 1, 2, 2, device=options.device))
    print(f"{torch.get_num_threads()} threads, path of SimAM: {path}", file=sys.stderr)
    show_shapes("shape", options.forms)
    if options.sweeps:
        show("elements", benchmark.elements_sweep(seconds=options.seconds))
        show("cut", benchmark.shapes_sweep(seconds=options.seconds / 2))
    if options.steps:
        keep_freed_memory()
        print("\nFrom here on the process keeps the memory that it frees, as simam-edu train does.")
        show_shapes("kept", [form for form in KEPT if form in options.forms])
        steps = benchmark.training_steps(seconds=10 * options.seconds, device=options.device)
        lines.extend({"kind": "step", "name": name, "step": asdict(time)} for name, time in steps.items())
        print(steps_table(steps))
    if options.record:
        common = {"environment": environment(), "finished": datetime.now(UTC).isoformat(timespec="seconds")}
        options.record.parent.mkdir(parents=True, exist_ok=True)
        text = "".join(json.dumps(line | common) + "\n" for line in lines)
        options.record.write_text(text, encoding="utf-8")
        print(f"{len(lines)} lines written to {options.record}", file=sys.stderr)


def table(rows: Sequence[Row]) -> str:
    """Return rows as text: times in milliseconds with quartiles, and ratios to SiLU on the same shape."""
    lines = []
    shown: tuple[object, str] | None = None
    for row in rows:
        if (row.shape, row.layout) != shown:
            shown = (row.shape, row.layout)
            heads = ("forward ms", "/ SiLU", "forward and backward ms", "/ SiLU", "saved", "peak")
            lines += [f"\n{row.shape} {row.layout}", f"{'':24}" + "".join(map(_cell, heads, WIDTHS))]
        floor = next((r for r in rows if r.name == "silu" and (r.shape, r.layout) == shown), None)
        cells = (
            _spread(row.forward), _ratio(row.forward, floor.forward if floor else None),
            _spread(row.both), _ratio(row.both, floor.both if floor else None),
            f"{row.saved:.2f}", f"{row.peak:.1f}",
        )  # fmt: skip
        name = row.name if row.path is None else f"{row.name} ({row.path})"
        lines.append(f"{name:24}" + "".join(map(_cell, cells, WIDTHS)))
    return "\n".join(lines)


def steps_table(steps: dict[str, Timing]) -> str:
    """Return the training steps as text, with ratios to the network without attention."""
    lines = ["\none training step of ResNet-20, 128 images", f"{'':24}{'ms':>28}{'/ none':>8}"]
    for name, time in steps.items():
        lines.append(f"{name:24}{_spread(time):>28}{_ratio(time, steps.get('none')):>8}")
    return "\n".join(lines)


def _cell(text: str, width: int) -> str:
    return text.rjust(width)


def _ratio(time: Timing, floor: Timing | None) -> str:
    return "" if floor is None else f"{time.median / floor.median:.2f}"


def _spread(time: Timing) -> str:
    return f"{time.median:.3f} ({time.low:.3f}-{time.high:.3f})"
