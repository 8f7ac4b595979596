// Bars of one value around an image are neurons too: they move the mean and the variance of its real ones.
"use strict";

Figure.define("letterbox", (f) => {
  const { Plot, fixed } = Figure;
  const side = 16,
    M = side * side;
  f.question("How do gray bars change the gain of a pixel that they do not touch? Drag it, widen the bars.");
  f.state = { z: 2.5, share: 0.25, bar: 0 };
  let chart;
  // The real pixels have mean 0 and variance 1 among themselves; the share has the value `bar`.
  const squared = (z, { share, bar }) =>
    (z - share * bar) ** 2 / ((1 - share) * (1 + share * bar * bar));
  const gains = (s, z = s.z) => ({
    masked: SimAM.sigmoid(0.5 + (z * z) / 4),
    plain: SimAM.sigmoid(0.5 + squared(z, s) / 4),
    border: SimAM.sigmoid(0.5 + squared(s.bar, s) / 4),
  });
  const values = SimAM.normals(5, M);
  f.handle({
    label: "the pixel's z among the real pixels",
    plot: () => chart,
    x: [-4, 4, 0.1],
    at: () => [f.state.z, gains(f.state).plain],
    to: ({ x }) => (f.state.z = x),
    reach: 1e3,
    text: () =>
      `${fixed(f.state.z, 1)}, gain ${fixed(gains(f.state).plain, 3)} without the mask, ${fixed(gains(f.state).masked, 3)} with it`,
  });
  f.slider("share", "share of the bars", {
    min: 0,
    max: 0.75,
    step: 0.125, // two rows of the maps
    text: (v) => `${fixed(100 * v, 1)} %`,
  });
  f.slider("bar", "value of the bars", {
    min: -4,
    max: 4,
    step: 0.5,
    text: (v) => fixed(v, 1),
    note: "in standard deviations from the mean of the real pixels",
  });
  f.draw((s, width) => {
    const narrow = width < 520,
      size = narrow ? 6.75 : 9.75,
      high = Math.round((side * s.share) / 2);
    const colored = Array.from(values, (value, i) => {
      const row = Math.floor(i / side);
      return row < high || row >= side - high ? gains(s).border : gains(s, value).plain;
    });
    const exact = Array.from(values, (value, i) => {
      const row = Math.floor(i / side);
      return row < high || row >= side - high ? 0.6 : gains(s, value).masked;
    });
    const second = narrow ? size * side + 28 : 0,
      below = narrow ? 0 : size * side + 34;
    let svg =
      Figure.words(0, 14, narrow ? "without mask" : "gains without a mask", "orange bold") +
      Figure.map(colored, side, 0, 22, size, { look: "orange", low: 0.6, high: 1 });
    svg +=
      Figure.words(second, below + 14, narrow ? "with mask" : "gains with the mask", "blue bold") +
      Figure.map(exact, side, second, below + 22, size, { look: "blue", low: 0.6, high: 1 });
    const left = narrow ? 44 : 226,
      top = narrow ? size * side + 66 : 30,
      bottom = top + (narrow ? 210 : 290);
    chart = new Plot([left, top, width - 14, bottom], [-4, 4], [0.6, 1]);
    svg += chart.axes({ xLabel: "z of the pixel among the real pixels", yLabel: "gain" });
    svg += chart.curve((z) => gains(s, z).masked, "blue thick");
    svg += chart.curve((z) => gains(s, z).plain, "orange thick");
    svg += chart.line(s.z, 0.6, s.z, 1, "soft dash") + chart.dot(s.z, gains(s).masked, "blue solid", 6);
    svg += chart.line(s.bar, 0.6, s.bar, gains(s).border, "green dash");
    svg += chart.dot(s.bar, gains(s).border, "green solid", 6);
    svg += chart.words(
      s.bar,
      0.6,
      "bars",
      `green bold ${s.bar > 2 ? "end" : ""}`,
      s.bar > 2 ? -8 : 8,
      -8,
    );
    return { height: bottom + 44, svg };
  });
  f.readout((s) => {
    const { masked, plain, border } = gains(s);
    return `A pixel at z = ${fixed(s.z, 1)}: gain ${f.show("masked", masked)} with the mask, ${f.show("plain", plain)} without it; a pixel of the bars: ${f.show("border", border)}.`;
  });
  f.predict(
    "Half of the map is bars that have the mean of the picture, so that the mean stays. A pixel at z = 2 has the gain 0.818 in the picture alone. With the bars it has",
    ["0.818 as well", "0.924"],
    1,
    "The bars leave the mean and take away variance: half of the neurons have none. The same distance then counts twice in the squared z.",
  );
});
