"""The programs that run on the GPU, in Triton, and their parts. Importing this module needs triton.

The mathematics and its letters are those of :mod:`simam_edu.kernels.triton_kernels`. A program owns
``BLOCK_C`` channels. A *tile* is an array of channels by ``BLOCK_M`` positions; the ``tile`` programs hold
all positions in one, the ``loop`` programs go over them tile by tile. With ``LAST`` the channels lie next to
each other in memory, else the positions do.

``means`` and ``scales`` point to two numbers of each channel, and their dtype is the one to compute in. The
*scale* is a power of two that brings the largest value near one: exact, and no square overflows after it.
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
def channels_of_program(channels, positions, BLOCK_C: tl.constexpr, LAST: tl.constexpr):
    """Return where each channel of a program begins, its number among all, and whether it exists."""
    blocks = tl.cdiv(channels, BLOCK_C)
    image = (tl.program_id(0) // blocks).to(tl.int64)
    channel = tl.program_id(0) % blocks * BLOCK_C + tl.arange(0, BLOCK_C)
    begins = image * channels * positions + channel.to(tl.int64) * (1 if LAST else positions)
    return begins, image * channels + channel, channel < channels


@triton.jit
def positions_of_tile(first, channels, positions, begins, exists, BLOCK_M: tl.constexpr, LAST: tl.constexpr):
    """Return for a tile whether a position is on the map, the offsets in memory, and what may be touched."""
    position = first + tl.arange(0, BLOCK_M)
    inside = (position < positions)[None, :]
    offset = begins[:, None] + (position.to(tl.int64) * (channels if LAST else 1))[None, :]
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
def centered(d, inside, count):
    """Return deviations without their own mean: what rounding left in the mean."""
    return tl.where(inside, d - (tl.sum(d, axis=1) / count)[:, None], 0.0)


@triton.jit
def root(squares, lam, scale, freedom):
    """Return r, the root of (M - c) / (4 T), on the scale of the channel; 0 where T is nothing beside it.

    Only a constant channel has so little. Its deviations are 0, and 0 times the inverse of a subnormal nan.
    """
    scaled = lam * scale.to(tl.float64) * scale.to(tl.float64)
    total = squares + freedom * scaled.to(squares.dtype)  # T
    positive = total > (1e-290 if squares.dtype == tl.float64 else 1e-28)
    return tl.where(positive, tl.sqrt(freedom / (4.0 * tl.where(positive, total, 1.0))), 0.0)


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
def input_gradient(grad, s, z, qz, sum_qz, sum_qzz, count, freedom):
    """Return the gradient of the input from that of the output."""
    shared = 2.0 / count * sum_qz[:, None] + 8.0 / freedom * sum_qzz[:, None] * z
    return grad * s + 2.0 * qz - shared


@triton.jit
def forward_tile(
    x, y, means, scales, channels, positions, lam: tl.float64,
    CORRECTION: tl.constexpr, LEAVE_ONE_OUT: tl.constexpr,
    BLOCK_C: tl.constexpr, BLOCK_M: tl.constexpr, LAST: tl.constexpr,
):  # fmt: skip
    """Channels that fit on chip: read them once, write the output once."""
    begins, row, exists = channels_of_program(channels, positions, BLOCK_C, LAST)
    inside, offset, mask = positions_of_tile(0, channels, positions, begins, exists, BLOCK_M, LAST)
    count = positions.to(means.dtype.element_ty)
    values = tl.load(x + offset, mask=mask, other=0.0).to(count.dtype)

    highest = tl.max(tl.where(inside, values, float("-inf")), axis=1)
    lowest = tl.min(tl.where(inside, values, float("inf")), axis=1)
    scale = power_of_two(tl.maximum(highest, -lowest))
    mean = tl.sum(values * scale[:, None], axis=1) / count
    mean = between(mean, lowest * scale, highest * scale)
    d = centered(deviations(values, inside, mean, scale), inside, count)

    r = root(tl.sum(d * d, axis=1), lam, scale, count - CORRECTION)
    z = d * r[:, None]
    s, _ = gain(z * z, count, LEAVE_ONE_OUT)
    tl.store(y + offset, (values * s).to(y.dtype.element_ty), mask=mask)
    tl.store(means + row, mean, mask=exists)
    tl.store(scales + row, scale, mask=exists)


@triton.jit
def backward_tile(
    x, grad_y, grad_x, means, scales, channels, positions, lam: tl.float64,
    CORRECTION: tl.constexpr, LEAVE_ONE_OUT: tl.constexpr,
    BLOCK_C: tl.constexpr, BLOCK_M: tl.constexpr, LAST: tl.constexpr,
):  # fmt: skip
    """Channels that fit on chip: read input and output gradient once, write the input gradient once."""
    begins, row, exists = channels_of_program(channels, positions, BLOCK_C, LAST)
    inside, offset, mask = positions_of_tile(0, channels, positions, begins, exists, BLOCK_M, LAST)
    count = positions.to(means.dtype.element_ty)
    mean = tl.load(means + row, mask=exists, other=0.0)
    scale = tl.load(scales + row, mask=exists, other=1.0)
    values = tl.load(x + offset, mask=mask, other=0.0).to(count.dtype)
    grad = tl.load(grad_y + offset, mask=mask, other=0.0).to(count.dtype)

    d = centered(deviations(values, inside, mean, scale), inside, count)
    r = root(tl.sum(d * d, axis=1), lam, scale, count - CORRECTION)
    s, z, qz = pulled(values, grad, d, scale, r, count, LEAVE_ONE_OUT)
    sum_qz, sum_qzz = tl.sum(qz, axis=1), tl.sum(qz * z, axis=1)
    result = input_gradient(grad, s, z, qz, sum_qz, sum_qzz, count, count - CORRECTION)
    tl.store(grad_x + offset, result.to(grad_x.dtype.element_ty), mask=mask)


@triton.jit
def mean_by_tiles(
    x, channels, positions, begins, exists, count,
    BLOCK_C: tl.constexpr, BLOCK_M: tl.constexpr, LAST: tl.constexpr,
):  # fmt: skip
    """Read long channels once; return their means, which may be rounded, and their scales."""
    # Each lane adds up its values on a scale of its own, which changes when a larger value comes.
    highest = tl.full((BLOCK_C, BLOCK_M), float("-inf"), count.dtype)
    lowest = tl.full((BLOCK_C, BLOCK_M), float("inf"), count.dtype)
    scales_so_far = tl.full((BLOCK_C, BLOCK_M), 1.0, count.dtype)
    sums = tl.zeros((BLOCK_C, BLOCK_M), count.dtype)
    for first in range(0, positions, BLOCK_M):
        inside, offset, mask = positions_of_tile(first, channels, positions, begins, exists, BLOCK_M, LAST)
        values = tl.load(x + offset, mask=mask, other=0.0).to(count.dtype)
        highest = tl.where(inside, tl.maximum(highest, values), highest)
        lowest = tl.where(inside, tl.minimum(lowest, values), lowest)
        new = tl.where(inside, power_of_two(tl.maximum(highest, -lowest)), scales_so_far)
        sums = sums * (new / scales_so_far) + values * new
        scales_so_far = new
    top, bottom = tl.max(highest, axis=1), tl.min(lowest, axis=1)
    scale = power_of_two(tl.maximum(top, -bottom))
    mean = tl.sum(sums * (scale[:, None] / scales_so_far), axis=1) / count
    return between(mean, bottom * scale, top * scale), scale


@triton.jit
def squares_by_tiles(
    x, channels, positions, begins, exists, mean, scale, count,
    BLOCK_C: tl.constexpr, BLOCK_M: tl.constexpr, LAST: tl.constexpr,
):  # fmt: skip
    """Read long channels once; return what rounding left in the mean, and the sum of squared deviations."""
    sums = tl.zeros((BLOCK_C, BLOCK_M), count.dtype)
    squares = tl.zeros((BLOCK_C, BLOCK_M), count.dtype)
    for first in range(0, positions, BLOCK_M):
        inside, offset, mask = positions_of_tile(first, channels, positions, begins, exists, BLOCK_M, LAST)
        d = deviations(tl.load(x + offset, mask=mask, other=0.0).to(count.dtype), inside, mean, scale)
        sums += d
        squares += d * d
    rest = tl.sum(sums, axis=1) / count
    return rest, tl.maximum(tl.sum(squares, axis=1) - count * rest * rest, 0.0)


@triton.jit
def forward_loop(
    x, y, means, scales, channels, positions, lam: tl.float64,
    CORRECTION: tl.constexpr, LEAVE_ONE_OUT: tl.constexpr,
    BLOCK_C: tl.constexpr, BLOCK_M: tl.constexpr, LAST: tl.constexpr,
):  # fmt: skip
    """Channels of any length: read them three times, write the output once."""
    begins, row, exists = channels_of_program(channels, positions, BLOCK_C, LAST)
    count = positions.to(means.dtype.element_ty)
    mean, scale = mean_by_tiles(x, channels, positions, begins, exists, count, BLOCK_C, BLOCK_M, LAST)
    rest, squares = squares_by_tiles(
        x, channels, positions, begins, exists, mean, scale, count, BLOCK_C, BLOCK_M, LAST
    )
    r = root(squares, lam, scale, count - CORRECTION)
    for first in range(0, positions, BLOCK_M):
        inside, offset, mask = positions_of_tile(first, channels, positions, begins, exists, BLOCK_M, LAST)
        values = tl.load(x + offset, mask=mask, other=0.0).to(count.dtype)
        z = (deviations(values, inside, mean, scale) - rest[:, None]) * r[:, None]
        s, _ = gain(z * z, count, LEAVE_ONE_OUT)
        tl.store(y + offset, (values * s).to(y.dtype.element_ty), mask=mask)
    tl.store(means + row, mean, mask=exists)
    tl.store(scales + row, scale, mask=exists)


@triton.jit
def backward_loop(
    x, grad_y, grad_x, means, scales, channels, positions, lam: tl.float64,
    CORRECTION: tl.constexpr, LEAVE_ONE_OUT: tl.constexpr,
    BLOCK_C: tl.constexpr, BLOCK_M: tl.constexpr, LAST: tl.constexpr,
):  # fmt: skip
    """Channels of any length: read the input three times and the output gradient twice, write once."""
    begins, row, exists = channels_of_program(channels, positions, BLOCK_C, LAST)
    count = positions.to(means.dtype.element_ty)
    mean = tl.load(means + row, mask=exists, other=0.0)
    scale = tl.load(scales + row, mask=exists, other=1.0)
    rest, squares = squares_by_tiles(
        x, channels, positions, begins, exists, mean, scale, count, BLOCK_C, BLOCK_M, LAST
    )
    r = root(squares, lam, scale, count - CORRECTION)
    qz_sums = tl.zeros((BLOCK_C, BLOCK_M), count.dtype)
    qzz_sums = tl.zeros((BLOCK_C, BLOCK_M), count.dtype)
    for first in range(0, positions, BLOCK_M):
        inside, offset, mask = positions_of_tile(first, channels, positions, begins, exists, BLOCK_M, LAST)
        values = tl.load(x + offset, mask=mask, other=0.0).to(count.dtype)
        grad = tl.load(grad_y + offset, mask=mask, other=0.0).to(count.dtype)
        d = deviations(values, inside, mean, scale) - rest[:, None]
        _, z, qz = pulled(values, grad, d, scale, r, count, LEAVE_ONE_OUT)
        qz_sums += qz
        qzz_sums += qz * z
    sum_qz, sum_qzz = tl.sum(qz_sums, axis=1), tl.sum(qzz_sums, axis=1)
    for first in range(0, positions, BLOCK_M):
        inside, offset, mask = positions_of_tile(first, channels, positions, begins, exists, BLOCK_M, LAST)
        values = tl.load(x + offset, mask=mask, other=0.0).to(count.dtype)
        grad = tl.load(grad_y + offset, mask=mask, other=0.0).to(count.dtype)
        d = deviations(values, inside, mean, scale) - rest[:, None]
        s, z, qz = pulled(values, grad, d, scale, r, count, LEAVE_ONE_OUT)
        result = input_gradient(grad, s, z, qz, sum_qz, sum_qzz, count, count - CORRECTION)
        tl.store(grad_x + offset, result.to(grad_x.dtype.element_ty), mask=mask)
