"""Inputs and oracles that the tests of SimAM share."""

import pickle

import torch

from simam_edu import energy
from simam_edu.kernels import triton_kernels

STATISTICS = ["shared", "population", "leave_one_out"]
DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]


def draw(*shape, dtype=torch.float32, mean=0.0, std=1.0, seed=0):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (mean + std * x).to(dtype)


def channels_last(x):
    """The same values with the channel as the fastest axis, for any number of map axes."""
    return x.movedim(1, -1).contiguous().movedim(-1, 1)


def layouts(x):
    wide = torch.stack([x, x], dim=-1)[..., 0]  # neither contiguous nor channels_last
    return {"contiguous": x.contiguous(), "channels_last": channels_last(x), "strided": wide}


def oracle(x, statistics="shared", lam=1e-4):
    maps = x.detach().double().contiguous().numpy()
    flat = maps.reshape(*maps.shape[:2], 1, -1)
    return torch.from_numpy(energy.gain(flat, lam=lam, statistics=statistics).reshape(maps.shape) * maps)


def ulps(y, expected):
    """Return the largest error in units of the last place of the expected values."""
    info = torch.finfo(y.dtype)
    unit = info.eps * expected.abs().clamp_min(info.tiny)
    return float(((y.detach().double() - expected).abs() / unit).max()) if y.numel() else 0.0


def gradient(call, x, grad_output):
    """Return the gradient of the input, from a leaf of its own."""
    leaf = x.detach().requires_grad_()
    return torch.autograd.grad(call(leaf), leaf, grad_output)[0]


def interpret(pool, which, *tensors_and_options):
    """Call a Triton kernel in a process that interprets; tensors travel by value."""
    packed = pickle.dumps([t.detach() if isinstance(t, torch.Tensor) else t for t in tensors_and_options])
    return pickle.loads(pool.submit(_call, which, packed).result())


def _call(which, packed):
    return pickle.dumps(getattr(triton_kernels, which)(*pickle.loads(packed)))
