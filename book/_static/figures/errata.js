// What each misprint of the paper would do to the formula, beside the right one.
"use strict";

Figure.define("errata", (f) => {
  const { Plot, fixed } = Figure;
  const others = [0, 1, 2],
    lam = 1e-4,
    M = 4;
  f.question("Which misprint matters? Choose one, and drag the target along the curve.");
  f.state = { which: "sign", t: 4 };
  const own = (t, choice) => SimAM.importance([...others, t], lam, choice)[3];
  const energyPrinted = (t) => {
    const { w, mu } = SimAM.bestLine(t, others, lam),
      wrong = -w,
      b = (-(t + mu) / 2) * wrong;
    return SimAM.energy(wrong, b, t, others, lam);
  };
  const choices = {
    sign: {
      name: "the sign of Eq. (3)",
      right: (t) => 1 / SimAM.bestLine(t, others, lam).energy,
      printed: (t) => 1 / energyPrinted(t),
      says: "with the printed line the best separated neuron comes out last",
    },
    divisor: {
      name: "1/M for 1/(M − 1)",
      right: (t) => own(t, "shared"),
      printed: (t) => own(t, "population"),
      says: "a little more gain, less so on larger maps; the code is right",
    },
    shared: {
      name: "one mean for all",
      right: (t) => own(t, "leave_one_out"),
      printed: (t) => own(t, "shared"),
      says: "less gain for what stands out; the order of neurons stays",
    },
    labels: {
      name: "the labels swapped",
      right: (t) => 1 / SimAM.bestLine(t, others, lam).energy,
      printed: (t) => {
        const { w, b } = SimAM.bestLine(t, others, lam);
        return 1 / swapped(-w, -b, t);
      },
      says: "nothing: the line turns over, the energy stays",
    },
  };
  function swapped(w, b, t) {
    return SimAM.mean(others.map((x) => (1 - (w * x + b)) ** 2)) + (-1 - (w * t + b)) ** 2 + lam * w * w;
  }
  let plot;
  const pair = (s, t = s.t) => [
    SimAM.sigmoid(choices[s.which].right(t)),
    SimAM.sigmoid(choices[s.which].printed(t)),
  ];
  f.handle({
    label: "target",
    plot: () => plot,
    x: [-4, 6, 0.1],
    at: () => [f.state.t, pair(f.state)[1]],
    to: ({ x }) => (f.state.t = x),
    reach: 1e3,
    text: () =>
      `${fixed(f.state.t, 1)}, gain ${fixed(pair(f.state)[0], 3)} right, ${fixed(pair(f.state)[1], 3)} as printed`,
  });
  f.choice(
    "which",
    "as printed",
    Object.entries(choices).map(([key, { name }]) => [key, name]),
  );
  f.draw((s, width) => {
    const height = 290;
    plot = new Plot([44, 26, width - 14, height - 44], [-4, 6], [0.48, 1.02]);
    let svg = plot.axes({
      xLabel: "value of the target; the others are 0, 1, 2",
      yLabel: "gain",
      yTicks: [0.5, 0.6, 0.7, 0.8, 0.9, 1],
    });
    for (const x of others) svg += plot.dot(x, 0.5, "soft", 4);
    svg +=
      plot.curve((t) => pair(s, t)[0], "blue thick") + plot.curve((t) => pair(s, t)[1], "orange thick dash");
    svg +=
      plot.words(-4, 0.56, "right", "blue bold", 6, -18) +
      plot.words(-4, 0.56, "as printed", "orange bold", 6, 0);
    return { height, svg: svg + plot.dot(s.t, pair(s)[0], "blue solid", 5) };
  });
  f.readout(
    (s) =>
      `Target ${fixed(s.t, 1)}: gain ${f.show("right", pair(s)[0])} right, ${f.show("printed", pair(s)[1])} as printed. Effect: ${choices[s.which].says}.`,
  );
  f.predict(
    "Eq. (3) is printed with a minus sign too many. Do the results of the paper depend on it?",
    ["yes", "no"],
    1,
    "The code never computes the line. It uses the least energy of Eq. (5), which is right.",
  );
});
