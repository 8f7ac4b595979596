// The arithmetic of the figures: SimAM of one channel, in float64, as `simam_edu.energy` has it in numpy.
// A channel is a typed array or a list of M numbers. `lam` is the penalty, in units of x squared.
"use strict";

const SimAM = (() => {
  const sum = (x) => x.reduce((total, value) => total + value, 0);
  const mean = (x) => sum(x) / x.length;
  const sigmoid = (z) => 1 / (1 + Math.exp(-z));
  const square = (x) => x * x;

  // Mean and variance of a channel; the variance divides by M - ddof.
  function statistics(x, ddof = 1) {
    const mu = mean(x);
    return { mu, variance: x.reduce((total, value) => total + square(value - mu), 0) / (x.length - ddof) };
  }

  // One over the least energy, Eq. (5), of each neuron; `choice` names the statistics.
  function importance(x, lam = 1e-4, choice = "shared") {
    const M = x.length;
    const { mu, variance } = statistics(x, choice === "shared" ? 1 : 0);
    return Float64Array.from(x, (value) => {
      const d = value - mu;
      if (d === 0) return 0.5;
      if (choice !== "leave_one_out") return 0.5 + square(d) / (4 * (variance + lam));
      const others = (M * variance - (square(d) * M) / (M - 1)) / (M - 1); // of the M - 1 others
      return 0.5 + square((d * M) / (M - 1)) / (4 * (Math.max(others, 0) + lam));
    });
  }

  const gain = (x, lam, choice) => importance(x, lam, choice).map(sigmoid); // Eq. (6)

  // The energy of a line with weight w and bias b, Eq. (2).
  function energy(w, b, t, others, lam) {
    return mean(others.map((x) => square(-1 - (w * x + b)))) + square(1 - (w * t + b)) + lam * w * w;
  }

  // The line of least energy, Eqs. (3) and (4), and that energy, Eq. (5).
  function bestLine(t, others, lam) {
    const { mu, variance } = statistics(others, 0);
    const below = square(t - mu) + 2 * variance + 2 * lam;
    const w = (2 * (t - mu)) / below;
    return { w, b: (-(t + mu) / 2) * w, energy: (4 * (variance + lam)) / below, mu, variance };
  }

  // The energy is a quadratic in (w, b): its second derivatives, their eigenvalues and directions.
  function curvature(t, others, lam) {
    const ww = 2 * (mean(others.map(square)) + t * t + lam),
      wb = 2 * (mean(others) + t),
      bb = 4;
    const middle = (ww + bb) / 2,
      half = Math.hypot((ww - bb) / 2, wb);
    return {
      largest: middle + half,
      smallest: middle - half,
      angle: Math.atan2(2 * wb, ww - bb) / 2,
    };
  }

  // The slope of the energy at (w, b).
  function slope(w, b, t, others, lam) {
    const miss = 1 - (w * t + b),
      misses = others.map((x) => -1 - (w * x + b));
    return [
      -2 * mean(misses.map((r, i) => r * others[i])) - 2 * miss * t + 2 * lam * w,
      -2 * mean(misses) - 2 * miss,
    ];
  }

  // Row i, column j: how output i, x_i times its gain, follows input j.
  function jacobian(x, lam = 1e-4) {
    const M = x.length,
      { mu, variance } = statistics(x),
      below = variance + lam;
    const gains = gain(x, lam);
    return Array.from(x, (xi, i) => {
      const d = xi - mu,
        rise = xi * gains[i] * (1 - gains[i]);
      return Float64Array.from(x, (xj, j) => {
        const own = i === j ? 1 : 0;
        const dVariance = (2 * (xj - mu)) / (M - 1);
        const dImportance = (2 * d * (own - 1 / M) * below - d * d * dVariance) / (4 * below * below);
        return own * gains[i] + rise * dImportance;
      });
    });
  }

  // Student's t with a whole number of degrees of freedom: the share within [-t, t], by its finite sum.
  function studentWithin(t, freedom) {
    const theta = Math.atan(t / Math.sqrt(freedom)),
      c2 = square(Math.cos(theta));
    let term = freedom % 2 ? Math.cos(theta) : 1,
      total = freedom === 1 ? 0 : term;
    for (let k = freedom % 2 ? 3 : 2; k <= freedom - 2; k += 2) {
      term *= (c2 * (k - 1)) / k;
      total += term;
    }
    return freedom % 2 ? (2 / Math.PI) * (theta + Math.sin(theta) * total) : Math.sin(theta) * total;
  }

  // The t with a given share within [-t, t], by halving.
  function studentQuantile(share, freedom) {
    let low = 0,
      high = 1e4;
    for (let i = 0; i < 200; i += 1) {
      const middle = (low + high) / 2;
      if (studentWithin(middle, freedom) < share) low = middle;
      else high = middle;
    }
    return (low + high) / 2;
  }

  // The nearest float16, ties to even; beyond 65504 it is infinite.
  function half(x) {
    if (!Number.isFinite(x) || x === 0) return x;
    const exponent = Math.max(Math.floor(Math.log2(Math.abs(x))), -14);
    const unit = 2 ** (exponent - 10),
      scaled = x / unit,
      low = Math.floor(scaled),
      rest = scaled - low;
    const whole = rest > 0.5 || (rest === 0.5 && low % 2 !== 0) ? low + 1 : low;
    return Math.abs(whole * unit) > 65504 ? Math.sign(x) * Infinity : whole * unit;
  }

  // Normal numbers that are the same on every visit.
  function normals(seed, count) {
    let state = seed >>> 0;
    const uniform = () => {
      state = (state + 0x6d2b79f5) >>> 0;
      let t = Math.imul(state ^ (state >>> 15), state | 1);
      t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
      return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
    return Float64Array.from(
      { length: count },
      () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()),
    );
  }

  return {
    sum,
    mean,
    sigmoid,
    statistics,
    importance,
    gain,
    energy,
    bestLine,
    curvature,
    slope,
    jacobian,
    studentWithin,
    studentQuantile,
    half,
    normals,
  };
})();
