"""What SimAM costs in a network of one's own: long maps, time of a network, and what counters say."""

import importlib
import statistics
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from simam_edu import SimAM
from simam_edu.benchmark import TenLines, saved_bytes
from simam_edu.networks import build

Record = dict[str, Any]
SHAPES = {"long": (1, 64, 80, 2000), "volume": (1, 32, 32, 64, 64)}


def in_turn(jobs: dict[str, Callable[[], object]], rounds: int = 15) -> dict[str, float]:
    """Return the median milliseconds of the processor that each job takes, on one thread.

    Other work on the machine does not count in it, but for the cache that it takes.
    """
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(rounds + 2):
        for name, job in jobs.items():
            start = time.process_time()
            job()
            times[name].append(1000 * (time.process_time() - start))
    return {name: statistics.median(some[2:]) for name, some in times.items()}


@torch.no_grad()
def forward(module: nn.Module, x: torch.Tensor) -> None:
    """Run a module."""
    module(x)


def long_maps() -> Record:
    """Time SimAM on a long spectrogram and a volume beside the ten lines and a convolution."""
    found: Record = {}
    for name, shape in SHAPES.items():
        dims, channels = len(shape) - 2, shape[1]
        x = torch.randn(shape)
        kind = nn.Conv2d if dims == 2 else nn.Conv3d
        modules: dict[str, nn.Module] = {
            "SimAM": SimAM(dims=dims), "SimAM, reference": SimAM(dims=dims, backend="reference"),
            "convolution": kind(channels, channels, 3, padding=1, bias=False),
        }  # fmt: skip
        if dims == 2:
            modules["ten lines"] = TenLines()

        jobs = {key: partial(forward, module, x) for key, module in modules.items()}
        times = in_turn(jobs, rounds=7)
        saved = {key: saved_bytes(module, x) / x.nbytes for key, module in modules.items()}
        found[name] = {"shape": shape, "milliseconds": times, "saved_maps": saved, "map_bytes": x.nbytes}
    return {"maps": found}


def cost() -> Record:
    """Time ResNet-20 with and without SimAM, and count its operations by torch's own counter."""
    networks = {
        name: build("resnet20", num_classes=10, attention=make).eval()
        for name, make in {"none": None, "SimAM": SimAM, "ten lines": lambda _: TenLines()}.items()
    }
    counted = {}
    for name, network in networks.items():
        counter = FlopCounterMode(display=False)
        with counter:
            forward(network, torch.randn(1, 3, 32, 32))
        counted[name] = counter.get_total_flops()
    found = {}
    for batch in (1, 64):
        x = torch.randn(batch, 3, 32, 32)
        jobs = {name: partial(forward, network, x) for name, network in networks.items()}
        found[str(batch)] = in_turn(jobs)
    return {"network": "resnet20", "flops": counted, "milliseconds": found}


def counters() -> Record:
    """Ask the FLOP counters of other packages about a module, and ResNet-20 with and without it."""
    shape = (1, 64, 32, 32)

    def fvcore(module: nn.Module, shape: tuple[int, ...]) -> float:
        counter = importlib.import_module("fvcore.nn").FlopCountAnalysis(module, torch.randn(shape))
        return float(counter.unsupported_ops_warnings(False).total())

    def ptflops(module: nn.Module, shape: tuple[int, ...]) -> float:
        count = importlib.import_module("ptflops").get_model_complexity_info
        options = {"as_strings": False, "print_per_layer_stat": False, "backend": "pytorch"}
        return float(count(module, shape[1:], **options)[0])

    def thop(module: nn.Module, shape: tuple[int, ...]) -> float:
        count = importlib.import_module("thop").profile
        return float(count(module, inputs=(torch.randn(shape),), verbose=False)[0])

    found = {}
    packages = {fvcore: "fvcore", ptflops: "ptflops", thop: "ultralytics-thop"}
    for count, package in packages.items():
        nets = [build("resnet20", num_classes=10, attention=make).eval() for make in (None, SimAM)]
        image = (1, 3, 32, 32)
        found[package] = {
            "version": version(package),
            "SimAM": count(SimAM().eval(), shape),
            "ten lines": count(TenLines().eval(), shape),
            "resnet20": count(nets[0], image),
            "resnet20 with SimAM": count(nets[1], image),
        }
    return {"shape": shape, "counters": found}
