// Gradient descent on the energy: the step decides whether it arrives, creeps or leaves.
"use strict";

Figure.define("step-size", (f) => {
  const { Plot, fixed } = Figure;
  const t = 4,
    others = [0, 1, 2],
    lam = 1e-4,
    steps = 60;
  const fit = SimAM.bestLine(t, others, lam),
    curve = SimAM.curvature(t, others, lam);
  const bound = 2 / curve.largest,
    best = 2 / (curve.largest + curve.smallest);
  f.question("How large may a step be? Move the step past the orange mark and back.");
  f.state = { step: 0.02 };
  const descend = (step) => {
    const path = [[-0.2, 0.6]];
    for (let i = 0; i < steps; i += 1) {
      const [w, b] = path.at(-1),
        [dw, db] = SimAM.slope(w, b, t, others, lam);
      path.push([w - step * dw, b - step * db]);
    }
    return path;
  };
  const excess = ([w, b]) => SimAM.energy(w, b, t, others, lam) - fit.energy;
  let scale;
  f.handle({
    label: "size of the step",
    plot: () => scale,
    x: [0.001, 0.06, 0.0005],
    at: () => [f.state.step, 0.5],
    to: ({ x }) => (f.state.step = x),
    reach: 1e3,
    text: () =>
      `${fixed(f.state.step, 4)}, ${f.state.step < bound ? "below" : "above"} the bound of ${fixed(bound, 4)}`,
  });
  f.draw((s, width) => {
    const narrow = width < 520,
      half = narrow ? width : width / 2 - 12,
      height = narrow ? 640 : 380;
    const path = descend(s.step),
      bowl = new Plot([44, 26, half - 10, 240], [-0.6, 1.6], [-3, 1.2]);
    let svg = bowl.axes({ xLabel: "weight w", yLabel: "bias b", yTicks: [-3, -2, -1, 0, 1] });
    svg += bowl.levels(fit, curve, [0.05, 0.25, 0.75, 1.5, 3, 6, 12, 20]);
    svg +=
      bowl.path(path, "orange") +
      path
        .map(([w, b]) =>
          Math.abs(w) < 1.6 && b > -3 && b < 1.2 && w > -0.6 ? bowl.dot(w, b, "orange solid", 3) : "",
        )
        .join("");
    svg +=
      bowl.dot(fit.w, fit.b, "green thick", 6) +
      bowl.words(fit.w, fit.b, "least energy", "green bold", 10, -10);
    const left = narrow ? 44 : width / 2 + 44,
      top = narrow ? 296 : 26;
    const chart = new Plot([left, top, width - 16, top + 214], [0, steps], [-8, 4]);
    svg += chart.axes({
      xLabel: "steps",
      yLabel: "energy above the least",
      yTicks: [-8, -4, 0, 4],
      yText: Figure.powerText,
    });
    svg += chart.path(
      path.map((p, i) => [i, Math.log10(Math.max(excess(p), 1e-20))]),
      "orange thick",
    );
    scale = new Plot([44, height - 66, width - 14, height - 40], [0, 0.06], [0, 1]);
    svg += Figure.box(scale.x(bound), scale.box[1], scale.box[2] - scale.x(bound), 26, "orange solid", 0.15);
    svg += scale.axes({ xLabel: "size of the step: drag", yTicks: [], xTicks: [0, 0.02, 0.04, 0.06] });
    svg +=
      scale.line(bound, 0, bound, 1.1, "orange thick") +
      scale.words(bound, 1, "2 / L: too large from here", "orange bold end", 40, -9);
    svg += scale.line(best, 0, best, 1, "green thick");
    return { height, svg };
  });
  f.readout((s) => {
    const verdict =
      s.step >= bound
        ? "It leaves"
        : s.step < best
          ? "It creeps along the valley"
          : "It arrives, from side to side";
    return `${verdict}. Step ${f.show("step", s.step, 4)}, bound 2/L = ${f.show("bound", bound, 4)}, best step (green) 2/(L + ℓ) = ${f.show("best", best, 4)}; after ${steps} steps the energy is <b data-value="excess">${Figure.power(excess(descend(s.step).at(-1)), 2)}</b> too large.`;
  });
  f.predict(
    "Which step arrives sooner?",
    ["half of the bound", "the green mark, a little below the bound"],
    1,
    "The best step, 2/(L + ℓ), with ℓ the least curvature, stands close under the bound whenever the bowl is long and narrow: the steps along the valley are the slow ones. Still closer to the bound it swings across the valley for long.",
  );
});
