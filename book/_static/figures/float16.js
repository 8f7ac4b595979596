// Half precision: where the gain of the naive lines dies, and where the safe ones go on.
"use strict";

Figure.define("float16", (f) => {
  const { Plot, fixed, powerText } = Figure;
  const half = SimAM.half;
  f.question("How loud may a channel be in half precision? Drag its standard deviation.");
  f.state = { exponent: 0, side: 32 };
  const noise = SimAM.normals(3, 64 * 64),
    unit = {};
  // The first side * side numbers, with mean 0, deviation 1 and one neuron at about 4.
  const channel = (side) =>
    (unit[side] ??= (() => {
      const x = noise.slice(0, side * side);
      x[0] = 4;
      const { mu, variance } = SimAM.statistics(x);
      return x.map((v) => (v - mu) / Math.sqrt(variance));
    })());
  // Every step of the ten lines is rounded to float16; the sum runs in more digits and is rounded at its end.
  const naive = (x) => {
    const rounded = x.map(half),
      mu = half(SimAM.mean(rounded)),
      squares = rounded.map((v) => half(half(v - mu) ** 2));
    const variance = half(half(SimAM.sum(squares)) / half(x.length - 1));
    return half(SimAM.sigmoid(half(half(squares[0] / half(4 * half(variance + half(1e-4)))) + 0.5)));
  };
  const both = (side, exponent) => {
    const x = channel(side).map((v) => v * 10 ** exponent);
    return { naive: naive(x), safe: SimAM.gain(x, 1e-4)[0] };
  };
  const curves = {};
  const drawn = (side) =>
    (curves[side] ??= Array.from({ length: 101 }, (_, i) => -5 + 0.09 * i).map((e) => [e, both(side, e)]));
  const edge = (side) => Math.log10(65504 / (side * side)) / 2; // where the sum of squares is infinite
  let plot;
  f.handle({
    label: "standard deviation, as a power of ten",
    plot: () => plot,
    x: [-5, 4, 0.1],
    at: () => [f.state.exponent, both(f.state.side, f.state.exponent).safe],
    to: ({ x }) => (f.state.exponent = x),
    reach: 1e3,
    text: () =>
      `ten to the ${fixed(f.state.exponent, 1)}, gain ${fixed(both(f.state.side, f.state.exponent).naive, 3)} in half precision, ${fixed(both(f.state.side, f.state.exponent).safe, 3)} as it should be`,
  });
  f.slider("side", "side of the map", { min: 8, max: 64, step: 8, text: (v) => `${v} × ${v}` });
  f.draw((s, width) => {
    const height = 320,
      from = edge(s.side);
    plot = new Plot([44, 46, width - 14, height - 44], [-5, 4], [0.58, 1.02]);
    let svg = plot.axes({
      xLabel: "standard deviation of the channel",
      yLabel: "gain of a neuron at z = 4",
      xTicks: [-4, -2, 0, 2, 4],
      xText: powerText,
      yTicks: [0.6, 0.7, 0.8, 0.9, 1],
    });
    svg += Figure.box(plot.x(from), 46, plot.x(4) - plot.x(from), height - 90, "orange solid", 0.1);
    svg +=
      plot.path(
        drawn(s.side).map(([e, v]) => [e, v.safe]),
        "blue thick",
      ) +
      plot.path(
        drawn(s.side).map(([e, v]) => [e, v.naive]),
        "orange thick dash",
      );
    svg +=
      plot.words(4, 0.85, "sum of", "orange end", -4, 0) +
      plot.words(4, 0.85, "squares", "orange end", -4, 16) +
      plot.words(4, 0.85, "overflows", "orange end", -4, 32);
    svg += plot.words(-4.9, 0.7, "λ turns", "soft", 0, 0) + plot.words(-4.9, 0.7, "it off", "soft", 0, 15);
    svg +=
      Figure.words(44, 16, "line: safe", "blue bold") +
      Figure.words(134, 16, "dashes: naive, float16", "orange bold");
    const here = both(s.side, s.exponent).naive;
    return {
      height,
      svg: svg + (Number.isFinite(here) ? plot.dot(s.exponent, here, "orange solid", 5) : ""),
    };
  });
  f.readout((s) => {
    const { naive: low, safe } = both(s.side, s.exponent);
    return `Standard deviation <b>${Figure.power(10 ** s.exponent)}</b>: gain ${f.show("naive", low)} by the naive lines, ${f.show("safe", safe)} by the safe ones. The sum overflows from ${f.show("edge", 10 ** edge(s.side), 2)} on.`;
  });
  f.predict(
    "float16 holds numbers up to 65,504. On a map of 32 × 32, does SimAM fail at a standard deviation of 10?",
    ["no, 10 is far below", "yes"],
    1,
    "The sum of 1,024 squares is about 100,000 then. It is infinite, so is the variance, and every gain sits at the floor. No error is raised.",
  );
});
