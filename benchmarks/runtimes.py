"""SimAM in the runtimes that people deploy to: what is converted, and whether it still attends.

    OMP_WAIT_POLICY=PASSIVE python benchmarks/runtimes.py

gives every runtime an environment of its own, with pinned packages, converts the ten lines, this
package's SimAM and the form by a built-in instance norm in each of its precisions, and writes a
line of JSON for each to book/results/runtimes.jsonl, whose form book/results/README.md states. What
is there already is not run again, unless ``--again`` is given; ``--only onnxruntime openvino``
takes these runtimes, and ``--latency`` times onnxruntime and OpenVINO alone, on a quiet machine.
The environments, about 10 GB, stay in ``--environments``.
"""

import argparse
import importlib
import json
import os
import subprocess
import tempfile
import time
import venv
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import platformdirs
from filelock import FileLock

from simam_edu.training.record import commit
from simam_edu.training.record import environment as environment_of_record

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "book" / "results" / "runtimes.jsonl"
ENVIRONMENTS = Path(platformdirs.user_cache_dir("simam_edu")) / "runtimes"
TORCH = [
    "torch==2.13.0",
    "jaxtyping==0.3.11",
    "filelock==4.2.12",
    "platformdirs==4.14.7",
    "numpy==2.4.6",
    "scipy==1.17.1",
]
ONNX = ["onnx==1.23.2", "onnxscript==0.7.2"]
SIZES = (32, 80)
LATENCY_SHAPES = [(1, 64, 56, 56), (1, 256, 14, 14)]
FORMS = ("ten lines", "ours", "instance norm")
Line = dict[str, Any]

# The file of each runtime in the folder toolchains, and what is installed for it.
RUNTIMES: dict[str, tuple[str, list[str]]] = {
    "onnxruntime": ("ort", [*ONNX, "onnxruntime==1.32.0", "onnxconverter-common==1.16.0", "sympy==1.14.0"]),
    "openvino": ("ov", [*ONNX, "openvino==2026.4.1", "nncf==3.4.0"]),
    "ncnn": ("ncnn_pnnx", ["pnnx==20261020", "ncnn==1.0.20261020"]),
    "mnn": ("mnn_onnx", [*ONNX, "MNN==3.6.1"]),
    "litert": ("litert", ["litert-torch==0.10.0", "ai-edge-litert==2.3.0", "ai-edge-quantizer==0.10.0"]),
    "executorch": ("xnnpack", ["executorch==1.5.1"]),
    "torchao": ("pt2e", ["torchao==0.18.0"]),
    "coreml": ("coreml", ["coremltools==9.0"]),
}


def environment(name: str, folder: Path) -> Path:
    """Return the Python of a runtime's environment, which is made where it is not complete.

    Raises:
        RuntimeError: If its packages cannot be installed, with the last line of what pip says.
    """
    python, done = folder / name / "bin" / "python", folder / name / "done"
    if not done.exists():
        venv.create(folder / name, clear=True, with_pip=True)
        pins = [*TORCH, *RUNTIMES[name][1]]
        command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *pins]
        made = subprocess.run(command, capture_output=True, text=True, check=False)
        if made.returncode:
            raise RuntimeError([*made.stderr.splitlines(), "pip failed"][-2 if made.stderr else -1])
        done.touch()
    return python


def jobs(name: str, timed: bool) -> Iterator[Line]:
    """Yield what is measured in a runtime."""
    chain = importlib.import_module(f"toolchains.{RUNTIMES[name][0]}")
    if timed:
        for shape in LATENCY_SHAPES if hasattr(chain, "LATENCY") else ():
            yield {"kind": "latency", "precision": "float32", "shape": list(shape), "rounds": 300}
        return
    for precision, conversion in chain.CONVERSIONS.items():
        for form in FORMS:
            yield {"kind": "gain", "precision": precision, "form": form, "sizes": SIZES}
        for spare in (False, True) if conversion.call else ():
            for form in FORMS:
                yield {"kind": "recipe", "precision": precision, "form": form, "spare": spare}


