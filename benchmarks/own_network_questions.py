"""The questions of own_network.py to trained networks: each makes what a line records."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from own_network_lab import NETWORK, PLACES, RECIPE, Lab, accuracy, logits
from simam_edu import SimAM, insert
from simam_edu.maps import hooked
from simam_edu.networks import build
from simam_edu.training import DeviceImages
from simam_edu.training.recipes import RECIPES

Record = dict[str, Any]

# 1 and 3. Where, and which lambda


def entering(network: nn.Module, x: Tensor) -> list[tuple[str, Tensor]]:
    """Return the name of each SimAM of a network and the maps that enter it."""
    names = {module: name for name, module in network.named_modules() if isinstance(module, SimAM)}
    found: list[tuple[str, Tensor]] = []
    with hooked(list(names), lambda module, inputs, _: found.append((names[module], inputs[0]))):
        logits(network, x)
    return found


def where(lab: Lab, seed: int, place: str) -> Record:
    """Train with SimAM at a place; the accuracy, and what the gains of the trained network are."""
    result = lab.result(place, seed)
    maps = []
    for name, x in entering(result.network, lab.test()[0][:100]):
        live = x != 0
        gains = SimAM()(x)[live] / x[live]
        variance = x.var((-2, -1))
        maps.append(
            {
                "name": name, "zeros": 1 - live.double().mean().item(), "live_gain": gains.mean().item(),
                "variance": variance.quantile(torch.tensor([0.05, 0.5, 0.95])).tolist(),
            }
        )  # fmt: skip
    history = [epoch.train.accuracy for epoch in result.epochs]
    return {"accuracy": result.test.accuracy, "train": history[-1], "minutes": result.minutes, "maps": maps}


def lambdas(lab: Lab, seed: int) -> Record:
    """Test a network at other lambdas than it was trained with; the variances that it began with."""
    x, labels = lab.test()
    network, found = lab.network("before the last norm", seed), {}
    for exponent in range(-6, 4):
        for module in network.modules():
            if isinstance(module, SimAM):
                module.lam = 10.0**exponent
        found[f"1e{exponent}"] = accuracy(logits(network, x), labels)
    first = {}
    for weights in ("he", "authors"):
        torch.manual_seed(seed)
        new = build(NETWORK, num_classes=10, attention=SimAM, first_weights=weights)
        new.train()(x[:250])  # so that the norms have statistics: those of training
        for module in new.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 1.0
        new(x[:250])
        first[weights] = [maps.var((-2, -1)).sqrt().median().item() for _, maps in entering(new, x[:250])]
    return {"accuracy": found, "first_std": first}


# 2. Pretrained weights


class Rescaled(nn.Module):
    """SimAM times a number that gives a normal channel its variance back."""

    def __init__(self) -> None:
        super().__init__()
        self.simam, self.factor = SimAM(), 1 / normal_gain()[1] ** 0.5

    def forward(self, x: Tensor) -> Tensor:
        """Return x times its gain and the factor."""
        return self.simam(x) * self.factor


def normal_gain() -> tuple[float, float]:
    """Return the mean gain of a normal channel, and the ratio of its variances after and before."""
    z = torch.linspace(-12, 12, 24001, dtype=torch.float64)
    weight = (-(z**2) / 2).exp()
    weight /= weight.sum()
    gain = (0.5 + z**2 / 4).sigmoid()
    return (weight * gain).sum().item(), (weight * (gain * z) ** 2).sum().item()


def estimate_norms(network: nn.Module, images: DeviceImages) -> None:
    """Take the statistics of the batch norms anew from the images as they are, without a gradient."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean over all batches
    network.train()
    with torch.no_grad():
        for x, _ in images.plain_batches(250):
            network(x)
    for norm in norms:
        norm.momentum = 0.1


