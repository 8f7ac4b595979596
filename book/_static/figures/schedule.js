// The learning rate of one cycle: up over the warm-up, down to zero over the rest, whatever the number of epochs.
"use strict";

Figure.define("schedule", (f) => {
  const { Plot, fixed } = Figure;
  const images = 50000,
    batch = 64, // of the recipe "budget"
    perEpoch = Math.ceil(images / batch);
  f.question("What does a longer training change? Drag the peak, then change the epochs.");
  f.state = { epochs: 10, warmup: 0.2, peak: 0.15, at: 0.5 };
  let plot;
  const rate = (s, share) => {
    const [x, y] = [
        [0, s.warmup, 1],
        [s.peak / 25, s.peak, 0],
      ],
      k = share < x[1] ? 0 : 1;
    return y[k] + ((share - x[k]) / (x[k + 1] - x[k])) * (y[k + 1] - y[k]);
  };
  f.handle({
    label: "peak of the learning rate",
    plot: () => plot,
    x: [0.05, 0.95, 0.01],
    y: [0.01, 0.5, 0.01],
    at: () => [f.state.warmup, f.state.peak],
    to: ({ x, y }) => Object.assign(f.state, { warmup: x, peak: y }),
    text: () => `rate ${fixed(f.state.peak)} after ${fixed(100 * f.state.warmup, 0)} percent of the steps`,
  });
  f.slider("epochs", "epochs", { min: 1, max: 164 });
  f.slider("at", "place in the run", { min: 0, max: 1, step: 0.01, text: (v) => `${fixed(100 * v, 0)} %` });
  f.draw((s, width) => {
    const height = 280,
      steps = s.epochs * perEpoch;
    plot = new Plot([48, 26, width - 24, height - 44], [0, 1], [0, 0.5]);
    let svg = plot.axes({
      xLabel: "step",
      yLabel: "learning rate",
      xTicks: [0, 0.25, 0.5, 0.75, 1],
      xText: (v) => String(Math.round(v * steps)),
    });
    svg +=
      Figure.box(plot.x(0), 26, plot.x(s.warmup) - plot.x(0), height - 70, "orange solid", 0.12) +
      plot.words(0, 0.5, "warm-up", "orange", 6, 16);
    svg +=
      plot.path(
        [
          [0, s.peak / 25],
          [s.warmup, s.peak],
          [1, 0],
        ],
        "blue thick",
      ) +
      plot.line(s.at, 0, s.at, rate(s, s.at), "green dash") +
      plot.dot(s.at, rate(s, s.at), "green solid", 5);
    return { height, svg };
  });
  f.readout((s) => {
    const steps = s.epochs * perEpoch,
      step = Math.round(s.at * steps);
    return `${s.epochs} epochs of 50,000 images, batches of 64 (the recipe budget): ${f.show("steps", steps, 0)} steps, ${f.show("images", s.epochs * 0.05, 2)} million images seen. At step ${f.show("step", step, 0)} the rate is ${f.show("rate", rate(s, step / steps), 4)}.`;
  });
  f.predict(
    "Twice as many epochs with the same recipe. How many steps does the warm-up take?",
    ["as many as before", "twice as many"],
    1,
    "The warm-up is a share of all steps, so the curve keeps its form and is only stretched.",
  );
});
