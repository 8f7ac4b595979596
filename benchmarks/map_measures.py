"""How well the maps of a network find the object, and what the gains are worth to it."""

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from scipy import ndimage, stats
from torch import Tensor, nn

from simam_edu import SimAM, energy
from simam_edu.attention import CBAM
from simam_edu.datasets import ImageSet
from simam_edu.maps import enlarged, grad_cam, hooked

STAGES = (0, 1, 2)
THRESHOLDS = np.linspace(0.05, 0.95, 19)  # of a map that is scaled to [0, 1]
WINDOWS = (32, 26, 21, 17, 14, 11)  # sides of the crops that make an object fill more of its image
BINS = np.linspace(0, 1, 11)  # of the share that it fills

Maps = dict[str, Tensor]


# The maps


def gain_maps(network: nn.Module, x: Tensor) -> Maps:
    """Return the mean gain that SimAM has, or would have, at the end of each stage."""
    seen: dict[nn.Module, Tensor] = {}
    layers = [network.stages[k][-1].conv2 for k in STAGES]
    gates = [module for module in network.modules() if isinstance(module, CBAM)]

    def keep(module: nn.Module, inputs: tuple[Tensor], y: Tensor) -> None:
        seen[module] = (y / inputs[0]).nanmean(1) if isinstance(module, CBAM) else y.clone()

    with torch.no_grad(), hooked([*layers, *gates], keep):
        network.eval()(x)
    gains = {f"gain {k + 1}": mean_gain(seen[layer]) for k, layer in enumerate(layers)}
    return gains | {f"gate {k + 1}": seen[gate] for k, gate in enumerate(gates)}


def mean_gain(maps: Tensor) -> Tensor:
    """Return the gain of SimAM, averaged over the channels."""
    return torch.from_numpy(energy.gain(maps.numpy()).mean(axis=1)).float()


def all_maps(network: nn.Module, x: Tensor, labels: Tensor) -> Maps:
    """Return the gains and Grad-CAM of each stage, of the class that is right."""
    cams = {f"Grad-CAM {k + 1}": grad_cam(network, network.stages[k], x, labels) for k in STAGES}
    return gain_maps(network, x) | cams


def baselines(pixels: np.ndarray) -> Maps:
    """Return maps that need no network, from images as bytes."""
    planes = pixels / 255
    far = np.abs(planes - planes.mean(axis=(2, 3), keepdims=True)).mean(axis=1)
    light = planes.mean(axis=1)
    edges = np.hypot(ndimage.sobel(light, axis=1), ndimage.sobel(light, axis=2))
    middle = (planes.shape[-1] - 1) / 2
    rows, columns = np.indices(planes.shape[2:])
    center = np.broadcast_to(-np.hypot(rows - middle, columns - middle), light.shape)
    found = {"|x - mean|": far, "SimAM of the pixels": energy.gain(planes).mean(axis=1)}
    found |= {"Sobel edges": edges, "center": center}
    return {name: torch.from_numpy(np.ascontiguousarray(values)).float() for name, values in found.items()}


# How well a map finds the object


def scaled(maps: Tensor, side: int) -> np.ndarray:
    """Return maps at the size of the masks, each from 0 to 1; a constant one is 0."""
    wide = enlarged(maps, (side, side)).flatten(1).numpy()
    low = wide.min(axis=1, keepdims=True)
    span = np.ptp(wide, axis=1, keepdims=True)
    return (wide - low) / np.where(span > 0, span, 1.0)


