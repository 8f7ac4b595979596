// A picture as a brick of C x H x W numbers: three shapes that a gate can have, and what each module reads.
"use strict";

const Brick = (() => {
  const C = 3,
    H = 10,
    W = 10,
    M = H * W;
  // A drawn picture: a red boat with a white sail under a yellow sun, on blue water.
  const pixel = (r, c) => {
    if (Math.hypot(r - 1.5, c - 7.5) < 1.6) return [1, 0.85, 0.25];
    if (c === 4 && r > 0 && r < 7) return [0.45, 0.25, 0.1];
    if (c < 4 && r > 1 && r < 6 && c > 4.5 - r) return [0.97, 0.97, 0.97];
    if ((r === 7 && c > 0 && c < 8) || (r === 8 && c > 1 && c < 7)) return [0.85, 0.12, 0.12];
    return r > 6 ? [0.05, 0.3, 0.6] : [0.5, 0.72 + 0.02 * r, 0.95];
  };
  const colors = Array.from({ length: M }, (_, i) => pixel(Math.floor(i / W), i % W));
  const planes = Array.from({ length: C }, (_, c) => Float64Array.from(colors, (color) => color[c]));
  // Stand-ins: the sigmoid of how bright a number is, or of the mean of this over all that share a gain.
  const all = planes.flatMap((plane) => [...plane]),
    { mu, variance } = SimAM.statistics(all, 0);
  const logit = (value) => (2.5 * (value - mu)) / Math.sqrt(variance);
  const shapes = {
    "1-D": { shape: "(C, 1, 1)", numbers: C, one: "a channel", own: (c, i, k, l) => c === k },
    "2-D": { shape: "(1, H, W)", numbers: M, one: "a position", own: (c, i, k, l) => i === l },
    "3-D": { shape: "(C, H, W)", numbers: C * M, one: "a neuron", own: (c, i, k, l) => c === k && i === l },
  };
  const gain = (kind, c, i) => {
    const at = {
      "1-D": () => SimAM.mean(planes[c]),
      "2-D": () => SimAM.mean(planes.map((plane) => plane[i])),
      "3-D": () => planes[c][i],
    };
    return SimAM.sigmoid(logit(at[kind]()));
  };
  // What a module makes of the brick before it gives the ring its gain; `reads` says which channels.
  const modules = {
    SE: {
      reads: () => true,
      pools: "the mean of each channel",
      forgets: "where in its map a number stood",
      gives: "1-D",
    },
    CBAM: {
      reads: () => true,
      pools: "mean and maximum of each channel, then of each position",
      forgets: "which channel stood out at which position",
      gives: "1-D times 2-D",
    },
    ECA: {
      reads: (c, k) => Math.abs(c - k) < 2,
      pools: "the means of a channel and its neighbors",
      forgets: "where a number stood, and all channels farther off",
      gives: "1-D",
    },
    GC: {
      reads: () => true,
      pools: "one mean over the positions, weighted by a key",
      forgets: "where the key has found something",
      gives: "1-D, added instead of multiplied",
    },
    SimAM: {
      reads: (c, k) => c === k,
      pools: "mean and variance of one channel",
      forgets: "where the others stood, and all other channels",
      gives: "3-D",
    },
  };
  return { C, H, W, M, planes, shapes, gain, modules };
})();

