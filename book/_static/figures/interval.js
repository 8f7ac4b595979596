// Does a study decide? The interval of a mean difference over paired seeds.
"use strict";

Figure.define("interval", (f) => {
  const { Plot, fixed } = Figure;
  f.question("How many seeds make a difference believable? Drag the true effect, change the seeds.");
  f.state = { seeds: 3, effect: 0.3, noise: 0.4, draw: 1 };
  let plot;
  const differences = (s) => Array.from(SimAM.normals(1000 + s.draw, s.seeds), (v) => s.effect + s.noise * v);
  const interval = (s) => {
    const { mu, variance } = SimAM.statistics(differences(s));
    const half = SimAM.studentQuantile(0.95, s.seeds - 1) * Math.sqrt(variance / s.seeds);
    return { mu, low: mu - half, high: mu + half, decides: Math.abs(mu) > half };
  };
  // Of 200 studies of this kind, how many decide.
  const power = (s) =>
    Array.from({ length: 200 }, (_, i) => interval({ ...s, draw: 10 + i }).decides).filter(Boolean).length /
    2;
  f.handle({
    label: "true effect, in points of accuracy",
    look: "green",
    plot: () => plot,
    x: [-1, 1.5, 0.05],
    at: () => [f.state.effect, 3],
    to: ({ x }) => (f.state.effect = x),
    text: () => `${fixed(f.state.effect)} points`,
  });
  f.slider("seeds", "seeds", { min: 2, max: 30 });
  f.slider("noise", "std of a difference", { min: 0.1, max: 1, step: 0.05, text: (v) => fixed(v) });
  f.button("Run the study again", (s) => (s.draw += 1));
  f.draw((s, width) => {
    const height = 230,
      { mu, low, high, decides } = interval(s),
      look = decides ? "blue" : "orange";
    plot = new Plot([16, 20, width - 16, height - 44], [-1.5, 2], [0, 4]);
    let svg =
      plot.axes({ xLabel: "difference in accuracy, in points", yTicks: [] }) +
      plot.line(0, 0, 0, 4, "soft thick");
    svg +=
      plot.words(0, 4, "no difference", "soft middle", 0, -5) +
      plot.line(s.effect, 0, s.effect, 4, "green dash") +
      plot.words(
        s.effect,
        3,
        "true effect: drag",
        `green bold ${s.effect > 0.6 ? "end" : ""}`,
        s.effect > 0.6 ? -16 : 16,
        5,
      );
    const within = (v) => v > -1.5 && v < 2; // else outside of the axis
    differences(s)
      .filter(within)
      .forEach((d) => (svg += plot.dot(d, 2, "soft", 4)));
    svg += plot.words(-1.5, 2, "seeds", "soft", 0, 4) + plot.words(-1.5, 1, "95 %", "soft", 0, 4);
    svg +=
      plot.path(
        [
          [Math.max(low, -1.5), 1],
          [Math.min(high, 2), 1],
        ],
        `${look} thick`,
      ) +
      [low, high]
        .filter(within)
        .map((end) => plot.line(end, 0.75, end, 1.25, `${look} thick`))
        .join("");
    svg +=
      (within(mu) ? plot.dot(mu, 1, `${look} solid`, 5) : "") +
      plot.words(
        Figure.clamp(mu, [-0.8, 1.2]),
        1,
        decides ? "decides: zero is outside" : "does not decide: zero is inside",
        `${look} bold middle`,
        0,
        24,
      );
    return { height, svg };
  });
  f.readout((s) => {
    const { mu, low, high } = interval(s);
    return `${s.seeds} seeds: mean difference ${f.show("mean", mu)}, interval [${f.show("low", low)}, ${f.show("high", high)}]. Of 200 such studies ${f.show("power", power(s), 1)} % decide.`;
  });
  f.predict(
    "Three seeds, and an effect as large as the standard deviation of a difference. Does the study usually decide?",
    ["yes", "no"],
    1,
    "With three differences the interval reaches 2.5 standard deviations to each side. Most such studies cannot tell an effect of one from none. Set both to the same number and look at the share that decides.",
  );
});
