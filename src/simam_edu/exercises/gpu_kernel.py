"""Exercises of the chapter on the kernel for the GPU."""

import math
from typing import Any

import numpy as np

from simam_edu.exercises.checking import Exercise, Mistake

CHIP_BYTES = 32 * 1024  # what a program keeps
FLOAT32_BYTES = 4


def computations(generator: np.random.Generator) -> list[tuple[Any, ...]]:
    """Some that the memory limits, some that the arithmetic limits."""
    peaks, bandwidths = generator.uniform(5e12, 7e13, 6), generator.uniform(2e11, 4e12, 6)
    moved = generator.uniform(1e6, 1e9, 6)
    factors = (0.02, 0.5, 0.9, 1.3, 4.0, 60.0)  # of the corner of the roof
    return [
        (float(moved[k] * factor * peaks[k] / bandwidths[k]), float(moved[k]), float(peaks[k]), bandwidths[k])
        for k, factor in enumerate(factors)
    ]


def least_time(operations: float, moved: float, peak: float, bandwidth: float) -> float:
    """The longer of the time to compute and the time to move."""
    return max(operations / peak, moved / bandwidth)


def time_to_move(_operations: float, moved: float, _peak: float, bandwidth: float) -> float:
    """The time that the memory takes."""
    return moved / bandwidth


def sizes(generator: np.random.Generator) -> list[tuple[Any, ...]]:
    """Numbers of positions around powers of two, and some others."""
    return [(n,) for n in (2, 3, 49, 64, 65, 3136, 4096, *generator.integers(5, 8000, 4).tolist())]


def idle_part(positions: int) -> float:
    """The part of the next power of two that lies beyond the end of the map."""
    block = 1 << (positions - 1).bit_length()
    return (block - positions) / block


def largest_side(limit: int) -> int:
    """The largest square map whose positions, rounded up to a power of two, stay within a limit."""
    return max(side for side in range(2, 1000) if 1 << (side * side - 1).bit_length() <= limit)


EXERCISES = (
    Exercise(
        name="least_time",
        asks="a function of (operations, moved, peak, bandwidth) that returns the least time by the roofline, in seconds",
        truth=least_time,
        inputs=computations,
        mistakes=(
            Mistake(
                answer=lambda operations, moved, peak, bandwidth: operations / peak + moved / bandwidth,
                hint="This adds the two times, as if the chip waited with computing until all is moved. The roofline lets both run at once; see 'The roof over a computation'.",
            ),
            Mistake(
                answer=lambda operations, moved, peak, bandwidth: min(operations / peak, moved / bandwidth),
                hint="This is the shorter of the two times. Both things have to be done; see 'The roof over a computation'.",
            ),
            Mistake(
                answer=time_to_move,
                hint="This is the time to move the bytes. It is right left of the corner of the roof only; see 'The roof over a computation'.",
            ),
            Mistake(
                answer=lambda operations, moved, peak, bandwidth: min(peak, bandwidth * operations / moved),
                hint="This is the speed that the roof allows. Asked for is the time.",
            ),
        ),
    ),
    Exercise(
        name="idle_part",
        asks="a function of a number of positions that returns the part of its tile that is masked",
        truth=idle_part,
        inputs=sizes,
        mistakes=(
            Mistake(
                answer=lambda positions: idle_part(positions) / (1 - idle_part(positions)),
                hint="This counts the masked elements as a part of the map. Asked for is their part of the tile.",
            ),
            Mistake(
                answer=lambda positions: 1 - idle_part(positions),
                hint="This is the part of the tile that holds the map.",
            ),
            Mistake(
                answer=lambda positions: (
                    (2 ** (math.floor(math.log2(positions)) + 1) - positions)
                    / 2 ** (math.floor(math.log2(positions)) + 1)
                ),
                hint="For a map that is a power of two already this takes a tile twice as large. Then nothing needs to be masked; see 'The kernel, line by line'.",
            ),
        ),
    ),
    Exercise(
        name="largest_square_on_chip",
        asks="the side of the largest square map in float32 that a program keeps on chip, as a whole number",
        truth=largest_side(CHIP_BYTES // FLOAT32_BYTES),
        mistakes=(
            Mistake(
                answer=64,
                hint="That map fits, but it is not the largest. The positions are rounded up to a power of two, not the side; see 'Where it ends'.",
            ),
            Mistake(
                answer=largest_side(CHIP_BYTES),
                hint="Here each position takes one byte. A float32 takes four.",
            ),
            Mistake(
                answer=math.sqrt(CHIP_BYTES / FLOAT32_BYTES),
                hint="That is the root of the number of positions. A side is a whole number, and the map must not be larger.",
            ),
        ),
    ),
)
