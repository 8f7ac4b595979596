// The energy over weight and bias is a bowl with one lowest point, Eqs. (3) and (4).
"use strict";

Figure.define("bowl", (f) => {
  const { Plot, fixed } = Figure;
  const t = 4,
    others = [0, 1, 2];
  f.question("Which line has the least energy? Drag the orange point to the bottom of the bowl.");
  f.state = { w: 0.2, b: 0.4, exponent: -4 };
  let bowl;
  const lam = (s) => 10 ** s.exponent;
  f.handle({
    label: "weight and bias",
    plot: () => bowl,
    x: [-0.6, 1.6, 0.02],
    y: [-3, 1.2, 0.02],
    reach: 1e3,
    at: () => [f.state.w, f.state.b],
    to: ({ x, y }) => Object.assign(f.state, { w: x, b: y }),
    text: () =>
      `weight ${fixed(f.state.w)}, bias ${fixed(f.state.b)}, energy ${fixed(SimAM.energy(f.state.w, f.state.b, t, others, lam(f.state)))}`,
  });
  f.slider("exponent", "penalty λ", { min: -4, max: 1, step: 0.5, text: (v) => Figure.powerText(v) });
  f.draw((s, width) => {
    const narrow = width < 520,
      half = narrow ? width : width / 2 - 12,
      height = narrow ? 560 : 300;
    bowl = new Plot([44, 26, half - 10, 258], [-0.6, 1.6], [-3, 1.2]);
    const fit = SimAM.bestLine(t, others, lam(s)),
      curve = SimAM.curvature(t, others, lam(s));
    let svg = bowl.axes({ xLabel: "weight w", yLabel: "bias b", yTicks: [-3, -2, -1, 0, 1] });
    svg += bowl.levels(fit, curve, [0.05, 0.25, 0.75, 1.5, 3, 6, 12, 20]);
    svg +=
      bowl.line(fit.w - 0.05, fit.b, fit.w + 0.05, fit.b, "green thick") +
      bowl.line(fit.w, fit.b - 0.1, fit.w, fit.b + 0.1, "green thick");
    svg += bowl.words(fit.w, fit.b, `least: ${fixed(fit.energy, 3)}`, "green bold", 10, -8);
    const left = narrow ? 44 : width / 2 + 44,
      top = narrow ? 306 : 26;
    const chart = new Plot([left, top, width - 10, top + 212], [-1, 5], [-2.4, 2.4]);
    const at = (x) => s.w * x + s.b;
    svg += chart.axes({ xLabel: "value of the neuron", yLabel: "w x + b", yTicks: [-1, 0, 1] });
    svg += chart.line(-1, 1, 5, 1, "orange dash") + chart.line(-1, -1, 5, -1, "blue dash");
    svg += chart.curve((x) => fit.w * x + fit.b, "green dash") + chart.curve(at, "thick");
    for (const x of others)
      svg +=
        chart.path(
          [
            [x, -1],
            [x, at(x)],
          ],
          "blue thick",
        ) + chart.dot(x, -1, "blue solid", 5);
    svg +=
      chart.path(
        [
          [t, 1],
          [t, at(t)],
        ],
        "orange thick",
      ) + chart.dot(t, 1, "orange solid", 5);
    return { height, svg };
  });
  f.readout((s) => {
    const here = SimAM.energy(s.w, s.b, t, others, lam(s)),
      least = SimAM.bestLine(t, others, lam(s)).energy;
    return `Energy here ${f.show("energy", here)}, least energy ${f.show("least", least)}: ${f.show("excess", here - least)} too much. Others 0, 1, 2; target 4.`;
  });
});