def one_epoch(network: nn.Module, images: DeviceImages, seed: int) -> None:
    """Train for one epoch, with a learning rate that falls from a quarter of the peak to 0."""
    recipe, generator = RECIPES[RECIPE], torch.Generator().manual_seed(seed + 100)
    optimizer = recipe.optimizer(network.parameters())
    steps, network = -(-len(images) // recipe.batch_size), network.train()
    batches = images.training_batches(recipe.batch_size, generator=generator)
    for step, (x, labels) in enumerate(batches):
        optimizer.param_groups[0]["lr"] = 0.005 * (1 - step / steps)
        optimizer.zero_grad()
        F.cross_entropy(network(x), labels).backward()
        optimizer.step()


def pretrained(lab: Lab, seed: int, place: str) -> Record:
    """Put SimAM into a network that was trained without; the accuracy after each remedy."""
    x, labels = lab.test()
    images = DeviceImages.put(lab.train_set, torch.device("cpu"))

    def after(make: Callable[[], nn.Module] | None, *remedies: Callable[[nn.Module], None]) -> float:
        network = lab.network("none", seed)
        if make is not None:
            insert(network, **PLACES[place], make=make)
        for remedy in remedies:
            remedy(network)
        return accuracy(logits(network, x), labels)

    norms = partial(estimate_norms, images=images)
    epoch = partial(one_epoch, images=images, seed=seed)
    return {
        "without": after(None),
        "inserted": after(SimAM),
        "rescaled": after(Rescaled),
        "norms": after(SimAM, norms),
        "rescaled, norms": after(Rescaled, norms),
        "epoch": after(SimAM, epoch),
        "without, norms": after(None, norms),
        "without, epoch": after(None, epoch),
    }


# 4 to 6. Sizes, padding, tiles


def sizes(lab: Lab, seed: int, place: str) -> Record:
    """Test at other sizes than that of training; images are resized bilinearly."""
    network, (x, labels) = lab.network(place, seed), lab.test()
    x, labels = x[:1000], labels[:1000]
    found = {}
    for side in (16, 24, 32, 40, 48, 64, 96):
        resized = F.interpolate(x, size=(side, side), mode="bilinear", antialias=True)
        found[str(side)] = accuracy(logits(network, resized), labels)
    return {"accuracy": found}


class Masked(nn.Module):
    """SimAM with a mask that follows the map's size, or zeros outside of it."""

    def __init__(self, masks: list[Tensor], *, zeros: bool = False) -> None:
        super().__init__()
        self.simam, self.zeros = SimAM(), zeros
        self.masks = masks  # one list for all; empty for no mask

    def forward(self, x: Tensor) -> Tensor:
        """Return SimAM of the valid positions, or ``x`` with zeros at the others."""
        if not self.masks:
            return x if self.zeros else self.simam(x)
        valid = F.interpolate(self.masks[0], x.shape[-2:])
        return x * valid if self.zeros else self.simam(x, valid.bool())


def pooled(network: Any, x: Tensor, valid: Tensor) -> Tensor:
    """Return the logits where the mean before the last layer is taken over the valid positions."""
    maps = network.stages(network.stem(x))
    inside = F.interpolate(valid, maps.shape[-2:])
    return network.head((maps * inside).sum((-2, -1)) / inside.sum((-2, -1)))


@torch.no_grad()
def padding(lab: Lab, seed: int, place: str) -> Record:
    """Put bars above and below the images; what changes, by SimAM and by the convolutions.

    Where the convolutions are given zeros in the place of the bars, as at the border of an image,
    all that is left is SimAM's.
    """
    (x, labels), masks, zeros = lab.test(), [], []
    x, labels, network = x[:500], labels[:500], lab.network("none", seed)
    insert(network, before=nn.Conv2d, make=partial(Masked, zeros, zeros=True))
    if PLACES[place]:
        network.load_state_dict(lab.network(place, seed).state_dict())
        insert(network, **PLACES[place], make=partial(Masked, masks))
    network.eval()
    plain, rows = logits(network, x), []
    for bar in (8, 16):
        valid = F.pad(torch.ones(1, 1, 32, 32), (0, 0, bar, bar))
        for value in (0, 114, "zeros"):
            boxed = lab.pixel(0 if value == "zeros" else value).expand(len(x), 3, 32 + 2 * bar, 32).clone()
            boxed[:, :, bar:-bar] = x
            zeros[:] = [valid] if value == "zeros" else []
            for masked in (False, True) if PLACES[place] else (False,):
                masks[:] = [valid] if masked else []
                out = torch.cat([pooled(network, part, valid) for part in boxed.split(250)])
                row = {"share": 2 * bar / (32 + 2 * bar), "value": value, "masked": masked}
                row["accuracy"] = accuracy(out, labels)
                row["changed"] = ((out - plain).norm(dim=1) / plain.norm(dim=1)).median().item()
                row["flipped"] = (out.argmax(1) != plain.argmax(1)).double().mean().item()
                rows.append(row)
    return {"accuracy": accuracy(plain, labels), "rows": rows}


@torch.no_grad()
def tiles(lab: Lab, seed: int, place: str) -> Record:
    """Take the middle of a large image from a tile around it, and compare with the whole image."""
    network: Any = lab.network(place, seed)
    x, _ = lab.test()
    side = 6  # images in a row of the mosaic
    count = len(x) // side**2
    mosaic = x[: count * side**2].reshape(count, side, side, 3, 32, 32)
    whole = mosaic.permute(0, 3, 1, 4, 2, 5).reshape(count, 3, 32 * side, 32 * side)[:20]

    def middle(picture: Tensor) -> Tensor:
        """Return the last maps where the middle 32 x 32 pixels are, (n, c, 8, 8)."""
        maps = network.stages(network.stem(picture))
        start = (maps.shape[-1] - 8) // 2
        return maps[..., start : start + 8, start : start + 8]

    wanted, rows = middle(whole), []
    for margin in (0, 16, 32, 48):
        cut = 16 * side - 16 - margin
        found = middle(whole[..., cut : 32 * side - cut, cut : 32 * side - cut])
        classes = [network.head(maps.movedim(1, -1)).argmax(-1) for maps in (found, wanted)]
        rows.append(
            {
                "margin": margin, "tile": 32 + 2 * margin, "whole": 32 * side,
                "difference": ((found - wanted).norm() / wanted.norm()).item(),
                "classes_changed": (classes[0] != classes[1]).double().mean().item(),
            }
        )  # fmt: skip
    return {"images": len(whole), "rows": rows}
