// The importance of a neuron is an old test for outliers in another form: Grubbs' statistic, squared.
"use strict";

Figure.define("outlier", (f) => {
  const { Plot, fixed, power } = Figure;
  f.question("How far out is too far? Drag the orange point until the test rejects it.");
  f.state = { x: 3.2, others: [-1.6, -1.1, -0.7, -0.4, -0.2, 0.1, 0.3, 0.5, 0.8, 1.2, 1.7] };
  let line;
  const M = 12;
  // |z| within Student's t with M - 2 degrees of freedom; the whole channel is looked through, hence M p-values.
  const test = (x, s = f.state) => {
    const { mu, variance } = SimAM.statistics([...s.others, x]),
      z = Math.abs(x - mu) / Math.sqrt(variance);
    const t = z * Math.sqrt((M * (M - 2)) / ((M - 1) ** 2 - M * z * z));
    return { z, importance: 0.5 + (z * z) / 4, p: Math.min(1, M * (1 - SimAM.studentWithin(t, M - 2))) };
  };
  const limit = (M - 1) / Math.sqrt(M),
    cut = SimAM.studentQuantile(1 - 0.05 / M, M - 2);
  const critical = (limit * cut) / Math.sqrt(M - 2 + cut * cut); // Grubbs' critical value, 5 %
  f.handle({
    label: "one neuron",
    plot: () => line,
    x: [-8, 12, 0.1],
    at: () => [f.state.x, 0.5],
    to: ({ x }) => (f.state.x = x),
    reach: 1e3,
    text: () => `${fixed(f.state.x, 1)}, z ${fixed(test(f.state.x).z)}`,
  });
  f.draw((s, width) => {
    const height = 330,
      here = test(s.x);
    line = new Plot([44, 12, width - 14, 50], [-8, 12], [0, 1]);
    let svg = line.axes({ yTicks: [] }) + s.others.map((x) => line.dot(x, 0.5, "blue", 5)).join("");
    const chart = new Plot([44, 104, width - 14, height - 44], [-8, 12], [0, 3.6]);
    svg += chart.axes({
      xLabel: "value of the orange neuron",
      yLabel: "its distance |z|",
      yTicks: [0, 1, 2, 3],
    });
    svg +=
      chart.line(-8, limit, 12, limit, "soft dash") +
      chart.words(-8, limit, `no neuron of 12 can pass ${fixed(limit)}`, "soft", 4, -5);
    svg +=
      chart.line(-8, critical, 12, critical, "green thick") +
      chart.words(0, critical, `outlier: ${fixed(critical)}`, "green bold middle", 0, -6);
    svg +=
      chart.curve((x) => test(x).z, "blue thick") +
      chart.line(s.x, 0, s.x, here.z, "orange dash") +
      chart.dot(s.x, here.z, "orange solid", 6);
    return { height, svg };
  });
  f.readout((s) => {
    const { z, importance, p } = test(s.x);
    return `|z| = ${f.show("z", z)}, critical value ${f.show("critical", critical)}, p at most <b data-value="p">${power(p, 2)}</b>: ${p < 0.05 ? "an outlier" : "no outlier"} at 5 %. Importance ${f.show("importance", importance)}, gain ${f.show("gain", SimAM.sigmoid(importance))}.`;
  });
  f.predict(
    "The point is dragged ten times as far. How large can |z| become?",
    ["as large as you like", "not above a limit"],
    1,
    "The point carries the mean and the standard deviation with it. For M neurons |z| ends at (M − 1)/√M, here 3.18.",
  );
});