def identity(line: Line) -> str:
    """Return what tells a line from all others."""
    recipe = line.get("recipe") or ("SimAM in float" if line.get("spare") else "default")
    rest = [line.get(name) for name in ("runtime", "kind", "precision", "form", "shape")]
    return json.dumps([*rest, recipe if line["kind"] == "recipe" else None])


def measure(name: str, todo: Sequence[Line], python: Path) -> Iterator[Line]:
    """Do the jobs of a runtime in a process of its own, and yield the line of each as it comes.

    A job in which the process ends says so in its message, and another process goes on behind it.
    """
    packages = [pin.partition("==")[0] for pin in RUNTIMES[name][1]]
    paths = os.pathsep.join([str(ROOT / "src"), str(ROOT / "benchmarks")])
    there = f"{python.parent}{os.pathsep}{os.environ['PATH']}"  # some call their own commands
    settings = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "PATH": there}
    done = 0
    while done < len(todo):
        stated = {"chain": RUNTIMES[name][0], "packages": packages, "jobs": todo[done:]}
        with tempfile.TemporaryDirectory() as folder, (Path(folder) / "log").open("w+") as log:
            out = Path(folder) / "lines"
            out.touch()
            command = [str(python), "-m", "toolchains.measure", json.dumps(stated), str(out)]
            with (
                subprocess.Popen(command, env=settings, cwd=folder, stdout=log, stderr=log) as run,
                out.open() as lines,
            ):
                while True:
                    ended = run.poll() is not None
                    for line in lines:
                        done += 1
                        yield json.loads(line)
                    if ended:
                        break
                    time.sleep(0.5)
            if done < len(todo):
                log.seek(0)
                last = (log.read().splitlines() or [""])[-1]
                done += 1
                message = f"ended with {run.returncode}: {last}"[:300]
                yield {"converts": False, "message": message, "versions": {}}


def write(line: Line, out: Path) -> None:
    """Put a line into the file, in the place of the one with its identity."""
    with FileLock(f"{out}.lock"):
        there = out.read_text().splitlines() if out.exists() else []
        kept = [old for old in there if identity(json.loads(old)) != identity(line)]
        new = out.with_suffix(".new")
        new.write_text("\n".join([*kept, json.dumps(line)]) + "\n")
        new.replace(out)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is missing in the record."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", nargs="+", choices=RUNTIMES, default=list(RUNTIMES))
    parser.add_argument("--latency", action="store_true")
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--environments", type=Path, default=ENVIRONMENTS)
    parser.add_argument("--out", type=Path, default=OUT)
    chosen = parser.parse_args(arguments)
    there = chosen.out.read_text().splitlines() if chosen.out.exists() else []
    known = {identity(json.loads(line)) for line in there}
    for name in chosen.only:
        missing = [
            job
            for job in jobs(name, chosen.latency)
            if chosen.again or chosen.latency or identity({"runtime": name} | job) not in known
        ]
        try:
            python = environment(name, chosen.environments) if missing else None
        except RuntimeError as error:
            python = None
            missing = [{"kind": "absent", "message": str(error)}]
        lines = measure(name, missing, python) if python else iter([{"versions": {}}] * len(missing))
        for job, measured in zip(missing, lines, strict=True):
            said = {key: value for key, value in job.items() if key not in ("sizes", "spare")}
            line = {"runtime": name} | said | measured
            if job["kind"] == "recipe":  # also where the process ended without a word
                line["recipe"] = "SimAM in float" if job["spare"] else "default"
            line |= {
                "machine": environment_of_record()["processor"],
                "threads": 1,
                "commit": commit(),
                "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            }
            write(line, chosen.out)
            shown = ("runtime", "kind", "precision", "form", "recipe", "verdict", "error", "ratio", "message")
            print(*(line[key] for key in shown if line.get(key) is not None), sep=" | ", flush=True)


if __name__ == "__main__":
    main()
