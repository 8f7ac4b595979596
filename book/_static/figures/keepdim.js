// Broadcasting lines shapes up from the right. Without keepdim, images and channels meet rows and columns.
"use strict";

Figure.define("keepdim", (f) => {
  const { words, box } = Figure;
  f.question("Which axis meets which? Change the shape and keepdim, and read the last row.");
  f.state = { n: 2, c: 3, h: 4, w: 5, keepdim: false };
  f.check("keepdim", "keepdim=True");
  for (const [key, label] of [
    ["n", "images n"],
    ["c", "channels c"],
    ["h", "rows h"],
    ["w", "columns w"],
  ])
    f.slider(key, label, { min: 1, max: 8 });
  const rows = (s) => {
    const x = [s.n, s.c, s.h, s.w],
      mean = s.keepdim ? [s.n, s.c, 1, 1] : [null, null, s.n, s.c];
    return {
      x,
      mean,
      out: x.map((size, i) =>
        mean[i] === null || mean[i] === size || mean[i] === 1 ? size : size === 1 ? mean[i] : NaN,
      ),
    };
  };
  const verdict = (s) => {
    const { x, out } = rows(s);
    if (out.some(Number.isNaN)) return ["error", `Error: sizes differ. A mistake that is loud.`];
    if (s.keepdim || (s.n === 1 && s.c === 1))
      return [
        "right",
        s.keepdim ? "Right: each map meets its own mean." : "Right, by luck: there is one map and one mean.",
      ];
    return out.every((size, i) => size === x[i])
      ? ["wrong", "Wrong, in silence: it runs, and the means of images and channels meet rows and columns."]
      : ["wrong", "Wrong, in silence: it runs, and even the shape is another."];
  };
  f.draw((s, width) => {
    const { x, mean, out } = rows(s),
      left = width < 420 ? 74 : 120,
      step = (width - left) / 4,
      tall = 46;
    const names = ["n", "c", "h", "w"],
      meanNames = s.keepdim ? ["n", "c", "", ""] : ["", "", "n", "c"];
    let svg = "";
    const row = (label, y, sizes, letters, look) => {
      svg += words(0, y + 28, label, "bold");
      sizes.forEach((size, i) => {
        const at = left + i * step;
        if (size === null) return (svg += words(at + step / 2, y + 28, "—", "soft middle"));
        const bad = Number.isNaN(size),
          color = typeof look === "string" ? look : look(i);
        svg +=
          box(at + 3, y, step - 6, tall, `${color} solid`, 0.14) +
          box(at + 3, y, step - 6, tall, `${color}`, 0);
        svg += words(
          at + step / 2,
          y + 28,
          bad ? "clash" : `${letters[i] ? `${letters[i]} = ` : ""}${size}`,
          `${color} middle bold`,
        );
      });
    };
    row("x", 20, x, names, "blue");
    row("mean", 92, mean, meanNames, "orange");
    row("x − mean", 164, out, ["", "", "", ""], (i) => (Number.isNaN(out[i]) ? "orange" : "green"));
    mean.forEach((size, i) => {
      const at = left + (i + 0.5) * step;
      svg += words(
        at,
        84,
        size === null
          ? "repeated"
          : size === x[i]
            ? "one to one"
            : size === 1
              ? "repeated"
              : x[i] === 1
                ? "x is repeated"
                : `${x[i]} ≠ ${size}`,
        "soft middle small",
      );
    });
    svg += words(
      0,
      236,
      `Verdict: ${verdict(s)[0]}`,
      `bold ${verdict(s)[0] === "right" ? "green" : "orange"}`,
    );
    return { height: 244, svg };
  });
  f.readout((s) => `<span data-value="verdict" data-kind="${verdict(s)[0]}">${verdict(s)[1]}</span>`);
  f.predict(
    "A batch of shape (8, 8, 8, 8), and the mean without keepdim. What happens?",
    ["an error", "numbers that are wrong"],
    1,
    "The shape (8, 8) of the means fits the last two axes of x. Row 3 then loses the mean of image 3, in every image.",
  );
});
