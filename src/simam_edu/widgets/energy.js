// Neurons of one channel on their gain curve. A neuron is moved by the mouse, a finger or the arrow
// keys. The statistics are those of the module: one mean, one variance with 1/(M-1).

function importanceOf(values, lam) {
  const mu = values.reduce((sum, x) => sum + x, 0) / values.length;
  const total = values.reduce((sum, x) => sum + (x - mu) ** 2, 0);
  const variance = total / (values.length - 1);
  const at = (x) => (x === mu ? 0.5 : 0.5 + (x - mu) ** 2 / (4 * (variance + lam)));
  return { mu, variance, at };
}

const sigmoid = (z) => 1 / (1 + Math.exp(-z));

function energyWidget(root) {
  const svg = root.querySelector("svg");
  const slider = root.querySelector("input");
  const readout = root.querySelector("output");
  const { values, low, high } = JSON.parse(root.dataset.energy);
  const { width, height } = svg.viewBox.baseVal;
  const left = 46, right = 12, top = 26, bottom = 40, floor = 0.55;
  const scale = (width - left - right) / (high - low);
  const toX = (x) => left + (x - low) * scale;
  const fromX = (px) => low + (px - left) / scale;
  const toY = (gain) => height - bottom - ((gain - floor) / (1 - floor)) * (height - top - bottom);
  const set = (node, attributes) => {
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  };
  const make = (name, attributes) => {
    const node = svg.appendChild(document.createElementNS("http://www.w3.org/2000/svg", name));
    set(node, attributes);
    return node;
  };
  const words = (x, y, text, anchor = "middle") => {
    make("text", { x, y, "text-anchor": anchor, "font-size": 12, fill: "#222" }).textContent = text;
  };

  for (const gain of [0.6, 0.7, 0.8, 0.9, 1.0]) {
    make("line", { x1: left, x2: width - right, y1: toY(gain), y2: toY(gain), stroke: "#e4e4e4" });
    words(left - 6, toY(gain) + 4, gain.toFixed(1), "end");
  }
  for (let x = Math.ceil(low); x <= high; x += 1) words(toX(x), height - bottom + 18, x);
  words((left + width - right) / 2, height - 6, "value of the neuron");
  words(left, 14, "gain");
  const mean = make("line", { y1: top, y2: height - bottom, stroke: "#0072B2", "stroke-dasharray": "5 4" });
  const curve = make("polyline", { fill: "none", stroke: "#6B6B6B", "stroke-width": 2 });
  const dots = values.map((_, index) =>
    make("circle", {
      r: 9, stroke: "#0072B2", "stroke-width": 3, tabindex: 0, role: "slider",
      "aria-label": `neuron ${index + 1}`, "aria-valuemin": low, "aria-valuemax": high,
      style: "cursor: grab; touch-action: none",
    }),
  );
  let chosen = values.indexOf(Math.max(...values));

  function draw() {
    const { mu, variance, at } = importanceOf(values, 10 ** slider.value);
    const gain = (x) => sigmoid(at(x));
    const path = [];
    for (let px = left; px <= width - right; px += 2) path.push([px, toY(gain(fromX(px)))]);
    set(curve, { points: path.join(" ") });
    set(mean, { x1: toX(mu), x2: toX(mu) });
    dots.forEach((dot, index) => {
      const [x, g] = [values[index], gain(values[index])];
      set(dot, {
        cx: toX(x), cy: toY(g), fill: index === chosen ? "#D55E00" : "#ffffff", "aria-valuenow": x,
        "aria-valuetext": `value ${x.toFixed(2)}, gain ${g.toFixed(3)}`,
      });
    });
    const [x, importance] = [values[chosen], at(values[chosen])];
    readout.textContent =
      `Filled neuron: value ${x.toFixed(2)}, energy ${(1 / importance).toFixed(3)}, ` +
      `importance ${importance.toFixed(3)}, gain ${gain(x).toFixed(3)}. ` +
      `Channel: mean ${mu.toFixed(2)}, standard deviation ${Math.sqrt(variance).toFixed(2)}; ` +
      `penalty ${(10 ** slider.value).toPrecision(2)}.`;
  }

  function move(index, value) {
    chosen = index;
    values[index] = Math.min(Math.max(value, low), high);
    draw();
  }

  dots.forEach((dot, index) => {
    dot.addEventListener("pointerdown", (event) => dot.setPointerCapture(event.pointerId));
    dot.addEventListener("pointermove", (event) => {
      if (!dot.hasPointerCapture(event.pointerId)) return;
      const box = svg.getBoundingClientRect();
      move(index, fromX(((event.clientX - box.left) / box.width) * width));
    });
    dot.addEventListener("focus", () => move(index, values[index]));
    dot.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -0.1, ArrowDown: -0.1, ArrowRight: 0.1, ArrowUp: 0.1 }[event.key];
      if (step === undefined) return;
      event.preventDefault();
      move(index, values[index] + step);
    });
  });
  slider.addEventListener("input", draw);
  draw();
}
