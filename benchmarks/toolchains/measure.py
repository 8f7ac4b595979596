"""What runtimes.py runs in the environment of a runtime: one job, told and answered as JSON."""

import importlib
import json
import statistics
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from simam_edu.export import FEEDS, OFF, VERDICTS, Finding, check, feed
from toolchains import FORMS, Conversion, Converted

CHANNELS = 8
MESSAGE = 300
Line = dict[str, Any]


def words(error: BaseException, *folders: Path) -> str:
    """Return the first lines of what an error says, without this machine's folders."""
    text = f"{type(error).__name__}: {error}"
    for folder in (*folders, Path(sys.prefix), Path(__file__).parents[2]):
        text = text.replace(f"{folder}/", "")
    return " ".join(text.split())[:MESSAGE]


def new_folder(folder: Path) -> Path:
    """Return an empty folder in a folder, for the files of one conversion."""
    return Path(tempfile.mkdtemp(dir=folder))


def gain(conversion: Conversion, form: str, sizes: list[int], folder: Path) -> Line:
    """Convert a form, run it on every feed at every size, and say whether its gain is right."""
    made: dict[object, Converted] = {}
    findings: list[Finding] = []
    line: Line = {
        "size": "free" if conversion.free else "fixed",
        "calibrated": conversion.calibrated,
        "converts": False,
        "message": None,
    }
    try:
        for size in sizes:
            for name in FEEDS:
                x = feed(name, (1, CHANNELS, size, size))
                key = (conversion.free or size, conversion.calibrated and name)
                if key not in made:
                    made[key] = conversion.convert(FORMS[form]().eval(), x, new_folder(folder))
                    line |= {"converts": True, "operators": dict(made[key].operators)}
                if conversion.runs:
                    findings += check(made[key].run, shapes=[x.shape], feeds=[name]).findings
    except Exception as error:
        line["message"] = words(error, folder)
    if line["converts"] and not conversion.runs:
        line["message"] = "converted and not run: its runtime is not on this system"
    if findings:
        line["verdict"] = max((found.verdict for found in findings), key=VERDICTS.index)
    return line | {"findings": [numbers(found) for found in findings]}


def numbers(found: Finding) -> Line:
    """Return a finding as JSON has it, to four digits."""
    return {
        "feed": found.feed,
        "size": found.shape[-1],
        "verdict": found.verdict,
        "error": round_off(found.error),
        "kept": round_off(found.kept),
    }


def round_off(value: float) -> float | None:
    """Return a number to four digits, or None where it is not finite."""
    return float(f"{value:.4g}") if np.isfinite(value) else None


class Off(nn.Module):
    """Every gain is that of a neuron which equals its mean."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return x times it."""
        return x * OFF


def network(attention: nn.Module) -> nn.Module:
    """Return a convolution, a norm whose channels differ in scale, attention, a norm, and ReLU."""
    torch.manual_seed(0)
    first, second = nn.BatchNorm2d(CHANNELS, momentum=None), nn.BatchNorm2d(CHANNELS, momentum=None)
    nn.init.zeros_(first.bias)
    with torch.no_grad():
        first.weight.copy_(torch.logspace(-1, 0.4771, CHANNELS))
    layers = nn.Sequential(nn.Conv2d(3, CHANNELS, 3, padding=1), first, attention, second, nn.ReLU())
    with torch.no_grad():
        layers.train()(torch.randn(64, 3, 32, 32))
    return layers.eval()


def recipe(conversion: Conversion, form: str, spare: bool, folder: Path) -> Line:
    """Quantize a small network, with SimAM or without, and compare it with itself in float32."""
    line: Line = {
        "recipe": "SimAM in float" if spare else "default",
        "call": conversion.call if spare else None,
    }
    seen, fresh = (np.random.default_rng(seed).standard_normal((1, 3, 32, 32), np.float32) for seed in (0, 1))
    layers = network(FORMS[form]())
    weights = layers.state_dict()
    off = network(Off())
    off.load_state_dict(weights)
    with torch.no_grad():
        exact, without = (part(torch.from_numpy(fresh)).double().numpy() for part in (layers, off))
    try:
        converted = conversion.convert(layers, seen, new_folder(folder), spare=spare)
        found = np.asarray(converted.run(fresh), np.float64)
    except Exception as error:
        return line | {"converts": False, "message": words(error, folder)}
    signal = exact - without
    return line | {
        "converts": True,
        "message": None,
        "operators": dict(converted.operators),
        "error": round_off(float(np.sqrt(np.square(found - exact).mean() / np.square(exact).mean()))),
        "kept": round_off(float((signal * (found - without)).sum() / np.square(signal).sum())),
    }


def latency(convert: Any, shape: list[int], rounds: int, folder: Path) -> Line:
    """Time the forms in turn, and return the median of each and of its ratio to the ten lines."""
    x = np.random.default_rng(0).standard_normal(shape, np.float32)
    runs = {name: convert(make().eval(), x, new_folder(folder)).run for name, make in FORMS.items()}
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    order = list(runs)
    for _ in range(rounds + 3):
        order = [*order[1:], order[0]]  # who comes first meets another machine than who comes last
        for name in order:
            start = time.perf_counter()
            for _ in range(5):
                runs[name](x)
            seconds[name].append((time.perf_counter() - start) / 5)
    kept = {name: np.array(times[3:]) for name, times in seconds.items()}
    return {
        "shape": shape,
        "rounds": rounds,
        "milliseconds": {name: round_off(1e3 * statistics.median(times)) for name, times in kept.items()},
        "ratio": {
            name: round_off(float(np.median(times / kept["ten lines"]))) for name, times in kept.items()
        },
    }


def line_of(job: Line, chain: Any, folder: Path) -> Line:
    """Do one job."""
    if job["kind"] == "latency":
        return latency(chain.LATENCY, job["shape"], job["rounds"], folder)
    conversion = chain.CONVERSIONS[job["precision"]]
    if job["kind"] == "recipe":
        return recipe(conversion, job["form"], job["spare"], folder)
    return gain(conversion, job["form"], job["sizes"], folder)


def main() -> None:
    """Do the jobs of a runtime, and write a line for each to the file that is named last."""
    stated, out = json.loads(sys.argv[1]), Path(sys.argv[2])
    torch.set_num_threads(1)
    chain = importlib.import_module(f"toolchains.{stated['chain']}")
    versions = {name: version(name) for name in ["torch", *stated["packages"]]}
    for job in stated["jobs"]:
        with tempfile.TemporaryDirectory() as folder:
            line = line_of(job, chain, Path(folder))
        with out.open("a") as file:
            file.write(json.dumps(line | {"versions": versions}) + "\n")


if __name__ == "__main__":
    main()
