r"""The parts of which the programs for the GPU are made, in Triton. Importing this module needs triton.

The mathematics and its letters are those of :mod:`simam_edu.kernels.triton_kernels`. A tile is an array of
channels by positions; what belongs to a channel, such as its mean, is an array of channels.

The values of a channel are first multiplied by a power of two, its *scale*, that brings the largest of them
near one. That is exact, and afterwards no square and no sum overflows.
"""

import triton
import triton.language as tl


@triton.jit
def power_of_two(largest):
    """Return the power of two that brings ``largest`` near one, from the bits of its exponent; 1 for 0."""
    if largest.dtype == tl.float64:
        exponent = (largest.to(tl.int64, bitcast=True) >> 52) & 0x7FF
        power = (tl.maximum(2046 - exponent, 1) << 52).to(tl.float64, bitcast=True)
    else:
        exponent = (largest.to(tl.int32, bitcast=True) >> 23) & 0xFF
        power = (tl.maximum(254 - exponent, 1) << 23).to(tl.float32, bitcast=True)
    return tl.where(largest > 0.0, power, 1.0)


@triton.jit
def channels_of_program(channels, image_stride, channel_stride, BLOCK_C: tl.constexpr):
    """Return where each channel of a program begins, its number among all, and whether it exists."""
    blocks = tl.cdiv(channels, BLOCK_C)
    image = (tl.program_id(0) // blocks).to(tl.int64)
    channel = tl.program_id(0) % blocks * BLOCK_C + tl.arange(0, BLOCK_C)
    begins = image * image_stride + channel.to(tl.int64) * channel_stride
    return begins, image * channels + channel, channel < channels


@triton.jit
def positions_of_tile(first, positions, begins, position_stride, exists, BLOCK_M: tl.constexpr):
    """Return for a tile whether a position is on the map, the offsets in memory, and what may be touched."""
    position = first + tl.arange(0, BLOCK_M)
    inside = (position < positions)[None, :]
    offset = begins[:, None] + (position.to(tl.int64) * position_stride)[None, :]
    return inside, offset, exists[:, None] & inside


@triton.jit
def between(mean, lowest, highest):
    """Return the mean, kept between the extremes: for a constant channel it is then exact."""
    return tl.minimum(tl.maximum(mean, lowest), highest)


@triton.jit
def deviations(values, inside, mean, scale):
    """Return the distances of the scaled values from a mean that may be rounded."""
    return tl.where(inside, values * scale[:, None] - mean[:, None], 0.0)


@triton.jit
def root(squares, lam, scale, count, CORRECTION: tl.constexpr):
    """Return r, the root of (M - c) / (4 T), on the scale of the channel; 0 where T is 0."""
    scaled = lam * scale.to(tl.float64) * scale.to(tl.float64)
    total = squares + (count - CORRECTION) * scaled.to(squares.dtype)  # T
    positive = total > 0.0
    return tl.where(positive, tl.sqrt((count - CORRECTION) / (4.0 * tl.where(positive, total, 1.0))), 0.0)


@triton.jit
def gain(w, count, LEAVE_ONE_OUT: tl.constexpr):
    """Return the gain s at the squared distance w, and its derivative by w."""
    if LEAVE_ONE_OUT:
        a = count / (count - 1.0)
        others = tl.maximum(1.0 - 4.0 * a * w / (count - 1.0), 1e-6)  # 0 where the others are all equal
        beyond, growth = a * a * w / others, a * a / (others * others)
    else:
        beyond, growth = w, 1.0
    falling = tl.exp(-0.5 - beyond)
    s = 1.0 / (1.0 + falling)
    return s, falling * s * s * growth  # s (1 - s) du/dw


@triton.jit
def pulled(values, grad, d, scale, r, count, LEAVE_ONE_OUT: tl.constexpr):
    """Return s, z and q z of the backward."""
    z = d * r[:, None]
    s, slope = gain(z * z, count, LEAVE_ONE_OUT)
    return s, z, grad * (values * scale[:, None] * r[:, None]) * slope * z


@triton.jit
def input_gradient(grad, s, z, qz, sum_qz, sum_qzz, count, CORRECTION: tl.constexpr):
    """Return the gradient of the input from that of the output."""
    shared = 2.0 / count * sum_qz[:, None] + 8.0 / (count - CORRECTION) * sum_qzz[:, None] * z
    return grad * s + 2.0 * qz - shared
