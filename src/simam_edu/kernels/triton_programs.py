"""The programs that run on the GPU, in Triton. Importing this module needs triton.

A program owns ``BLOCK_C`` channels. In the ``tile`` programs it holds all their positions on chip,
``BLOCK_M`` with those beyond the end, which are masked; in the ``loop`` programs it goes over them
``BLOCK_M`` at a time. Three strides say where an element lies in memory, so the same programs serve (n, c,
...) and channels-last tensors.

Each program takes pointers to the tensors and to the two numbers of each channel, its mean and its scale;
then the number of channels and of positions, the strides, and ``lam``. ``CORRECTION``, ``LEAVE_ONE_OUT`` and
the dtype of the statistics are fixed when it is compiled.
"""

import triton
import triton.language as tl

from simam_edu.kernels.triton_parts import (
    between,
    channels_of_program,
    deviations,
    gain,
    input_gradient,
    positions_of_tile,
    power_of_two,
    pulled,
    root,
)


@triton.jit
def forward_tile(
    x,
    y,
    means,
    scales,
    channels,
    positions,
    image_stride,
    channel_stride,
    position_stride,
    lam: tl.float64,
    CORRECTION: tl.constexpr,
    LEAVE_ONE_OUT: tl.constexpr,
    STATS: tl.constexpr,
    BLOCK_C: tl.constexpr,
    BLOCK_M: tl.constexpr,
):
    """Channels that fit on chip: read them once, write the output once."""
    begins, row, exists = channels_of_program(channels, image_stride, channel_stride, BLOCK_C)
    inside, offset, mask = positions_of_tile(0, positions, begins, position_stride, exists, BLOCK_M)
    count = positions.to(STATS)
    values = tl.load(x + offset, mask=mask, other=0.0).to(STATS)

    highest = tl.max(tl.where(inside, values, float("-inf")), axis=1)
    lowest = tl.min(tl.where(inside, values, float("inf")), axis=1)
    scale = power_of_two(tl.maximum(highest, -lowest))
    mean = tl.sum(values * scale[:, None], axis=1) / count
    mean = between(mean, lowest * scale, highest * scale)
    d = deviations(values, inside, mean, scale)
    d = tl.where(inside, d - (tl.sum(d, axis=1) / count)[:, None], 0.0)  # what rounding left in the mean

    r = root(tl.sum(d * d, axis=1), lam, scale, count, CORRECTION)
    z = d * r[:, None]
    s, _ = gain(z * z, count, LEAVE_ONE_OUT)
    tl.store(y + offset, (values * s).to(y.dtype.element_ty), mask=mask)
    tl.store(means + row, mean, mask=exists)
    tl.store(scales + row, scale, mask=exists)


@triton.jit
def backward_tile(
    x,
    grad_y,
    grad_x,
    means,
    scales,
    channels,
    positions,
    image_stride,
    channel_stride,
    position_stride,
    lam: tl.float64,
    CORRECTION: tl.constexpr,
    LEAVE_ONE_OUT: tl.constexpr,
    STATS: tl.constexpr,
    BLOCK_C: tl.constexpr,
    BLOCK_M: tl.constexpr,
):
    """Channels that fit on chip: read input and output gradient once, write the input gradient once."""
    begins, row, exists = channels_of_program(channels, image_stride, channel_stride, BLOCK_C)
    inside, offset, mask = positions_of_tile(0, positions, begins, position_stride, exists, BLOCK_M)
    count = positions.to(STATS)
    mean = tl.load(means + row, mask=exists, other=0.0)
    scale = tl.load(scales + row, mask=exists, other=1.0)
    values = tl.load(x + offset, mask=mask, other=0.0).to(STATS)
    grad = tl.load(grad_y + offset, mask=mask, other=0.0).to(STATS)

    d = deviations(values, inside, mean, scale)
    d = tl.where(inside, d - (tl.sum(d, axis=1) / count)[:, None], 0.0)
    r = root(tl.sum(d * d, axis=1), lam, scale, count, CORRECTION)
    s, z, qz = pulled(values, grad, d, scale, r, count, LEAVE_ONE_OUT)
    result = input_gradient(grad, s, z, qz, tl.sum(qz, axis=1), tl.sum(qz * z, axis=1), count, CORRECTION)
    tl.store(grad_x + offset, result.to(grad_x.dtype.element_ty), mask=mask)


@triton.jit
def _spread(
    x,
    positions,
    begins,
    position_stride,
    exists,
    mean,
    scale,
    STATS: tl.constexpr,
    BLOCK_C: tl.constexpr,
    BLOCK_M: tl.constexpr,
):
    """Read long channels once; return what rounding left in the mean, and the sum of squared deviations."""
    sums = tl.zeros((BLOCK_C, BLOCK_M), STATS)
    squares = tl.zeros((BLOCK_C, BLOCK_M), STATS)
    for first in range(0, positions, BLOCK_M):
        inside, offset, mask = positions_of_tile(first, positions, begins, position_stride, exists, BLOCK_M)
        d = deviations(tl.load(x + offset, mask=mask, other=0.0).to(STATS), inside, mean, scale)
        sums += d
        squares += d * d
    count = positions.to(STATS)
    rest = tl.sum(sums, axis=1) / count
    return rest, tl.maximum(tl.sum(squares, axis=1) - count * rest * rest, 0.0)


