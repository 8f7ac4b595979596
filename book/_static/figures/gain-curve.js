// The channel of the first page: every neuron on the gain curve that all of them make together.
"use strict";

Figure.define("gain-curve", (f) => {
  const { Plot, box, fixed } = Figure;
  f.question("Which neuron stands out? Drag the orange one toward the rest, and watch the others.");
  f.state = { values: [-2.2, -1.6, -0.8, -0.5, -0.2, 0.1, 0.3, 0.6, 1.0, 1.3, 1.9, 4], exponent: -4 };
  let plot;
  const lam = (s) => 10 ** s.exponent;
  const gainOf = (i) => SimAM.gain(f.state.values, lam(f.state))[i];
  f.state.values.forEach((_, i) =>
    f.handle({
      label: `neuron ${i + 1}`,
      look: i === 11 ? "orange" : "blue",
      radius: i === 11 ? 9 : 6,
      plot: () => plot,
      x: [-4, 6, 0.1],
      at: () => [f.state.values[i], gainOf(i)],
      to: ({ x }) => (f.state.values[i] = x),
      text: () => `value ${fixed(f.state.values[i], 1)}, gain ${fixed(gainOf(i), 3)}`,
    }),
  );
  f.slider("exponent", "penalty λ", { min: -6, max: 1, step: 0.5, text: (v) => Figure.powerText(v) });
  f.draw((s, width) => {
    const height = 300,
      { mu, variance } = SimAM.statistics(s.values),
      sd = Math.sqrt(variance);
    plot = new Plot([44, 26, width - 12, height - 42], [-4, 6], [0.58, 1.02]);
    const right = Math.min(mu + sd, 6),
      left = Math.max(mu - sd, -4);
    let svg = box(plot.x(left), 26, plot.x(right) - plot.x(left), height - 68, "blue solid", 0.1);
    svg += plot.axes({ xLabel: "value of the neuron", yLabel: "gain", yTicks: [0.6, 0.7, 0.8, 0.9, 1] });
    svg +=
      plot.line(mu, 0.58, mu, 1.02, "blue dash") +
      plot.words(mu, 1.02, "mean ± standard deviation", "blue middle small", 0, -5);
    svg +=
      plot.line(-4, SimAM.sigmoid(0.5), 6, SimAM.sigmoid(0.5), "green dash") +
      plot.words(6, SimAM.sigmoid(0.5), "floor", "green end small", 0, 14);
    svg += plot.curve((x) => SimAM.sigmoid(0.5 + (x - mu) ** 2 / (4 * (variance + lam(s)))), "thick");
    return { height, svg };
  });
  f.readout((s) => {
    const { mu, variance } = SimAM.statistics(s.values),
      importance = SimAM.importance(s.values, lam(s))[11];
    return `Orange neuron: energy ${f.show("energy", 1 / importance)}, importance ${f.show("importance", importance)}, gain ${f.show("gain", gainOf(11))}. Channel: mean ${f.show("mean", mu, 2)}, standard deviation ${f.show("sd", Math.sqrt(variance), 2)}.`;
  });
  f.predict(
    "The orange neuron moves into the middle of the others. What becomes of their gains?",
    ["they stay", "the outer ones rise"],
    1,
    "All neurons share one mean and one variance. Without its outlier the channel is narrower, so the same distance from the mean counts for more.",
  );
});
