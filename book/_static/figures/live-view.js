// What the figure of the live network shows, as SVG and words; live.js has its state and its controls.
"use strict";

const LiveView = (() => {
  const { Plot, words, box, fixed } = Figure;
  const { SIDE } = ResNet;
  const { photograph, heat } = Pictures;
  const FLOOR = SimAM.sigmoid(0.5); // the least gain
  const image = (address, x, y, size) =>
    `<image href="${address}" x="${x}" y="${y}" width="${size}" height="${size}" style="image-rendering: pixelated"/>`;

  // The picture and its classes, the nine blocks, and one map with its histogram. The places of the handles are
  // kept in `f.plots`.
  function draw(f, s, width, { network, picture, result, block, gains, ...rest }) {
    const narrow = width < 520,
      size = narrow ? 132 : 176,
      top = 20,
      left = size + (narrow ? 12 : 32);
    f.plots.picture = new Plot([0, top, size, top + size], [-0.5, SIDE - 0.5], [-0.5, SIDE - 0.5]);
    const scale = block.side / SIDE;
    const dim = (i) =>
      gains[Math.floor(Math.floor(i / SIDE) * scale) * block.side + Math.floor((i % SIDE) * scale)] <
      s.threshold;
    let svg =
      words(0, 12, "picture, 32 × 32", "soft small") +
      image(photograph(picture, dim), 0, top, size) +
      bars(network.classes, result.shares, left, top, width - left, size);
    const strip = top + size + 52,
      gap = narrow ? 3 : 8,
      cell = Figure.clamp((width - 8 * gap) / 9, [8, 64]);
    svg += words(0, strip - 9, "mean gain of each block; the range is each map's own", "soft small");
    result.blocks.forEach((b, k) => {
      const x = k * (cell + gap);
      svg += image(heat(b.mean, b.side, ...range(b.mean)), x, strip, cell);
      if (k === s.block - 1) svg += box(x - 1, strip - 1, cell + 2, cell + 2, "blue thick", 0);
      svg += words(
        x + cell / 2,
        strip + cell + 14,
        b.name,
        `middle small ${s[`on${k + 1}`] ? "" : "orange"}`,
      );
    });
    const pitch = cell + gap;
    f.plots.strip = new Plot([0, strip, 9 * pitch - gap, strip + cell + 34], [0.5, 9.5], [0, 1]);
    f.plots.strip.x = (v) => (v - 1) * pitch + cell / 2;
    f.plots.strip.y = () => strip + cell + 28;
    f.plots.strip.inverse = (px) => [Math.round((px - cell / 2) / pitch) + 1, 0];
    return lower(f, s, width, svg, strip + cell + 80, { size, left, block, gains, ...rest });
  }

  // From the least to the largest, and at least a hundredth: what is flat looks flat.
  const range = (values) => {
    const low = Math.min(...values);
    return [low, Math.max(...values, low + 0.01)];
  };

  // The ten classes with the network's shares, which add up to one.
  function bars(classes, shares, x, top, width, height) {
    const step = height / classes.length,
      most = Math.max(...shares),
      start = x + 74,
      long = width - 74 - 44;
    return classes
      .map((name, k) => {
        const y = top + k * step,
          first = shares[k] === most;
        return (
          words(start - 6, y + step - 4, name, `end ${narrowed(step)} ${first ? "bold" : ""}`) +
          box(start, y + 2, Math.max(long * shares[k], 1), step - 4, `${first ? "orange" : "blue"} solid`) +
          words(
            start + long * shares[k] + 4,
            y + step - 4,
            `${fixed(100 * shares[k], 0)} %`,
            `${narrowed(step)} soft`,
          )
        );
      })
      .join("");
  }
  const narrowed = (step) => (step < 16 ? "small" : "");

  // The large map and the histogram beside it.
  function lower(f, s, width, above, top, { size, left, block, channel, gains, values, z, i }) {
    f.plots.map = new Plot([0, top, size, top + size], [0, SIDE], [0, SIDE]);
    const half = SIDE / block.side / 2; // to the middle of a neuron
    f.plots.map.x = (v) => ((v + half) / SIDE) * size;
    f.plots.map.y = (v) => top + size - ((v + half) / SIDE) * size;
    f.plots.map.inverse = (px, py) => [(px / size) * SIDE - half, ((top + size - py) / size) * SIDE - half];
    const [low, high] = channel ? [FLOOR, 1] : range(gains);
    const title = channel ? `gain, channel ${channel}` : "mean gain";
    let svg =
      above +
      words(0, top - 9, title, "soft small") +
      image(heat(gains, block.side, low, high), 0, top, size) +
      words(0, top + size + 15, `${fixed(low, 2)} dark to ${fixed(high, 2)} bright`, "soft small");
    const place = [left + 8, top, width - 16, top + size - 34];
    const across = channel ? { values: z, label: "z-score" } : { values, label: "mean gain", low, high };
    svg += words(left, top - 9, "its neurons; blue: threshold reached", "soft small");
    svg += histogram(place, across, (k) => gains[k] >= s.threshold, i);
    return { height: top + size + 22, svg };
  }
  // How many values are where, with a dot at number `i`; z-scores have no range given.
  function histogram(place, { values, label, low, high }, reaches, i) {
    const least = low ?? Math.min(-3, Math.floor(Math.min(...values))),
      most = high ?? Math.max(3, Math.ceil(Math.max(...values)));
    const bins = 24,
      bin = (v) => Math.min(Math.floor(((v - least) / (most - least)) * bins), bins - 1);
    const counts = Array.from({ length: bins }, () => [0, 0]);
    values.forEach((v, k) => (counts[bin(v)][reaches(k) ? 1 : 0] += 1));
    const plot = new Plot(place, [least, most], [0, Math.max(...counts.map(([a, b]) => a + b))]);
    const wide = (place[2] - place[0]) / bins - 1;
    const bars = counts.map(([below, over], k) => {
      const x = plot.x(least + ((most - least) * k) / bins);
      return (
        box(x, plot.y(below), wide, plot.y(0) - plot.y(below), "soft solid", 0.5) +
        box(x, plot.y(below + over), wide, plot.y(below) - plot.y(below + over), "blue solid")
      );
    });
    const xTicks = low === undefined ? [least, 0, most] : [low, high];
    const xText = (v) => Figure.tickText(Number(v.toFixed(2)));
    const axes = plot.axes({ xLabel: label, yTicks: [], xTicks, xText });
    return bars.join("") + axes + plot.dot(values[i], 0, "orange solid", 5);
  }

  function numbers(
    f,
    network,
    { logits, shares },
    { block, channel, gains, values, z, mu, sd, row, column, i, above },
  ) {
    const top = logits.indexOf(Math.max(...logits));
    const what = channel
      ? `channel ${channel} of ${block.channels}`
      : `the mean of ${block.channels} channels`;
    return (
      `${network.classes[top]}: ${f.show("share", 100 * shares[top], 1)} %, logit ${f.show("logit", logits[top])}. ` +
      `Block ${block.name}, ${what}: mean ${f.show("mean", mu)}, standard deviation ${f.show("sd", sd)}; ` +
      `${f.show("above", 100 * above, 1)} % of the neurons reach the threshold. ` +
      `At row ${row + 1}, column ${column + 1} of ${block.side}: value ${f.show("value", values[i])}, ` +
      `z-score ${f.show("z", z[i])}, gain ${f.show("gain", gains[i])}.`
    );
  }

  return { draw, numbers };
})();
