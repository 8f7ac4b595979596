"""Time all least energies of a channel: M numerical fits against one closed form, for growing M.

Run it by hand on a quiet machine, with one thread; it takes two or three minutes:

    OMP_NUM_THREADS=1 python benchmarks/fits.py

It prints what it measures and writes one line of JSON to book/results/fits.jsonl, in the place of
the one that is there. The chapter "Against gradient descent" shows that record.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import version
from typing import Any

import numpy as np

import common
from simam_edu import energy, solvers

SIZES = tuple(2**power for power in range(4, 13))  # 16 to 4,096 neurons
LAM = 1e-4
BLOCK = 256  # targets at once where fits are not done one by one, which bounds the memory


def all_fits(solve: Callable[..., solvers.Fit], x: np.ndarray) -> np.ndarray:
    """Return the least energy of every neuron, each by a fit of its own."""
    return np.array([solve(x[k], np.delete(x, k), lam=LAM).energy for k in range(x.size)])


def fits_at_once(x: np.ndarray) -> np.ndarray:
    """Return the least energy of every neuron by linear solves in blocks, without a loop over them.

    The sums still run over all others of every target. What is gone is the overhead of Python a
    fit.
    """
    x = x - x.mean()  # a shift does not change the energy, and keeps the digits of the solve
    everyone, least = np.arange(x.size), []
    for targets in np.split(everyone, np.arange(BLOCK, x.size, BLOCK)):
        t = x[targets]
        is_other = everyone != targets[:, None]
        others = np.broadcast_to(x, is_other.shape)[is_other].reshape(targets.size, -1)  # (block, m)
        mean, mean_square = others.mean(axis=1), (others**2).mean(axis=1)
        rows = [[mean_square + t**2 + LAM, mean + t], [mean + t, np.full(t.size, 2.0)]]
        right = np.stack([t - mean, np.zeros(t.size)], axis=-1)[..., None]
        w, b = np.linalg.solve(np.moveaxis(np.array(rows), -1, 0), right)[..., 0].T
        least.append(energy.neuron_energy(w, b, t, others, lam=LAM))
    return np.concatenate(least)


def one_pass(x: np.ndarray) -> np.ndarray:
    """Return the least energy of every neuron by the closed form."""
    least: np.ndarray = 1.0 / energy.importance(x[None], lam=LAM, statistics="leave_one_out")[0]
    return least


def seconds(job: Callable[[], Any], repeats: int) -> float:
    """Return the shortest of some times, which is the one least disturbed."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        job()
        times.append(time.perf_counter() - start)
    return min(times)


METHODS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "M fits, Newton": partial(all_fits, solvers.solve_newton),
    "M fits, linear solve": partial(all_fits, solvers.solve_linear),
    "M fits at once": fits_at_once,
    "closed form": one_pass,
}


def measure(sizes: Sequence[int], *, repeats: int) -> dict[str, list[float]]:
    """Return the seconds for each size, by the name of the method.

    Raises:
        ArithmeticError: If the methods do not find the same energies.
    """
    generator = np.random.default_rng(0)
    times: dict[str, list[float]] = {name: [] for name in METHODS}
    for size in sizes:
        x = generator.normal(size=size)
        for name, method in METHODS.items():
            if not np.allclose(method(x), one_pass(x), rtol=1e-9):
                raise ArithmeticError(f"{name} must find the energies of the closed form at {size} neurons")
            enough = repeats * (100 if method is one_pass else 1)
            times[name].append(seconds(partial(method, x), enough))
        print(f"{size:6,} neurons: " + ", ".join(f"{n} {t[-1]:.3g} s" for n, t in times.items()), flush=True)
    return times


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and write the record."""
    parser = common.options_of(__doc__, common.RESULTS / "fits.jsonl")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="neurons a channel")
    parser.add_argument("--repeats", type=int, default=5, help="the shortest of so many times counts")
    options = parser.parse_args(arguments)
    start = time.perf_counter()
    times = measure(options.sizes, repeats=options.repeats)
    record = {
        "benchmark": "fits",
        "sizes": list(options.sizes),
        "seconds": times,
        "repeats": options.repeats,
        "lam": LAM,
        "minutes": (time.perf_counter() - start) / 60,
    }
    record = common.signed(record)
    record["environment"]["scipy"] = version("scipy")
    common.write(options.out, record)
    print(f"{record['minutes']:.1f} minutes; written to {options.out}")


if __name__ == "__main__":
    main()
