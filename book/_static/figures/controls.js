// SimAM's gains, given to the wrong neurons: what each control of the chapter on the ablation keeps.
"use strict";

Figure.define("controls", (f) => {
  const { Plot, words, fixed } = Figure;
  const side = 6,
    M = side * side;
  // Two channels: a bright stroke on a soft slope, and a dark spot somewhere else.
  const slope = (i) => 0.25 * SimAM.normals(5, M)[i];
  const own = Float64Array.from({ length: M }, (_, i) => (i % side === Math.floor(i / side) ? 2.2 : slope(i)));
  const other = Float64Array.from({ length: M }, (_, i) => ([3, 4, 9].includes(i) ? -2 : slope(M - 1 - i)));
  const rank = SimAM.normals(9, M);
  const order = Array.from({ length: M }, (_, i) => i).sort((a, b) => rank[a] - rank[b]);
  const average = (x) => x.reduce((total, value) => total + value, 0) / x.length;
  const gainsOf = (which) => {
    const gains = SimAM.gain(own, 1e-4),
      mean = average(gains),
      middle = average(own);
    return gains.map(
      (gain, i) =>
        ({
          simam: gain,
          shuffled: gains[order[i]],
          other: SimAM.gain(other, 1e-4)[i],
          reversed: 2 * mean - gain,
          "one-sided": own[i] > middle ? gain : SimAM.sigmoid(0.5),
          constant: mean,
        })[which],
    );
  };
  const stroke = own.map((value) => (value > 1 ? 1 : 0));
  const onStroke = (gains) => average(gains.filter((_, i) => stroke[i]));
  const elsewhere = (gains) => average(gains.filter((_, i) => !stroke[i]));
  f.question("Which of these still helps a network? Choose whose gain each neuron gets; drag to a neuron.");
  f.state = { which: "simam", column: 2, row: 2 };
  let plot;
  const at = (s) => s.row * side + s.column;
  f.handle({
    label: "a neuron",
    plot: () => plot,
    x: [0, side - 1, 1],
    y: [1 - side, 0, 1],
    at: () => [f.state.column, -f.state.row],
    to: ({ x, y }) => Object.assign(f.state, { column: x, row: -y }),
    reach: 1e3,
    grip: 0,
    text: () =>
      `row ${f.state.row + 1}, column ${f.state.column + 1}, gain ${fixed(gainsOf(f.state.which)[at(f.state)], 3)}`,
  });
  f.choice("which", "gains", [
    ["simam", "SimAM"],
    ["shuffled", "shuffled"],
    ["other", "another image's"],
    ["reversed", "reversed"],
    ["one-sided", "one-sided"],
    ["constant", "constant"],
  ]);
  f.draw((s, width) => {
    const gap = width < 480 ? 10 : 28,
      size = Math.min(30, Math.floor((width - 2 * gap) / (3 * side))),
      step = size * side + gap,
      gains = gainsOf(s.which);
    plot = new Plot(
      [0.5 * size, 22 + 0.5 * size, (side - 0.5) * size, 22 + (side - 0.5) * size],
      [0, side - 1],
      [1 - side, 0],
    );
    const maps = [
      ["channel", own, { low: -2.4, high: 2.4 }],
      ["gains", gains, { look: "orange", low: 0.4, high: 1 }],
      ["output", own.map((value, i) => value * gains[i]), { low: -2.4, high: 2.4 }],
    ];
    const svg = maps
      .map(
        ([title, values, look], k) =>
          words(k * step, 14, title, "soft") +
          Figure.map(values, side, k * step, 22, size, look) +
          Figure.box(k * step + s.column * size, 22 + s.row * size, size - 1, size - 1, "green thick", 0),
      )
      .join("");
    return { height: size * side + 30, svg };
  });
  f.readout((s) => {
    const gains = gainsOf(s.which);
    return `The marked neuron: gain ${f.show("gain", gains[at(s)])}. Mean gain on the stroke ${f.show("stroke", onStroke(gains))}, elsewhere ${f.show("rest", elsewhere(gains))}, of all ${f.show("mean", average(gains))}.`;
  });
  f.predict(
    "A constant gain weakens all neurons of a channel alike. In the authors' position, before a batch norm, a network with it learns",
    ["the same as without a module", "a little worse"],
    0,
    "The norm divides by the standard deviation, and so takes a common factor back. A control must move gains, not scale them.",
  );
});
