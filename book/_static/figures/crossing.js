// An object on a background of another value: which of the two is important depends on its size alone.
"use strict";

Figure.define("crossing", (f) => {
  const { Plot, fixed } = Figure;
  const side = 8,
    M = side * side;
  // Cells by their distance from the middle, so that the object grows as a disk.
  const order = Array.from({ length: M }, (_, i) => i).sort((a, b) => far(a) - far(b) || a - b);
  function far(i) {
    return Math.hypot((i % side) - 3.4, Math.floor(i / side) - 3.45);
  }
  const channel = (k) => {
    const x = new Float64Array(M);
    for (const i of order.slice(0, k)) x[i] = 1;
    return x;
  };
  const both = (k) => {
    const gains = SimAM.gain(channel(k), 1e-4);
    return [gains[order[0]], gains[order[M - 1]]];
  };
  f.question("How large may an object be before SimAM favors the background? Drag its size.");
  f.state = { k: 12 };
  let chart;
  f.handle({
    label: "size of the object, in neurons",
    plot: () => chart,
    x: [1, M - 1, 1],
    at: () => [f.state.k, both(f.state.k)[0]],
    to: ({ x }) => (f.state.k = x),
    reach: 1e3,
    text: () =>
      `${f.state.k} of ${M}, gain of the object ${fixed(both(f.state.k)[0], 3)}, of the background ${fixed(both(f.state.k)[1], 3)}`,
  });
  f.draw((s, width) => {
    const narrow = width < 520,
      size = narrow ? Math.floor((width - 30) / 2 / side) : 15;
    const x = channel(s.k),
      gains = SimAM.gain(x, 1e-4),
      second = narrow ? size * side + 24 : 0,
      below = narrow ? 0 : size * side + 32;
    let svg =
      Figure.words(0, 14, "the channel", "soft") +
      Figure.map(x, side, 0, 22, size, { look: "blue", high: 1.6 });
    svg +=
      Figure.words(second, below + 14, "its gains", "soft") +
      Figure.map(gains, side, second, below + 22, size, { look: "orange", low: 0.6, high: 1 });
    const left = narrow ? 44 : 190,
      top = narrow ? size * side + 66 : 30;
    chart = new Plot([left, top, width - 14, narrow ? top + 210 : 250], [0, M], [0.6, 1]);
    svg += chart.axes({
      xLabel: `neurons of the object, of ${M}`,
      yLabel: "gain",
      xTicks: [0, 16, 32, 48, 64],
    });
    svg +=
      chart.line(M / 2, 0.6, M / 2, 1, "green dash") +
      chart.words(M / 2, 1, "half of the map", "green bold middle", 0, -6);
    const sizes = Array.from({ length: M - 1 }, (_, i) => i + 1);
    svg +=
      chart.path(
        sizes.map((k) => [k, both(k)[0]]),
        "blue thick",
      ) +
      chart.path(
        sizes.map((k) => [k, both(k)[1]]),
        "soft thick",
      );
    svg +=
      chart.words(5, 0.93, "object", "blue bold", 6, 0) +
      chart.words(M - 5, 0.93, "background", "soft bold end", -6, 0);
    svg += chart.dot(s.k, both(s.k)[1], "soft solid", 5);
    return { height: narrow ? top + 255 : 292, svg };
  });
  f.readout(
    (s) =>
      `${s.k} of ${M} neurons: gain of the object ${f.show("object", both(s.k)[0])}, of the background ${f.show("background", both(s.k)[1])}.`,
  );
  f.predict(
    "The bright object covers three quarters of the map. Which has the larger gain?",
    ["the bright object", "the dark background"],
    1,
    "SimAM knows no bright and dark. What is rarer is farther from the mean, and the two gains cross where each has half of the neurons.",
  );
});