@triton.jit
def forward_loop(
    x,
    y,
    means,
    scales,
    channels,
    positions,
    image_stride,
    channel_stride,
    position_stride,
    lam: tl.float64,
    CORRECTION: tl.constexpr,
    LEAVE_ONE_OUT: tl.constexpr,
    STATS: tl.constexpr,
    BLOCK_C: tl.constexpr,
    BLOCK_M: tl.constexpr,
):
    """Channels of any length: read them three times, write the output once."""
    begins, row, exists = channels_of_program(channels, image_stride, channel_stride, BLOCK_C)
    count = positions.to(STATS)

    # Each lane adds up its values on a scale of its own, which changes when a larger value comes.
    highest = tl.full((BLOCK_C, BLOCK_M), float("-inf"), STATS)
    lowest = tl.full((BLOCK_C, BLOCK_M), float("inf"), STATS)
    scales_so_far = tl.full((BLOCK_C, BLOCK_M), 1.0, STATS)
    sums = tl.zeros((BLOCK_C, BLOCK_M), STATS)
    for first in range(0, positions, BLOCK_M):
        inside, offset, mask = positions_of_tile(first, positions, begins, position_stride, exists, BLOCK_M)
        values = tl.load(x + offset, mask=mask, other=0.0).to(STATS)
        highest = tl.where(inside, tl.maximum(highest, values), highest)
        lowest = tl.where(inside, tl.minimum(lowest, values), lowest)
        new = tl.where(inside, power_of_two(tl.maximum(highest, -lowest)), scales_so_far)
        sums = sums * (new / scales_so_far) + values * new
        scales_so_far = new
    top, bottom = tl.max(highest, axis=1), tl.min(lowest, axis=1)
    scale = power_of_two(tl.maximum(top, -bottom))
    mean = tl.sum(sums * (scale[:, None] / scales_so_far), axis=1) / count
    mean = between(mean, bottom * scale, top * scale)

    rest, squares = _spread(
        x, positions, begins, position_stride, exists, mean, scale, STATS, BLOCK_C, BLOCK_M
    )
    r = root(squares, lam, scale, count, CORRECTION)
    for first in range(0, positions, BLOCK_M):
        inside, offset, mask = positions_of_tile(first, positions, begins, position_stride, exists, BLOCK_M)
        values = tl.load(x + offset, mask=mask, other=0.0).to(STATS)
        z = (deviations(values, inside, mean, scale) - rest[:, None]) * r[:, None]
        s, _ = gain(z * z, count, LEAVE_ONE_OUT)
        tl.store(y + offset, (values * s).to(y.dtype.element_ty), mask=mask)
    tl.store(means + row, mean, mask=exists)
    tl.store(scales + row, scale, mask=exists)


@triton.jit
def backward_loop(
    x,
    grad_y,
    grad_x,
    means,
    scales,
    channels,
    positions,
    image_stride,
    channel_stride,
    position_stride,
    lam: tl.float64,
    CORRECTION: tl.constexpr,
    LEAVE_ONE_OUT: tl.constexpr,
    STATS: tl.constexpr,
    BLOCK_C: tl.constexpr,
    BLOCK_M: tl.constexpr,
):
    """Channels of any length: read the input three times and the output gradient twice, write once."""
    begins, row, exists = channels_of_program(channels, image_stride, channel_stride, BLOCK_C)
    count = positions.to(STATS)
    mean = tl.load(means + row, mask=exists, other=0.0)
    scale = tl.load(scales + row, mask=exists, other=1.0)
    rest, squares = _spread(
        x, positions, begins, position_stride, exists, mean, scale, STATS, BLOCK_C, BLOCK_M
    )
    r = root(squares, lam, scale, count, CORRECTION)

    qz_sums = tl.zeros((BLOCK_C, BLOCK_M), STATS)
    qzz_sums = tl.zeros((BLOCK_C, BLOCK_M), STATS)
    for first in range(0, positions, BLOCK_M):
        inside, offset, mask = positions_of_tile(first, positions, begins, position_stride, exists, BLOCK_M)
        values = tl.load(x + offset, mask=mask, other=0.0).to(STATS)
        grad = tl.load(grad_y + offset, mask=mask, other=0.0).to(STATS)
        d = deviations(values, inside, mean, scale) - rest[:, None]
        _, z, qz = pulled(values, grad, d, scale, r, count, LEAVE_ONE_OUT)
        qz_sums += qz
        qzz_sums += qz * z
    sum_qz, sum_qzz = tl.sum(qz_sums, axis=1), tl.sum(qzz_sums, axis=1)

    for first in range(0, positions, BLOCK_M):
        inside, offset, mask = positions_of_tile(first, positions, begins, position_stride, exists, BLOCK_M)
        values = tl.load(x + offset, mask=mask, other=0.0).to(STATS)
        grad = tl.load(grad_y + offset, mask=mask, other=0.0).to(STATS)
        d = deviations(values, inside, mean, scale) - rest[:, None]
        s, z, qz = pulled(values, grad, d, scale, r, count, LEAVE_ONE_OUT)
        result = input_gradient(grad, s, z, qz, sum_qz, sum_qzz, count, CORRECTION)
        tl.store(grad_x + offset, result.to(grad_x.dtype.element_ty), mask=mask)
