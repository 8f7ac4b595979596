// A target pattern of gains on two channels, and the nearest gate of each shape, in logarithms.
"use strict";

const Gates = (() => {
  // The nearest tables to `logs`, C lists of M logarithms of gains, by least squares, and the share of the
  // variance of the logarithms that each misses. The product of a channel gate and a position gate adds
  // up in logarithms: a row's mean and a column's, less the mean of all.
  function nearest(logs) {
    const rows = logs.map(SimAM.mean),
      columns = Array.from(logs[0], (_, i) => SimAM.mean(logs.map((row) => row[i]))),
      mean = SimAM.mean(rows);
    const made = {
      "1-D": (c) => rows[c],
      "2-D": (c, i) => columns[i],
      product: (c, i) => rows[c] + columns[i] - mean,
      "3-D": (c, i) => logs[c][i],
    };
    const square = (of) =>
      SimAM.sum(logs.map((row, c) => SimAM.sum(Array.from(row, (v, i) => of(v, c, i) ** 2))));
    const total = square((v) => v - mean);
    return Object.entries(made).map(([name, at]) => {
      const missed = square((v, c, i) => v - at(c, i));
      return {
        name,
        logs: logs.map((row, c) => Array.from(row, (_, i) => at(c, i))),
        misses: total > 1e-12 ? missed / total : 0,
      };
    });
  }
  return { nearest };
})();

Figure.define("paint", (f) => {
  const { words, box } = Figure;
  const C = 2,
    H = 4,
    W = 4,
    M = H * W,
    HIGH = 0.9,
    LOW = 0.3;
  const names = { "1-D": "(C, 1, 1)", "2-D": "(1, H, W)", product: "product", "3-D": "(C, H, W)" };
  const keys = { "1-D": "channel", "2-D": "position", product: "product", "3-D": "full" };
  const pattern = (inside) =>
    Array.from({ length: C * M }, (_, k) => (inside(Math.floor(k / M), k % M) ? 1 : 0));
  const middle = (i) => [5, 6, 9, 10].includes(i);
  f.question("Which gate can make your pattern? Paint high gains, and read what each gate misses.");
  f.state = { cells: pattern((c, i) => middle(i) || (c === 1 && i < W)), c: 0, i: 0, brush: "high" };
  let plot;
  f.ring(
    [C, H, W],
    () => plot,
    (s) => `gain ${s.cells[s.c * M + s.i] ? HIGH : LOW}`,
    (s) => {
      if (s.brush !== "none") s.cells[s.c * M + s.i] = s.brush === "high" ? 1 : 0;
    },
  );
  const rearrange = (from) => (s) =>
    (s.cells = s.cells.map((_, k) => s.cells[from(Math.floor(k / M), k % M)]));
  const other = (i) => (5 * i + 3) % M;
  f.button(
    "Shuffle the positions",
    rearrange((c, i) => c * M + other(i)),
  );
  f.button(
    "Shuffle them in channel 2 alone",
    rearrange((c, i) => c * M + (c ? other(i) : i)),
  );
  f.button(
    "Swap the channels",
    rearrange((c, i) => (1 - c) * M + i),
  );
  f.button("Checkerboard", (s) => (s.cells = pattern((c, i) => (Math.floor(i / W) + i + c) % 2)));
  f.choice("brush", "the ring paints", [
    ["high", "high gains"],
    ["low", "low gains"],
    ["none", "nothing"],
  ]);
  const fits = (s) =>
    Gates.nearest(
      Array.from({ length: C }, (_, c) =>
        s.cells.slice(c * M, (c + 1) * M).map((v) => Math.log(v ? HIGH : LOW)),
      ),
    );
  f.draw((s, width) => {
    const gap = 14,
      size = 26,
      top = 24,
      step = width / 4,
      small = Math.min(18, (step - 22) / (2 * W)),
      below = top + H * size + 62;
    const start = (width - 2 * W * size - gap) / 2;
    plot = Figure.planes(C, H, W, [start, top], size, gap);
    const draw = (on, gains, side) =>
      gains
        .map((row, c) =>
          Array.from(row, (value, i) => {
            const [x, y] = on.corner(c, i);
            return (
              box(x, y, side - 1, side - 1, "cell") +
              box(x, y, side - 1, side - 1, "blue solid", 1.4 * Math.exp(value) - 0.34)
            );
          }).join(""),
        )
        .join("");
    const found = fits(s);
    let svg = draw(plot, found[3].logs, size);
    for (let c = 0; c < C; c += 1)
      svg += words(plot.corner(c, 0)[0], top - 8, `channel ${c + 1}`, "soft small");
    svg += words(0, below - 34, "The nearest gate of each shape, and what it misses:", "soft small");
    found.forEach(({ name, logs, misses }, k) => {
      const at = Figure.planes(C, H, W, [k * step, below], small, 6);
      svg += words(k * step, below - 9, names[name], "bold");
      svg +=
        draw(at, logs, small) +
        words(
          k * step,
          below + H * small + 17,
          `${Figure.fixed(100 * misses, 0)} %`,
          misses > 0.005 ? "orange bold" : "green bold",
        );
    });
    return { height: below + H * small + 26, svg };
  });
  f.readout(
    (s) =>
      `Missed, of the variance of the logarithms: ${fits(s)
        .map(({ name, misses }) => `${names[name]} ${f.show(keys[name], 100 * misses, 1)} %`)
        .join(", ")}.`,
  );
  f.predict(
    "A checkerboard in channel 1, and in channel 2 the same with high and low exchanged. How much does the best product of a channel gate and a position gate miss?",
    ["half of the variance", "all of it"],
    1,
    "Both channels have the same mean, and so have all positions: the best channel gate is one number, the best position gate is one number, and so is their product. Press the button and see.",
  );
});
