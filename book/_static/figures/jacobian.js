// One column of the Jacobian of SimAM: what all outputs do when one input rises.
"use strict";

Figure.define("jacobian", (f) => {
  const { Plot, words, map, fixed } = Figure;
  const side = 5,
    M = side * side;
  const x = SimAM.normals(11, M).map((v) => Math.round(v * 10) / 10);
  x[7] = 3;
  const J = SimAM.jacobian(x);
  f.question("Raise one neuron a little. Which outputs move? Choose a neuron of the channel.");
  f.state = { j: 7, own: false };
  let plot;
  f.handle({
    label: "raised neuron",
    plot: () => plot,
    x: [0, side - 1, 1],
    y: [0, side - 1, 1],
    reach: 1e3,
    grip: 0,
    radius: 12,
    at: () => [f.state.j % side, side - 1 - Math.floor(f.state.j / side)],
    to: ({ x: column, y: row }) => (f.state.j = (side - 1 - row) * side + column),
    text: () =>
      `row ${Math.floor(f.state.j / side) + 1}, column ${(f.state.j % side) + 1}, value ${fixed(x[f.state.j], 1)}`,
  });
  f.check("own", "show its own output as well");
  const column = (s) => J.map((row) => row[s.j]);
  f.draw((s, width) => {
    const narrow = width < 520,
      size = narrow
        ? Math.min(44, Math.floor(width / side))
        : Math.min(50, Math.floor((width - 60) / 2 / side));
    const left = narrow ? 0 : width / 2 + 10,
      below = narrow ? size * side + 44 : 0;
    plot = new Plot([0, 24, side * size, 24 + side * size], [-0.5, side - 0.5], [-0.5, side - 0.5]);
    const rates = column(s),
      others = rates.filter((_, i) => i !== s.j),
      most = Math.max(...others.map(Math.abs));
    let svg =
      words(0, 14, "the channel x: choose a neuron", "soft") +
      map(x, side, 0, 24, size, {
        low: -3,
        high: 3,
        look: "green",
        below: "soft",
        text: (v, i) => (i === s.j ? "" : fixed(v, 1)),
      });
    const shown = rates.map((v, i) => (i === s.j && !s.own ? 0 : v));
    svg += words(left, below + 14, "change of each output, in thousandths", "soft");
    svg += map(shown, side, left, below + 24, size, {
      low: -most,
      high: most,
      text: (v, i) => (i === s.j && !s.own ? "own" : fixed(1000 * v, 0)),
    });
    return { height: below + 34 + side * size, svg };
  });
  f.readout((s) => {
    const rates = column(s),
      others = SimAM.sum(rates.map((v, i) => (i === s.j ? 0 : Math.abs(v))));
    return `The neuron of ${fixed(x[s.j], 1)} rises by 1: its own output by ${f.show("own", rates[s.j])}, the others by ${f.show("others", others)} in all, signs left aside. Blue rises, orange falls.`;
  });
  f.predict(
    "One neuron rises a little. How many of the 25 outputs change?",
    ["only its own", "all, or nearly all"],
    1,
    "Every neuron is part of the mean and the variance that all are measured with. The Jacobian of a channel is a diagonal plus two outer products, not a diagonal.",
  );
});
