// What a network sees of one image: moved by up to four pixels, and mirrored or not.
"use strict";

Figure.define("augment", (f) => {
  const { Plot, words } = Figure;
  const side = 32,
    pad = 4;
  f.question("How many images can one image be? Drag the frame over the padded picture.");
  f.state = { dx: 2, dy: -1, flip: false };
  // A drawn picture: a house under a sun. 0 sky, 1 house, 2 roof, 3 sun, 4 grass.
  const pixel = (r, c) => {
    if (r > 25) return 4;
    if (Math.hypot(r - 6, c - 25) < 4.2) return 3;
    if (r > 13 && c > 6 && c < 19) return r > 18 && c > 10 && c < 15 ? 2 : 1;
    if (r > 6 && r <= 13 && Math.abs(c - 12.5) < r - 5.5) return 2;
    return 0;
  };
  const looks = [
    ["blue solid", 0.12],
    ["soft solid", 0.55],
    ["orange solid", 0.9],
    ["orange solid", 0.45],
    ["green solid", 0.6],
  ];
  const crop = (s) => {
    const seen = [];
    for (let r = 0; r < side; r += 1)
      for (let c = 0; c < side; c += 1) {
        const row = r + s.dy,
          column = (s.flip ? side - 1 - c : c) + s.dx;
        seen.push(row < 0 || row >= side || column < 0 || column >= side ? -1 : pixel(row, column));
      }
    return seen;
  };
  // Runs of one color, so that a picture is a few hundred rectangles.
  const picture = (values, columns, x, y, size) => {
    let svg = "";
    for (let start = 0, i = 1; i <= values.length; i += 1) {
      if (i < values.length && i % columns && values[i] === values[start]) continue;
      const look = looks[values[start]];
      const place = [
        x + (start % columns) * size,
        y + Math.floor(start / columns) * size,
        (i - start) * size,
        size,
      ];
      svg += look ? Figure.box(...place, ...look) : Figure.box(...place, "faint solid", 0.9);
      start = i;
    }
    return svg;
  };
  let plot;
  f.handle({
    label: "corner of the frame",
    plot: () => plot,
    x: [-pad, pad, 1],
    y: [-pad, pad, 1],
    at: () => [f.state.dx, -f.state.dy],
    to: ({ x, y }) => Object.assign(f.state, { dx: x, dy: -y }),
    reach: 1e3,
    text: () => `${Figure.tickText(f.state.dx)} right, ${Figure.tickText(f.state.dy)} down`,
  });
  f.check("flip", "mirrored");
  f.draw((s, width) => {
    const narrow = width < 400,
      size = narrow ? Math.floor((width - 12) / 74) : Math.min(7, Math.floor((width - 40) / 72)),
      whole = (side + 2 * pad) * size;
    const padded = Array.from({ length: 40 * 40 }, (_, i) => {
      const r = Math.floor(i / 40) - pad,
        c = (i % 40) - pad;
      return r < 0 || c < 0 || r >= side || c >= side ? -1 : pixel(r, c);
    });
    const corner = [(pad + s.dx) * size, 24 + (pad + s.dy) * size];
    plot = new Plot([0, 24, 2 * pad * size, 24 + 2 * pad * size], [-pad, pad], [-pad, pad]);
    let svg =
      words(0, 14, "padded by 4", "soft") +
      picture(padded, 40, 0, 24, size) +
      Figure.box(...corner, side * size, side * size, "orange thick", 0);
    const left = narrow ? width - side * size - 2 : whole + 40;
    svg +=
      words(left, 14, narrow ? "seen" : "what the network sees", "soft") +
      picture(crop(s), side, left, 24 + pad * size, size);
    return { height: whole + 34, svg };
  });
  f.readout(
    (s) =>
      `Moved by ${Math.abs(s.dx)} to the ${s.dx < 0 ? "left" : "right"} and ${Math.abs(s.dy)} ${s.dy < 0 ? "up" : "down"}${s.flip ? ", mirrored" : ""}: ${f.show("padding", crop(s).filter((v) => v < 0).length, 0)} of 1,024 pixels are padding. One of ${f.show("count", 2 * (2 * pad + 1) ** 2, 0)} images.`,
  );
  f.predict(
    "An image is moved by up to four pixels to each side, and mirrored or not. How many images can it become?",
    ["18", "162"],
    1,
    "Nine places across times nine places down, times two. The network hardly sees the same pixels twice.",
  );
});
