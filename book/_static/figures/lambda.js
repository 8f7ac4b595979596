// The penalty is a switch with a scale: it is compared with the variance of the channel.
"use strict";

Figure.define("lambda", (f) => {
  const { Plot, fixed, powerText } = Figure;
  f.question("When does the penalty turn SimAM off? Drag λ toward the variance and past it.");
  f.state = { lambda: -4, variance: 0 };
  let chart;
  const share = (s, lambda = s.lambda) => 1 / (1 + 10 ** (lambda - s.variance)); // sigma^2 / (sigma^2 + lambda)
  const gainAt = (z, part) => SimAM.sigmoid(0.5 + (z * z * part) / 4);
  f.handle({
    label: "penalty lambda, as a power of ten",
    plot: () => chart,
    x: [-6, 3, 0.1],
    at: () => [f.state.lambda, gainAt(2, share(f.state))],
    to: ({ x }) => (f.state.lambda = x),
    reach: 1e3,
    text: () =>
      `ten to the ${fixed(f.state.lambda, 1)}, gain of a neuron two standard deviations away ${fixed(gainAt(2, share(f.state)), 3)}`,
  });
  f.slider("variance", "variance σ²", { min: -6, max: 3, step: 0.1, text: (v) => Figure.power(10 ** v, 1) });
  f.draw((s, width) => {
    const narrow = width < 520,
      half = narrow ? width : width / 2 - 10,
      height = narrow ? 572 : 290,
      floor = SimAM.sigmoid(0.5);
    const curve = new Plot([44, 26, half - 12, 246], [-5, 5], [0.58, 1]);
    let svg = curve.axes({
      xLabel: "z, in standard deviations",
      yLabel: "gain",
      yTicks: [0.6, 0.7, 0.8, 0.9, 1],
      xTicks: [-4, -2, 0, 2, 4],
    });
    svg +=
      curve.curve((z) => gainAt(z, 1), "soft dash") +
      curve.line(-5, floor, 5, floor, "green dash") +
      curve.curve((z) => gainAt(z, share(s)), "blue thick");
    svg +=
      curve.words(0, floor, "floor 0.6225: off", "green middle small", 0, 14) +
      curve.words(-2.6, 0.96, "no penalty", "soft small", 6, 0);
    svg += curve.dot(2, gainAt(2, share(s)), "orange solid", 6);
    const left = narrow ? 44 : width / 2 + 42,
      top = narrow ? 312 : 26;
    chart = new Plot([left, top, width - 14, top + 220], [-6, 3], [0.58, 1]);
    svg += chart.axes({
      xLabel: "penalty λ: drag",
      yLabel: "gain at z = 2",
      yTicks: [0.6, 0.7, 0.8, 0.9, 1],
      xTicks: [-6, -4, -2, 0, 2],
      xText: powerText,
    });
    svg +=
      chart.line(s.variance, 0.58, s.variance, 1, "green dash") +
      chart.words(s.variance, 1, "λ = σ²", `green bold ${s.variance > 1.5 ? "end" : "middle"}`, 0, -6);
    svg += chart.curve((v) => gainAt(2, share(s, v)), "blue thick");
    return { height, svg };
  });
  f.readout(
    (s) =>
      `λ = <b data-value="lambda">${Figure.power(10 ** s.lambda)}</b>, σ² = <b data-value="variance">${Figure.power(10 ** s.variance)}</b>. Of the squared distance ${f.show("percent", 100 * share(s), 1)} % are left; gain at z = 2: ${f.show("gain", gainAt(2, share(s)))}.`,
  );
  f.predict(
    "The paper's λ is 10⁻⁴. All values of a channel with variance 1 are divided by 1000. Is SimAM still at work?",
    ["yes, z is the same", "no, hardly"],
    1,
    "z is the same, but the variance is now 10⁻⁶ and λ a hundred times larger. Only a hundredth of z² is left, and all gains lie near the floor.",
  );
});
