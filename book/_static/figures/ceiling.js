// On a small map a neuron is a large part of its own mean and variance: with shared statistics there is a ceiling.
"use strict";

Figure.define("ceiling", (f) => {
  const { Plot, fixed } = Figure;
  f.question("How far can one neuron stand out on a small map? Change its side.");
  f.state = { side: 4, u: 4 };
  let plot;
  // M - 1 others with mean 0 and variance 1, and a target at u. `population` divides by M or M - 1.
  const curves = {
    leave_one_out: (u) => SimAM.sigmoid(0.5 + (u * u) / 4),
    population: (u, M) => SimAM.sigmoid(0.5 + (((M - 1) / M) * u * u) / (4 * (1 + (u * u) / M))),
    shared: (u, M) => SimAM.sigmoid(0.5 + (((M - 1) / M) ** 2 * u * u) / (4 * (1 + (u * u) / M))),
  };
  const ceiling = {
    shared: (M) => SimAM.sigmoid(0.5 + (M - 1) ** 2 / (4 * M)),
    population: (M) => SimAM.sigmoid(0.5 + (M - 1) / 4),
  };
  const look = { leave_one_out: "green", population: "orange", shared: "blue" };
  const M = (s) => s.side * s.side;
  f.handle({
    label: "distance of the target from the others",
    look: "blue",
    plot: () => plot,
    x: [0, 12, 0.1],
    at: () => [f.state.u, curves.shared(f.state.u, M(f.state))],
    to: ({ x }) => (f.state.u = x),
    reach: 1e3,
    text: () =>
      `${fixed(f.state.u, 1)} standard deviations, gain ${fixed(curves.shared(f.state.u, M(f.state)), 3)}`,
  });
  f.slider("side", "side of the map", { min: 2, max: 32, text: (v) => `${v} × ${v}` });
  f.draw((s, width) => {
    const height = 310;
    plot = new Plot([44, 26, width - 14, height - 44], [0, 12], [0.6, 1.005]);
    let svg = plot.axes({
      xLabel: "target's distance, in deviations of the others",
      yLabel: "gain",
      yTicks: [0.6, 0.7, 0.8, 0.9, 1],
      xTicks: [0, 2, 4, 6, 8, 10, 12],
    });
    svg += plot.line(0, ceiling.shared(M(s)), 12, ceiling.shared(M(s)), "blue dash");
    svg += plot.line(0, ceiling.population(M(s)), 12, ceiling.population(M(s)), "orange dash");
    for (const name of ["leave_one_out", "population", "shared"]) {
      svg +=
        plot.curve((u) => curves[name](u, M(s)), `${look[name]} thick`) +
        plot.dot(s.u, curves[name](s.u, M(s)), `${look[name]} solid`, 5);
    }
    const named = [
      ["leave one out, exact: no ceiling", "green"],
      [`population, 1/M: below ${Number(ceiling.population(M(s)).toFixed(4))}`, "orange"],
      [`shared, 1/(M − 1): below ${Number(ceiling.shared(M(s)).toFixed(4))}`, "blue"],
    ];
    named.forEach(
      ([text, color], i) =>
        (svg += Figure.words(width - 16, height - 100 + 18 * i, text, `${color} bold end`)),
    );
    return { height, svg };
  });
  f.readout(
    (s) =>
      `${M(s)} neurons, target at ${fixed(s.u, 1)}: gain ${f.show("shared", curves.shared(s.u, M(s)))} shared, ${f.show("population", curves.population(s.u, M(s)))} population, ${f.show("leave_one_out", curves.leave_one_out(s.u))} leave one out. Ceilings: ${f.show("ceiling", ceiling.shared(M(s)), 4)} and ${f.show("ceiling_population", ceiling.population(M(s)), 4)}.`,
  );
  f.predict(
    "A map of 2 × 2, and one neuron a million times larger than the three others. Can its gain reach 0.9?",
    ["yes", "no"],
    1,
    "The neuron moves the mean toward itself and widens the variance. With four neurons the importance ends at 1/2 + 9/16, which is a gain of 0.743. Leaving the neuron out has no such end.",
  );
});