def auc(values: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Return for each image how often a pixel of the object has more than one of the background."""
    k = masks.sum(axis=1)
    ranks = (stats.rankdata(values, axis=1) * masks).sum(axis=1)
    return (ranks - k * (k + 1) / 2) / (k * (masks.shape[1] - k))


def best_threshold(maps: Tensor, masks: np.ndarray) -> float:
    """Return the threshold with the largest mean intersection over union."""
    values, objects = scaled(maps, masks.shape[-1]), masks.reshape(len(masks), -1)
    return float(THRESHOLDS[np.argmax([iou(values > t, objects).mean() for t in THRESHOLDS])])


def iou(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the intersection over union of masks, one a row."""
    return (one & other).sum(axis=1) / (one | other).sum(axis=1)


def located(maps: Tensor, masks: np.ndarray, threshold: float) -> dict[str, float]:
    """Return the four measures of maps (n, h, w) against masks, averaged over the images.

    ``mass`` is the object's share of what a map has above its least value, over the share of its
    area.
    """
    values, objects = scaled(maps, masks.shape[-1]), masks.reshape(len(masks), -1)
    total = values.sum(axis=1)
    # A constant map has its mass everywhere.
    share = np.where(total > 0, (values * objects).sum(axis=1) / np.where(total > 0, total, 1), np.nan)
    mass = np.where(total > 0, share / objects.mean(axis=1), 1.0)
    hits = objects[np.arange(len(objects)), values.argmax(axis=1)] & (total > 0)
    overlap = iou(values > threshold, objects)
    means = {"auc": auc(values, objects), "mass": mass, "pointing": hits, "iou": overlap}
    return {name: float(value.mean()) for name, value in means.items()} | {"threshold": threshold}


def measured(shown: Maps, masks: np.ndarray, chosen: Maps, chosen_masks: np.ndarray) -> dict[str, Any]:
    """Return the measures of each map, its threshold chosen on other images."""
    return {
        name: located(maps, masks, best_threshold(chosen[name], chosen_masks)) for name, maps in shown.items()
    }


# By the share of the image that the object fills


def zoomed(images: ImageSet) -> ImageSet:
    """Return crops about the object of each image, enlarged to its size, widest first."""
    if images.masks is None:
        raise ValueError(f"images must have masks, got {images.name} without any")
    side = images.images.shape[-1]
    pixels, masks = torch.from_numpy(images.images).float(), torch.from_numpy(images.masks)
    found: list[tuple[Tensor, Tensor]] = []
    for window in WINDOWS:
        for image, mask in zip(pixels, masks, strict=True):
            top, left = (
                int(np.clip(round(float(middle)) - window // 2, 0, side - window))
                for middle in mask.nonzero().double().mean(dim=0)
            )
            cut = (..., slice(top, top + window), slice(left, left + window))
            found.append(
                (enlarged(image[cut], (side, side)), enlarged(mask[cut][None].float(), (side, side)))
            )
    parts = [torch.stack([pair[k] for pair in found]) for k in (0, 1)]
    return replace(
        images,
        images=parts[0].round().byte().numpy(),
        masks=parts[1][:, 0].numpy() > 0.5,
        labels=np.tile(images.labels, len(WINDOWS)),
    )


def by_share(maps: Maps, masks: np.ndarray) -> dict[str, list[Any]]:
    """Return for each bin: images, mean share, AUC, mean gain on the object less that beside it.

    An object that fills its whole image has nothing beside it and is left out.
    """
    maps = {name: values[~masks.all(axis=(1, 2))] for name, values in maps.items()}
    objects = masks[~masks.all(axis=(1, 2))].reshape(-1, masks[0].size)
    share = objects.mean(axis=1)
    bins = np.digitize(share, BINS[1:-1])
    found: dict[str, list[Any]] = {}
    for name, values in maps.items():
        wide = enlarged(values, masks.shape[1:]).flatten(1).numpy()
        areas = auc(wide, objects)
        on = (wide * objects).sum(axis=1) / objects.sum(axis=1)
        beside = (wide * ~objects).sum(axis=1) / (~objects).sum(axis=1)
        found[name] = [
            [int(k.sum()), *(float(v[k].mean()) if k.any() else None for v in (share, areas, on - beside))]
            for k in (bins == b for b in range(len(BINS) - 1))
        ]
    return found


# What the gains are worth


def replaced_gain(gain: Tensor, how: str) -> Tensor:
    """Return what stands in the place of the gains (n, c, h, w)."""
    if how == "own":
        return gain
    if how == "mean":
        return gain.mean(dim=(2, 3), keepdim=True)
    if how == "other image":
        return gain.roll(1, dims=0)
    if how == "shuffled":
        flat = gain.flatten(2)
        order = torch.rand(flat.shape, generator=torch.Generator().manual_seed(0)).argsort(dim=2)
        return flat.gather(2, order).reshape(gain.shape)
    raise ValueError(f"how must be own, mean, shuffled or other image, got {how!r}")


def answers(network: nn.Module, x: Tensor, how: str, stages: Sequence[int]) -> Tensor:
    """Return the classes that a network answers when the gains of some stages are replaced."""

    def change(module: nn.Module, inputs: tuple[Tensor], _: Tensor) -> Tensor:
        gain = energy.gain(inputs[0].numpy(), lam=module.lam)
        return inputs[0] * replaced_gain(torch.from_numpy(gain).float(), how)

    chosen = [m for k in stages for m in network.stages[k].modules() if isinstance(m, SimAM)]
    with torch.no_grad(), hooked(chosen, change):
        return torch.cat([network.eval()(batch).argmax(dim=1) for batch in x.split(250)])


def causal(network: nn.Module, x: Tensor, labels: Tensor) -> list[dict[str, Any]]:
    """Return for each replacement how many right answers it made wrong, and wrong ones right."""
    before = answers(network, x, "own", ()) == labels
    found = []
    for how in ("own", "mean", "shuffled", "other image"):
        for stages in (*((k,) for k in STAGES), STAGES):
            after = answers(network, x, how, stages) == labels
            counts = {"lost": int((before & ~after).sum()), "won": int((~before & after).sum())}
            found.append({"how": how, "stages": [k + 1 for k in stages], **counts})
    return found


def randomized(
    network: nn.Module, fresh: nn.Module, x: Tensor, labels: Tensor
) -> dict[str, dict[str, float]]:
    """Return the rank correlation of each map with that of a network whose last layers are new.

    Source: Adebayo et al., "Sanity Checks for Saliency Maps", NeurIPS 2018,
    https://arxiv.org/abs/1810.03292.
    """
    first, new = all_maps(network, x, labels), fresh.state_dict()
    changed = copy.deepcopy(network)
    found: dict[str, dict[str, float]] = {}
    for layer in ("head", "stages.2", "stages.1", "stages.0", "stem"):
        anew = {name: value for name, value in new.items() if name.startswith(f"{layer}.")}
        changed.load_state_dict(anew, strict=False)
        maps = all_maps(changed, x, labels)
        found[layer] = {name: correlation(first[name], maps[name]) for name in first}
    return found


def correlation(one: Tensor, other: Tensor) -> float:
    """Return Spearman's rank correlation of two maps, a mean over images where neither is constant."""
    ranks = [stats.rankdata(maps.flatten(1).numpy(), axis=1) for maps in (one, other)]
    a, b = (rank - rank.mean(axis=1, keepdims=True) for rank in ranks)
    norms = np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    return float(((a * b).sum(axis=1)[norms > 0] / norms[norms > 0]).mean())
