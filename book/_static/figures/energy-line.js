// One neuron against the rest: the line of least energy follows the target and the others.
"use strict";

Figure.define("energy-line", (f) => {
  const { Plot, line, fixed } = Figure;
  f.question(
    "How well can a straight line tell one neuron from the rest? Drag the orange target, then the others.",
  );
  f.state = { t: 4, others: [0, 1, 2], exponent: -4 };
  let plot;
  const range = [-3, 7, 0.1];
  const fit = (s) => SimAM.bestLine(s.t, s.others, 10 ** s.exponent);
  const neuron = (label, look, height, get, set) =>
    f.handle({
      label,
      look,
      plot: () => plot,
      x: range,
      at: () => [get(), height],
      to: ({ x }) => set(x),
      text: () => `value ${fixed(get(), 1)}`,
    });
  f.state.others.forEach((_, i) =>
    neuron(
      `other neuron ${i + 1}`,
      "blue",
      -1,
      () => f.state.others[i],
      (x) => (f.state.others[i] = x),
    ),
  );
  neuron(
    "target neuron",
    "orange",
    1,
    () => f.state.t,
    (x) => (f.state.t = x),
  );
  f.slider("exponent", "penalty λ", { min: -6, max: 1, step: 0.5, text: (v) => Figure.powerText(v) });
  f.draw((s, width) => {
    const height = 300,
      wanted = width < 480 ? "" : "wanted of the ",
      { w, b, energy } = fit(s);
    plot = new Plot([44, 26, width - 92, height - 42], [-3, 7], [-2.2, 2.2]);
    const at = (x) => w * x + b;
    let svg = plot.axes({ xLabel: "value of the neuron", yLabel: "what the line says", yTicks: [-1, 0, 1] });
    svg += plot.line(-3, 1, 7, 1, "orange dash") + plot.line(-3, -1, 7, -1, "blue dash");
    svg +=
      plot.words(-3, 1, `${wanted}target: +1`, "orange", 4, -14) +
      plot.words(7, -1, `${wanted}others: −1`, "blue end", -2, 24);
    svg += plot.curve(at, "thick");
    for (const x of s.others)
      svg += plot.path(
        [
          [x, -1],
          [x, at(x)],
        ],
        "blue thick",
      );
    svg += plot.path(
      [
        [s.t, 1],
        [s.t, at(s.t)],
      ],
      "orange thick",
    );
    const gauge = new Plot([width - 50, 26, width - 34, height - 42], [0, 1], [0, 2]);
    svg += Figure.box(gauge.box[0], gauge.box[1], 16, gauge.box[3] - gauge.box[1], "soft", 0);
    svg += Figure.box(gauge.box[0], gauge.y(energy), 16, gauge.box[3] - gauge.y(energy), "green solid", 0.8);
    svg += line(gauge.box[0] - 4, gauge.y(energy), gauge.box[2] + 4, gauge.y(energy), "green thick");
    svg += Figure.words(width - 42, 16, "energy", "green middle bold");
    for (const v of [0, 1, 2]) svg += Figure.words(width - 26, gauge.y(v) + 4, String(v), "soft");
    return { height, svg };
  });
  f.readout((s) => {
    const { w, b, energy } = fit(s);
    return `Line: w = ${f.show("w", w)}, b = ${f.show("b", b)}. Least energy ${f.show("energy", energy)}, importance 1/energy = ${f.show("importance", 1 / energy)}, gain ${f.show("gain", SimAM.sigmoid(1 / energy))}.`;
  });
  f.predict(
    "The target moves to 1, into the middle of the others. What becomes of its least energy?",
    ["it falls to 0", "it rises to 2"],
    1,
    "No line can say +1 and −1 at the same place. The best one is flat, at 0: it misses the target by 1 and each other by 1, and 1 + 1 = 2 is the most that a least energy can be. The gain is then at its floor, 0.622.",
  );
});
