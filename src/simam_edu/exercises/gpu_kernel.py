"""Exercises of the chapter on the kernel for the GPU."""

import math

from simam_edu.exercises._exercise import Exercise

CHIP_BYTES = 32 * 1024  # what a program keeps


def own_least_time(operations, moved, peak, bandwidth):
    return max(operations / peak, moved / bandwidth)


def computations(g):
    moved, peaks, bandwidths = g.uniform([1e6, 5e12, 2e11], [1e9, 7e13, 4e12], (6, 3)).T
    factors = (0.02, 0.5, 0.9, 1.3, 4.0, 60.0)  # of the corner of the roof
    return list(zip(moved * factors * peaks / bandwidths, moved, peaks, bandwidths, strict=True))


def own_idle_part(positions):
    tile = 1
    while tile < positions:
        tile *= 2
    return 1 - positions / tile


# fmt: off
EXERCISES = (  # a mistake a line: what is changed in the solution, and the hint
    Exercise("least_time", "a function of (operations, moved, peak, bandwidth) that returns the least time by the roofline, in seconds", own_least_time, {
        "max(operations / peak, -> (operations / peak +": "This adds the two times, as if the chip waited with computing until all is moved. The roofline lets both run at once; see 'The roof over a computation'.",
        "max -> min": "This is the shorter of the two times. Both things have to be done; see 'The roof over a computation'.",
        "max(operations / peak, moved / bandwidth) -> moved / bandwidth": "This is the time to move the bytes. It is right left of the corner of the roof only; see 'The roof over a computation'.",
        "max(operations / peak, moved / bandwidth) -> min(peak, bandwidth * operations / moved)": "This is the speed that the roof allows. Asked for is the time.",
    }, computations),
    Exercise("idle_part", "a function of a number of positions that returns the part of its tile that is masked", own_idle_part, {
        "1 - positions / tile -> tile / positions - 1": "This counts the masked elements as a part of the map. Asked for is their part of the tile.",
        "1 - positions / tile -> positions / tile": "This is the part of the tile that holds the map.",
        "tile < positions -> tile <= positions": "For a map that is a power of two already this takes a tile twice as large. Then nothing needs to be masked; see 'The kernel, line by line'.",
    }, lambda _: [(n,) for n in (2, 3, 49, 64, 65, 3136, 4096, 777, 5000)]),
    # A position has four bytes in float32, and the positions are rounded up to a power of two.
    Exercise("largest_square_on_chip", "the side of the largest square map in float32 that a program keeps on chip, as a whole number", math.isqrt(CHIP_BYTES // 4), {
        64: "That map fits, but it is not the largest. The positions are rounded up to a power of two, not the side; see 'Where it ends'.",
        math.isqrt(CHIP_BYTES): "Here each position takes one byte. A float32 takes four.",
        math.sqrt(CHIP_BYTES / 4): "That is the root of the number of positions. A side is a whole number, and the map must not be larger.",
    }),
)
