// A roof over a computation: the time is at least the operations over the peak and the bytes over the bandwidth.
"use strict";

Figure.define("roofline", (f) => {
  const { Plot, fixed, powerText } = Figure;
  // Operations and bytes a second, from the data sheets in the table of the chapter.
  const cards = {
    T4: [8.1e12, 320e9],
    L4: [30.3e12, 300e9],
    "A100 (40 GB)": [19.5e12, 1555e9],
    "H100 (SXM)": [67e12, 3350e9],
  };
  f.question(
    "What makes SimAM faster: a faster chip, or fewer passes over the map? Drag the orange point, which stands for the passes.",
  );
  f.state = { passes: 14, operations: 11, side: 56, card: "A100 (40 GB)" };
  let plot;
  // The same picture, with passes for the operations of each byte.
  const byPasses = {
    get box() {
      return plot.box;
    },
    x: (passes) => plot.x(Math.log10(f.state.operations / 4 / passes)),
    y: (v) => plot.y(v),
    inverse: (px, py) => [f.state.operations / 4 / 10 ** plot.inverse(px, py)[0], 0],
  };
  const work = (s) => {
    const [peak, bandwidth] = cards[s.card],
      neurons = 16 * 256 * s.side * s.side,
      bytes = 4 * neurons * s.passes,
      operations = neurons * s.operations;
    const intensity = operations / bytes;
    return {
      peak,
      bandwidth,
      intensity,
      reached: Math.min(peak, bandwidth * intensity),
      arithmetic: (operations / peak) * 1e3,
      memory: (bytes / bandwidth) * 1e3,
    };
  };
  f.handle({
    label: "passes over the map",
    plot: () => byPasses,
    x: [2, 60, 1],
    reach: 1e3,
    at: () => [f.state.passes, Math.log10(work(f.state).reached)],
    to: ({ x }) => (f.state.passes = x),
    text: () => `${f.state.passes} passes, ${fixed(work(f.state).memory, 3)} milliseconds`,
  });
  f.slider("operations", "operations a neuron", { min: 1, max: 2000, text: (v) => String(v) });
  f.slider("side", "side of the map", { min: 7, max: 112, step: 7 });
  f.choice(
    "card",
    "card",
    Object.keys(cards).map((name) => [name, name]),
  );
  f.draw((s, width) => {
    const height = 300,
      here = work(s),
      corner = Math.log10(here.peak / here.bandwidth);
    plot = new Plot([48, 26, width - 14, height - 44], [-2.2, 3], [9.5, 14]);
    let svg = plot.axes({
      xLabel: "operations for each byte",
      yLabel: "operations a second",
      xTicks: [-2, -1, 0, 1, 2],
      xText: powerText,
      yTicks: [10, 11, 12, 13, 14],
      yText: powerText,
    });
    svg += plot.path(
      [
        [-2.2, Math.log10(here.bandwidth) - 2.2],
        [corner, Math.log10(here.peak)],
        [3, Math.log10(here.peak)],
      ],
      "blue thick",
    );
    svg +=
      plot.line(corner, 9.5, corner, Math.log10(here.peak), "green dash") +
      plot.words(corner, 9.5, "corner", "green bold", 6, -8);
    svg +=
      plot.words(-1.4, Math.log10(here.bandwidth) - 1.4, "memory is the limit", "blue", 8, 20) +
      plot.words(3, Math.log10(here.peak), "arithmetic is the limit", "blue end", 0, -8);
    const one = Math.log10(11 / 8),
      ten = (x) => Math.log10(here.bandwidth) + x;
    svg +=
      plot.dot(one, ten(one), "green solid", 5) +
      plot.words(one, ten(one), "one kernel: 2 passes", "green", 12, 16);
    return { height, svg };
  });
  f.readout((s) => {
    const here = work(s);
    return `${s.passes} passes on ${s.card}, 16 images, 256 channels of ${s.side} × ${s.side}, float32: memory ${f.show("memory", here.memory)} ms, arithmetic ${f.show("arithmetic", here.arithmetic)} ms. At least the larger of the two: ${f.show("least", Math.max(here.memory, here.arithmetic))} ms.`;
  });
  f.predict(
    "A card with twice the arithmetic and the same memory. What becomes of SimAM's least time?",
    ["it halves", "it stays"],
    1,
    "SimAM does about eleven operations on a neuron that is read and written, far to the left of the corner. There only the bytes count: half the passes, half the time.",
  );
});