Figure.define("brick", (f) => {
  const { words, box } = Figure,
    { C, H, W, M, planes, shapes, gain, modules } = Brick;
  f.question("How many different numbers may a gate have? Choose its shape, and move the ring.");
  f.state = { shape: "1-D", module: "SE", c: 0, i: 73 };
  const reads = (s) => M * planes.filter((_, k) => modules[s.module].reads(s.c, k)).length;
  let plot;
  f.ring(
    [C, H, W],
    () => plot,
    (s) => `gain ${Figure.fixed(gain(s.shape, s.c, s.i), 3)}`,
  );
  f.choice("shape", "the gate's shape", [
    ["1-D", "1-D: (C, 1, 1)"],
    ["2-D", "2-D: (1, H, W)"],
    ["3-D", "3-D: (C, H, W)"],
  ]);
  f.choice(
    "module",
    "the module",
    Object.keys(modules).map((name) => [name, name]),
  );
  f.draw((s, width) => {
    const gap = width < 480 ? 8 : 18,
      size = Math.min(13, (width - 4 * gap) / (5 * W)),
      panel = W * size + gap,
      top = 22,
      below = top + H * size + 46;
    plot = Figure.planes(C, H, W, [panel, top], size, gap);
    // Brightened, so that the largest gain is one; a rectangle for each run of one color.
    const picture = (left, gains) => {
      const most = Math.max(...planes.flatMap((plane, c) => Array.from(plane, (_, i) => gains(c, i))));
      const color = (i) => planes.map((plane, c) => Math.round((255 * plane[i] * gains(c, i)) / most)).join();
      let drawn = "";
      for (let start = 0, i = 1; i <= M; i += 1) {
        if (i % W && color(i) === color(start)) continue;
        const place = `x="${(left + (start % W) * size).toFixed(1)}" y="${(top + Math.floor(start / W) * size).toFixed(1)}"`;
        const area = `width="${((i - start) * size).toFixed(1)}" height="${(size + 0.4).toFixed(1)}"`;
        drawn += `<rect ${place} ${area} style="fill: rgb(${color(start)}); stroke: none"/>`;
        start = i;
      }
      return drawn;
    };
    let svg = picture(0, () => 1) + words(0, top - 8, "picture", "soft small");
    svg +=
      picture(4 * panel, (c, i) => gain(s.shape, c, i)) +
      words(4 * panel, top - 8, "times gain", "soft small");
    for (let c = 0; c < C; c += 1) {
      const [left] = plot.corner(c, 0);
      svg += words(left, top - 8, `${["red", "green", "blue"][c]} gains`, "soft small");
      const read = modules[s.module].reads(s.c, c);
      svg += words(left, below - 8, read ? "is read" : "is not", "soft small");
      svg +=
        box(left, below, W * size, H * size, "cell") +
        (read ? box(left, below, W * size, H * size, "green solid", 0.55) : "");
      for (let i = 0; i < M; i += 1) {
        const [x, y] = plot.corner(c, i),
          own = shapes[s.shape].own(c, i, s.c, s.i);
        svg += box(x, y, size - 0.8, size - 0.8, "cell");
        svg += box(
          x,
          y,
          size - 0.8,
          size - 0.8,
          `${own ? "orange" : "blue"} solid`,
          0.1 + 0.85 * gain(s.shape, c, i),
        );
      }
    }
    svg += words(0, top + H * size + 18, "Orange: cells that share the ring's gain.", "soft small");
    const [x, y] = plot.corner(s.c, s.i);
    svg += box(x, y + below - top, size - 0.8, size - 0.8, "orange thick", 0);
    svg += words(0, below + 4, s.module, "bold") + words(0, below + 20, "for the ring", "soft small");
    return { height: below + H * size + 6, svg };
  });
  f.readout(
    (s) => {
      const { shape, numbers, one } = shapes[s.shape],
        { pools, forgets, gives } = modules[s.module];
      const at = f.show("gain", gain(s.shape, s.c, s.i));
      return (
        `A gate of shape ${shape} has ${f.show("numbers", numbers, 0)} numbers, one ${one}; at the ring ${at}. ` +
        `${s.module} reads ${f.show("reads", reads(s), 0)} numbers for it and pools ${pools}. ` +
        `It forgets ${forgets}. Its gate: ${gives}.`
      );
    },
    (s) => `${shapes[s.shape].shape}. ${s.module} forgets ${modules[s.module].forgets}.`,
  );
  f.predict(
    "The three channels are red, green and blue. Which picture can a gate of shape (C, 1, 1) make?",
    ["one with another tint", "one in which only the boat is bright"],
    0,
    "One number a channel multiplies the whole plane: it tints. One number a position lights the boat and keeps its color. One a neuron can do both at once.",
  );
});
