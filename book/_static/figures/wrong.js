// Twelve wrong SimAMs as a quiz: two sets of gains for one batch, and one of them is right.
"use strict";

const WrongSimAMs = (() => {
  const { half, sigmoid, mean, sum } = SimAM;
  const lam = 1e-4,
    shapeOf = (kind) => (kind === "small" ? [4, 4, 2, 2] : [4, 4, 4, 4]);
  // Name, batch on which it shows, and what it computes instead.
  const exhibits = [
    ["constant", "outlier", "One gain for a whole channel, because the squared distances are averaged."],
    ["no half", "noise", "The squared distance alone, without the one half."],
    ["clamped", "quiet", "A variance kept above a limit, in the place of one with the penalty added."],
    ["population", "small", "The variance with 1/M, as Eq. (5) is printed."],
    ["lambda twice", "quiet", "The penalty added in two places."],
    ["energy as gain", "outlier", "The sigmoid of the least energy, not of its inverse."],
    ["no keepdims", "levels", "The means of images and channels, lined up with rows and columns."],
    ["printed sign", "outlier", "The energy of the line with the printed sign of Eq. (3)."],
    ["whole batch", "levels", "The statistics of batch norm, over all images."],
    ["across channels", "levels", "A neuron compared with the other channels at its position."],
    [
      "naive variance",
      "high",
      "The mean of the squares less the square of the mean: a small difference of large numbers.",
    ],
    [
      "half precision",
      "loud",
      "The sum of squares in float16, which overflows: every gain sits at the floor.",
    ],
  ];
  function batch(kind) {
    const shape = shapeOf(kind),
      [, C, H, W] = shape,
      noise = SimAM.normals(
        20,
        shape.reduce((a, b) => a * b),
      );
    if (kind === "quiet") return noise.map((v) => 0.01 * v);
    if (kind === "high") return noise.map((v) => 1e8 + v);
    if (kind === "loud") return noise.map((v) => 93 * v);
    if (kind === "levels") return noise.map((v, i) => v + (Math.floor(i / (H * W)) % (2 * C)));
    if (kind === "outlier") return noise.map((v, i) => (i % (H * W) === 6 ? 5 : v));
    return noise;
  }
  // The statistics of each element's group; `axes` are the axes that are averaged over.
  function grouped(x, [N, C, H, W], axes) {
    const key = x.map((_, i) => {
      const at = [Math.floor(i / (C * H * W)), Math.floor(i / (H * W)) % C, Math.floor(i / W) % H, i % W];
      return axes.reduce((k, axis) => k - at[axis] * [C * H * W, H * W, W, 1][axis], i);
    });
    const members = new Map();
    key.forEach((k, i) => members.set(k, [...(members.get(k) ?? []), i]));
    return (values, f) => {
      const found = new Map([...members].map(([k, indices]) => [k, f(indices.map((i) => values[i]))]));
      return key.map((k) => found.get(k));
    };
  }
  function gains(name, x, shape) {
    const [N, C, H, W] = shape,
      M = H * W;
    const axes = { "whole batch": [0, 2, 3], "across channels": [1] }[name] ?? [2, 3];
    const each = grouped(x, shape, axes),
      size = axes.reduce((a, axis) => a * shape[axis], 1);
    // Without keepdims row h and column w meet the statistics of image h and channel w.
    const turned = (v) =>
      name === "no keepdims" ? v.map((_, i) => v[(Math.floor(i / W) % H) * C * M + (i % W) * M]) : v;
    const round = name === "half precision" ? half : (v) => v;
    const inputs = x.map(round),
      mu = turned(each(inputs, mean)).map(round);
    const d = inputs.map((v, i) => round(round(v - mu[i]) ** 2));
    let total = turned(each(d, sum)).map(round);
    if (name === "naive variance")
      total = each(
        x.map((v) => v * v),
        mean,
      ).map((v, i) => (v - mu[i] * mu[i]) * M);
    const variance = total.map((v) => v / (size - (name === "population" ? 0 : 1)));
    const spread = name === "constant" ? each(d, mean) : d;
    return x.map((v, i) => {
      let below = 4 * (variance[i] + lam * (name === "lambda twice" ? 2 : 1));
      if (name === "clamped") below = Math.max(4 * variance[i], lam);
      const importance = spread[i] / below + (name === "no half" ? 0 : 0.5);
      if (name === "energy as gain") return sigmoid(1 / importance);
      if (name !== "printed sign") return sigmoid(importance);
      const w = (-2 * (v - mu[i])) / (d[i] + 2 * variance[i] + 2 * lam),
        b = (-(v + mu[i]) * w) / 2;
      return sigmoid(
        1 / ((1 + w * mu[i] + b) ** 2 + w * w * variance[i] + (1 - w * v - b) ** 2 + lam * w * w),
      );
    });
  }
  return { exhibits, shapeOf, batch, gains };
})();

