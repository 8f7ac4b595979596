"""Exercises of the appendix on half precision."""

import numpy as np

from simam_edu import energy
from simam_edu.exercises._exercise import Exercise
from simam_edu.mistakes import changed, changes_of, ten_lines

LARGEST_HALF = float(np.finfo(np.float16).max)
GAIN, NAIVE = changes_of("input missing"), changes_of("naive variance")


def single_maps(g):
    """Return float32 maps: ordinary, of large values, with a mean that dwarfs the spread, and on a grid."""
    maps = [scale * (g.normal(size=(8, 8)) + mean) for scale, mean in ((1.0, 0.0), (1e15, 1.0), (1.0, 3e5))]
    # In float32 the sums of the last are exact and those of its squares are not: its mean and the deviations
    # are right, however they are computed, and the difference of two squares is not.
    maps.append(256 + np.round(256 * g.normal(size=(8, 8))) / 256)
    return [(x.astype(np.float32), 1e-4) for x in maps]


EXERCISES = (  # a mistake a line: what is changed in the solution, and the hint
    Exercise("half_precision_limit", "the largest standard deviation whose sum of squares over a centered 32 by 32 map fits into float16, as a number", float(np.sqrt(LARGEST_HALF / 32**2)), {
        float(np.sqrt(LARGEST_HALF)): "This is where a single square overflows. The sum has one square for each position; see 'Where the sum overflows'.",
        LARGEST_HALF / 32**2: "This is the largest variance. Its root is asked for.",
        float(np.sqrt(LARGEST_HALF / 32)): "Here the sum runs over one side of the map only. It runs over all its positions; see 'Where the sum overflows'.",
    }, rtol=1e-4),
    Exercise("largest_offset", "the largest power of two that can be added to the values 0, 1, 2, 4 in bfloat16 so that no gain changes, as a number", 128, {
        256: "At 256 bfloat16 has only every second whole number, and 257 is none of them.",
        1024: "This is right for float16, which has eleven significant bits. A bfloat16 has eight.",
        64: "That leaves all gains as they are, but it is not the largest.",
    }),
    Exercise("stable_gain", "a function of (x, lam) that returns the gain of a float32 map with no more error than its last digits", lambda x, lam: energy.gain(x.astype(np.float64), lam=lam), {
        changed(ten_lines, *GAIN): ("Where the mean is far larger than the standard deviation, its rounding is as large as a digit of every deviation that matters; see 'A mean far from zero'.", {2}),
        changed(ten_lines, *NAIVE, *GAIN): ("The mean of the squares less the square of the mean is a small difference of large numbers, and here nothing of it is left; see 'A mean far from zero'.", {2, 3}),
    }, single_maps, needs_digits=True),
)
