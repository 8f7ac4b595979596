// A feature map as a brick of C x H x W cells: which of them does a module multiply by the same number?
"use strict";

Figure.define("gates", (f) => {
  const { words } = Figure;
  const C = 4,
    H = 4,
    W = 4,
    M = H * W;
  // Four channels that all see one thing in a place of its own, on noise; the last is nearly dull.
  const noise = SimAM.normals(7, C * M),
    peaks = [5, 10, 3, 12],
    heights = [3, 2, 2.5, 0.6];
  const x = Array.from({ length: C }, (_, c) =>
    Float64Array.from(
      { length: M },
      (_, i) => 0.4 * noise[c * M + i] + (i === peaks[c] ? heights[c] : 0) + 0.3 * c - 0.5,
    ),
  );
  // Untrained stand-ins, with weights of one: only who shares a number with whom is the module's own.
  const means = x.map((channel) => SimAM.sigmoid(SimAM.mean(channel)));
  const places = Array.from({ length: M }, (_, i) =>
    SimAM.sigmoid(SimAM.mean(x.map((channel) => channel[i]))),
  );
  const neighbors = means.map((_, c) =>
    SimAM.sigmoid(SimAM.mean([c - 1, c, c + 1].filter((k) => x[k]).map((k) => SimAM.mean(x[k])))),
  );
  const modules = {
    SE: { at: (c) => means[c], same: (a, b) => a[0] === b[0], free: C, says: "one number a channel" },
    ECA: {
      at: (c) => neighbors[c],
      same: (a, b) => a[0] === b[0],
      free: C,
      says: "one number a channel, from its neighbors",
    },
    GC: {
      at: (c) => means[c],
      same: (a, b) => a[0] === b[0],
      free: C,
      says: "one number a channel, added instead of multiplied",
    },
    CBAM: {
      at: (c, i) => means[c] * places[i],
      same: (a, b) => a[0] === b[0] || a[1] === b[1],
      free: C + M,
      says: "one number a channel times one a position",
    },
    SimAM: {
      at: (c, i) => SimAM.gain(x[c], 1e-4)[i],
      same: (a, b) => a[0] === b[0] && a[1] === b[1],
      free: C * M,
      says: "a number for each neuron",
    },
  };
  f.question("Which cells get the same number? Choose a module, then move the ring.");
  f.state = { module: "SE", c: 1, i: 5 };
  let plot;
  f.ring(
    [C, H, W],
    () => plot,
    (s) => `number ${Figure.fixed(here(s), 3)}`,
  );
  const here = (s) => modules[s.module].at(s.c, s.i);
  f.choice(
    "module",
    "module",
    Object.keys(modules).map((name) => [name, name]),
  );
  f.draw((s, width) => {
    const gap = width < 480 ? 10 : 24,
      size = Math.min(36, (width - 3 * gap) / (C * W)),
      top = 26,
      { at, same } = modules[s.module];
    const all = x.flatMap((_, c) => Array.from({ length: M }, (_, i) => at(c, i))),
      low = Math.min(...all),
      high = Math.max(...all);
    plot = Figure.planes(C, H, W, [0, top], size, gap);
    let svg = "";
    for (let c = 0; c < C; c += 1) {
      svg += words(plot.corner(c, 0)[0], top - 9, `channel ${c + 1}`, "soft small");
      for (let i = 0; i < M; i += 1) {
        const [px, py] = plot.corner(c, i),
          strength = 0.15 + 0.75 * ((at(c, i) - low) / (high - low));
        const shared = same([s.c, s.i], [c, i]);
        svg +=
          Figure.box(px, py, size - 1.5, size - 1.5, "cell") +
          Figure.box(px, py, size - 1.5, size - 1.5, `${shared ? "orange" : "blue"} solid`, strength);
        if (shared) svg += Figure.box(px + 1, py + 1, size - 3.5, size - 3.5, "orange thick", 0);
      }
    }
    const below = top + H * size;
    svg +=
      words(0, below + 20, "Orange: shares a number with the ring.", "soft small") +
      words(0, below + 36, "Strong: a large number.", "soft small");
    return { height: below + 44, svg };
  });
  f.readout(
    (s) => {
      const module = modules[s.module];
      return `${s.module}: ${module.says}; ${f.show("free", module.free, 0)} numbers for ${C * M} cells. At the ring: ${f.show("number", here(s))}.`;
    },
    (s) => `${s.module}: ${modules[s.module].says}.`,
  );
  f.predict(
    "Which module can raise one neuron and leave all others in its row, column and channel alone?",
    ["CBAM", "SimAM"],
    1,
    "CBAM's gains are a channel's number times a position's, so what raises one neuron raises its channel or its position everywhere. SimAM has a gain for each neuron, though it has no weights to choose it with.",
  );
});
