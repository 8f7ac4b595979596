"""What torch makes of a picture with the weights of the page: logits, and gains of each block."""

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import live_weights
from simam_edu import SimAM, energy
from simam_edu.attention.controls import Control

CONTENT = live_weights.read()
# Of each block and channel: which position's gain comes here.
Orders = Sequence[Sequence[Sequence[int]]]

# In the page: the permutation of each channel's positions.
PERMUTATIONS = """() => [16, 32, 64].flatMap((channels, stage) => [0, 1, 2].map((k) =>
  Array.from({ length: channels },
    (_, c) => ResNet.permutation(64 * (3 * stage + k) + c, 1024 / 4 ** stage))))"""
_orders: Orders = []


def orders_of(page: Any) -> Orders:
    """Return the permutations, asked of the first page."""
    global _orders
    _orders = _orders or page.evaluate(PERMUTATIONS)
    return _orders


def state(page: Any) -> dict[str, Any]:
    """Return the state of the figure on a page."""
    return dict(json.loads(page.locator(".sim-figure").get_attribute("data-state")))


def painted(page: Any) -> np.ndarray:
    """Return the picture that the figure "live" shows, as bytes."""
    pixels = page.evaluate("document.querySelector('.sim-figure').picture()")
    return np.reshape(pixels, (3, 32, 32))


class Reordered(Control):
    """Permute the gains of each channel as told."""

    def __init__(self, channels: int, *, lam: float, orders: Sequence[Sequence[int]]) -> None:
        super().__init__(channels, lam=lam)
        self.orders = torch.tensor(orders)

    def _moved(self, gain: Tensor, _deviation: Tensor) -> Tensor:
        flat = gain.flatten(2)
        return flat.gather(2, self.orders.expand_as(flat)).reshape(gain.shape)


@cache
def network(dtype: torch.dtype) -> nn.Module:
    return live_weights.network_of(CONTENT).to(dtype)


def normalized(pictures: np.ndarray, dtype: torch.dtype = torch.float64) -> Tensor:
    mean, std = (torch.tensor(CONTENT[n], dtype=dtype)[:, None, None] for n in ("mean", "std"))
    return (torch.tensor(pictures, dtype=dtype) / 255 - mean) / std


def module(choice: str, channels: int, lam: float, orders: Sequence[Sequence[int]]) -> nn.Module:
    if choice == "shuffled":
        return Reordered(channels, lam=lam, orders=orders)
    known = {"own": SimAM(lam=lam), "averaged": live_weights.Averaged(channels, lam=lam)}
    return known.get(choice, nn.Identity())


def gains(choice: str, x: np.ndarray, lam: float, orders: Sequence[Sequence[int]]) -> np.ndarray:
    own = energy.gain(x, lam=lam)
    if choice == "averaged":
        return np.broadcast_to(own.mean(axis=(-2, -1), keepdims=True), x.shape)
    if choice == "shuffled":
        flat = own.reshape(*own.shape[:2], -1)
        return np.take_along_axis(flat, np.array(orders)[None], axis=2).reshape(x.shape)
    return own if choice == "own" else np.ones_like(x)


@torch.no_grad()
def forward(
    pictures: np.ndarray,
    lam: float,
    choices: Sequence[str],
    orders: Orders,
    dtype: torch.dtype = torch.float64,
) -> tuple[np.ndarray, list[np.ndarray], list[np.ndarray]]:
    """Return the logits, and for each block what its module sees and its gains."""
    seen: list[np.ndarray] = []
    handles: list[Any] = []

    def keep(_module: nn.Module, _inputs: Any, maps: Tensor) -> None:
        seen.append(maps.double().numpy())

    blocks = [block for _, block in live_weights.blocks_of(network(dtype))]
    for block, choice, order in zip(blocks, choices, orders, strict=True):
        block.attention = module(choice, block.conv2.out_channels, lam, order)
        handles.append(block.conv2.register_forward_hook(keep))
    logits = network(dtype)(normalized(pictures, dtype))
    for handle in handles:
        handle.remove()
    found = [gains(c, x, lam, o) for c, x, o in zip(choices, seen, orders, strict=True)]
    return logits.double().numpy(), seen, found
