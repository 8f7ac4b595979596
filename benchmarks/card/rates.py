"""How fast does the card learn? Images a second of this package's loop and of the usual one."""

import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import torch
import torch.nn.functional as F
from benchmarks.card.log import Log
from benchmarks.throughput import PillowImages

from simam_edu.benchmark import TenLines
from simam_edu.datasets import ImageSet
from simam_edu.networks import build
from simam_edu.training import RECIPES, TrainConfig, train
from simam_edu.training.distributed import autocast

RECIPE = RECIPES["budget"]


def our_rate(images: ImageSet, attention: str, device: str, epochs: int) -> float:
    """Return the images a second of the epochs after the first, in which the step is recorded."""
    config = TrainConfig(attention=attention, recipe="budget", epochs=epochs + 1, held_out=0.0, device=device)  # type: ignore[arg-type]
    one = replace(images, images=images.images[:1], labels=images.labels[:1], masks=None)
    seconds = [epoch.seconds for epoch in train(config, images, one).epochs[1:]]
    return len(images.labels) / statistics.median(seconds)


def usual_rate(images: ImageSet, workers: int, device: str) -> float:
    """Return the images a second of the loop of tutorials, from its second half.

    A DataLoader whose workers crop and flip with Pillow, the ten lines, bfloat16 autocast where the
    card has it, and one launch after the other.
    """
    place = torch.device(device)
    network = build("resnet20", num_classes=len(images.classes), attention=lambda _: TenLines()).to(place)
    optimizer = RECIPE.optimizer(network.parameters())
    loader = torch.utils.data.DataLoader(
        PillowImages(images), batch_size=RECIPE.batch_size, shuffle=True, num_workers=workers, drop_last=True,
        pin_memory=place.type == "cuda",
    )  # fmt: skip
    half = len(loader) // 2
    start = 0.0
    for step, (x, labels) in enumerate(loader):
        if step == half:
            _wait(place)
            start = time.perf_counter()
        x, labels = x.to(place, non_blocking=True), labels.to(place, non_blocking=True)
        with autocast(place):
            loss = F.cross_entropy(network(x).float(), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    _wait(place)
    return (len(loader) - half) * RECIPE.batch_size / (time.perf_counter() - start)


def sweep_rate(images: ImageSet, jobs: int, device: str) -> float:
    """Return the images a second of several runs side by side, all of them together."""
    with ThreadPoolExecutor(jobs) as pool:
        return sum(pool.map(lambda _: our_rate(images, "simam", device, 2), range(jobs)))


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def run(log: Log, device: str, images: ImageSet, *, jobs: list[int], workers: list[int]) -> None:
    """Measure each rate that has no answer yet."""
    for turn in (1, 2):
        for attention in ("none", "simam"):
            if log.wants("rates", f"ours, {attention}, turn {turn}", seconds=20):
                rate = our_rate(images, attention, device, 2)
                log.add("rates", f"ours, {attention}, turn {turn}", images_per_second=rate)
    for count in workers:
        if log.wants("rates", f"usual, {count} workers", seconds=30):
            rate = usual_rate(images, count, device)
            log.add("rates", f"usual, {count} workers", images_per_second=rate)
    for count in jobs:
        if log.wants("rates", f"sweep, {count} runs", seconds=30):
            log.add("rates", f"sweep, {count} runs", images_per_second=sweep_rate(images, count, device))