Figure.define("wrong", (f) => {
  const { words } = Figure;
  f.question("One of the two sets of gains is SimAM. Which one?");
  f.state = { exhibit: 1, picked: "" };
  const rightOf = (s) => ((s.exhibit * 7) % 3 ? "A" : "B");
  const round = (s) => {
    const [name, kind, says] = WrongSimAMs.exhibits[s.exhibit - 1],
      shape = WrongSimAMs.shapeOf(kind),
      x = WrongSimAMs.batch(kind);
    return {
      name,
      says,
      shape,
      x,
      right: WrongSimAMs.gains("", x, shape),
      wrong: WrongSimAMs.gains(name, x, shape),
    };
  };
  for (const letter of ["A", "B"]) f.button(`${letter} is SimAM`, (s) => (s.picked = letter));
  f.slider("exhibit", "exhibit", { min: 1, max: 12, text: (v) => `${v} of 12` });
  let last = 1;
  f.draw((s, width) => {
    if (s.exhibit !== last) s.picked = ""; // another exhibit is another question
    last = s.exhibit;
    const {
        shape: [N, C, H, W],
        x,
        right,
        wrong,
      } = round(s),
      size = Math.floor((width - 24) / 3 / (C * W + 2)),
      gap = size / 2;
    const panel = (title, values, left, low, high, look) => {
      let svg = words(left, 14, title, "soft");
      for (let k = 0; k < N * C; k += 1) {
        const px = left + (k % C) * (W * size + gap),
          py = 24 + Math.floor(k / C) * (H * size + gap);
        svg += Figure.map(values.slice(k * H * W, (k + 1) * H * W), W, px, py, size, {
          low,
          high,
          look,
          frame: false,
        });
      }
      return svg;
    };
    const step = (width - (C * W * size + 3 * gap)) / 2,
      narrow = width < 480,
      a = rightOf(s) === "A" ? [right, wrong] : [wrong, right];
    const shifted = x.map((v) => v - Math.min(...x));
    let svg = panel("input", shifted, 0, 0, Math.max(...shifted), "green");
    svg +=
      panel(narrow ? "A" : "A: gains", a[0], step, 0.55, 1, "blue") +
      panel(narrow ? "B" : "B: gains", a[1], 2 * step, 0.55, 1, "blue");
    return { height: 34 + N * H * size + 3 * gap, svg };
  });
  f.readout((s) => {
    const { name, says, shape, right, wrong } = round(s),
      most = Math.max(...right.map((v, i) => Math.abs(v - wrong[i])));
    const hint = `Rows are ${shape[0]} images, columns ${shape[1]} channels of ${shape[2]} × ${shape[3]}. The gains differ by up to ${f.show("difference", most)}.`;
    return s.picked
      ? `<strong>${s.picked === rightOf(s) ? "Right" : "Not so"}: ${rightOf(s)} is SimAM.</strong> The other, “${name}”: ${says}` +
          ` ${hint}`
      : hint;
  });
});
