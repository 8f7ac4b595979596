// Surround suppression and divisive normalization: the response to a center is divided by what is around it.
"use strict";

Figure.define("surround", (f) => {
  const { Plot, fixed } = Figure;
  f.question(
    "The center stays as it is. What does its surround do to the response? Drag the contrast of the surround.",
  );
  f.state = { center: 0.5, surround: 0.3, s: 0.2 };
  // Heeger's form: the drive squared over the semi-saturation squared and the pool of both contrasts.
  const response = (c, around, s) => (c * c) / (s * s + c * c + 2 * around * around);
  let chart;
  f.handle({
    label: "contrast of the surround",
    plot: () => chart,
    x: [0, 1, 0.01],
    at: () => [f.state.surround, response(f.state.center, f.state.surround, f.state.s)],
    to: ({ x }) => (f.state.surround = x),
    reach: 1e3,
    text: () =>
      `${fixed(f.state.surround)}, response ${fixed(response(f.state.center, f.state.surround, f.state.s), 3)}`,
  });
  f.slider("center", "contrast of the center", { min: 0.05, max: 1, step: 0.05, text: (v) => fixed(v) });
  f.slider("s", "semi-saturation s", { min: 0.05, max: 1, step: 0.05, text: (v) => fixed(v) });
  f.draw((s, width) => {
    const narrow = width < 480,
      radius = narrow ? 84 : 100,
      cx = narrow ? width / 2 : 108,
      cy = 120;
    // A grating in a disk: stripes whose strength is the contrast.
    const grating = (r, contrast, id) => {
      let stripes = "";
      for (let x = -r; x < r; x += 16)
        stripes += Figure.box(cx + x, cy - r, 8, 2 * r, "solid", contrast * 0.9);
      return (
        `<clipPath id="${f.root.id}-${id}"><circle cx="${cx}" cy="${cy}" r="${r}"/></clipPath><g clip-path="url(#${f.root.id}-${id})">` +
        Figure.box(cx - r, cy - r, 2 * r, 2 * r, "cell") +
        stripes +
        "</g>"
      );
    };
    let svg =
      grating(radius, s.surround, "around") +
      `<circle cx="${cx}" cy="${cy}" r="42" class="paper solid"/>` +
      grating(38, s.center, "center");
    const left = narrow ? 44 : 268,
      top = narrow ? 258 : 26;
    chart = new Plot([left, top, width - 14, top + 200], [0, 1], [0, 1]);
    svg += chart.axes({
      xLabel: "contrast of the surround: drag",
      yLabel: "response to the center",
      xTicks: [0, 0.25, 0.5, 0.75, 1],
      yTicks: [0, 0.5, 1],
    });
    svg +=
      chart.curve((around) => response(s.center, around, s.s), "blue thick") +
      chart.line(0, response(s.center, 0, s.s), 1, response(s.center, 0, s.s), "green dash");
    svg += chart.words(1, response(s.center, 0, s.s), "without a surround", "green end", 0, -6);
    return { height: top + 242, svg };
  });
  f.readout(
    (s) =>
      `Response ${f.show("response", response(s.center, s.surround, s.s))}, without a surround ${f.show("alone", response(s.center, 0, s.s))}: suppressed by ${f.show("percent", 100 * (1 - response(s.center, s.surround, s.s) / response(s.center, 0, s.s)), 1)} %. SimAM divides likewise, (t − μ)² by σ² + λ: λ is the semi-saturation, squared.`,
  );
  f.predict(
    "The surround gets a higher contrast, the center stays. What does a neuron that looks at the center do?",
    ["it responds more", "it responds less"],
    1,
    "The response is divided by the activity around it. What resembles its surround is turned down, and so what differs stands out.",
  );
});
