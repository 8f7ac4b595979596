// Neurons of one channel on their gain curve. A neuron is moved by the mouse, a finger or the arrow
// keys. The statistics are those of the module: one mean, one variance with 1/(M-1).

function importanceOf(values, lam) {
  const mu = values.reduce((sum, x) => sum + x, 0) / values.length;
  const total = values.reduce((sum, x) => sum + (x - mu) ** 2, 0);
  const variance = total / (values.length - 1);
  return {
    mu,
    variance,
    at: (x) => (x === mu ? 0.5 : 0.5 + (x - mu) ** 2 / (4 * (variance + lam))),
  };
}

const sigmoid = (z) => 1 / (1 + Math.exp(-z));

function energyWidget(root) {
  const svg = root.querySelector("svg");
  const slider = root.querySelector("input");
  const readout = root.querySelector("output");
  const lamLabel = root.querySelector("[data-lam]");
  const values = JSON.parse(root.dataset.values);
  const [low, high] = JSON.parse(root.dataset.range);
  const { width, height } = svg.viewBox.baseVal;
  const left = 46, right = 12, top = 26, bottom = 40, floor = 0.55;
  const toX = (x) => left + ((x - low) / (high - low)) * (width - left - right);
  const fromX = (px) => low + ((px - left) / (width - left - right)) * (high - low);
  const toY = (gain) => height - bottom - ((gain - floor) / (1 - floor)) * (height - top - bottom);
  const make = (name, attributes) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    svg.append(node);
    return node;
  };
  const words = (x, y, text, anchor) => {
    const node = make("text", { x, y, "text-anchor": anchor, "font-size": 12, fill: "#222" });
    node.textContent = text;
    return node;
  };

  svg.replaceChildren();
  for (const gain of [0.6, 0.7, 0.8, 0.9, 1.0]) {
    make("line", { x1: left, x2: width - right, y1: toY(gain), y2: toY(gain), stroke: "#e4e4e4" });
    words(left - 6, toY(gain) + 4, gain.toFixed(1), "end");
  }
  for (let x = Math.ceil(low); x <= high; x += 1) words(toX(x), height - bottom + 18, String(x), "middle");
  words((left + width - right) / 2, height - 6, "value of the neuron", "middle");
  words(left, 14, "gain", "middle");
  const band = make("rect", { y: top, height: height - top - bottom, fill: "#0072B2", opacity: 0.1 });
  const middle = make("line", { y1: top, y2: height - bottom, stroke: "#0072B2", "stroke-dasharray": "5 4" });
  const curve = make("path", { fill: "none", stroke: "#6B6B6B", "stroke-width": 2 });
  const dots = values.map((_, index) =>
    make("circle", {
      r: 9, fill: "#ffffff", stroke: "#0072B2", "stroke-width": 3, tabindex: 0, role: "slider",
      "aria-label": `neuron ${index + 1}`, "aria-valuemin": low, "aria-valuemax": high,
      style: "cursor: grab; touch-action: none",
    }),
  );
  let chosen = values.indexOf(Math.max(...values));

  function draw() {
    const lam = 10 ** Number(slider.value);
    const { mu, variance, at } = importanceOf(values, lam);
    const spread = Math.sqrt(variance);
    const from = Math.max(toX(mu - spread), left);
    band.setAttribute("x", from);
    band.setAttribute("width", Math.max(Math.min(toX(mu + spread), width - right) - from, 0));
    middle.setAttribute("x1", toX(mu));
    middle.setAttribute("x2", toX(mu));
    let path = "";
    for (let px = left; px <= width - right; px += 2) {
      path += `${path ? "L" : "M"}${px} ${toY(sigmoid(at(fromX(px)))).toFixed(2)}`;
    }
    curve.setAttribute("d", path);
    dots.forEach((dot, index) => {
      const gain = sigmoid(at(values[index]));
      dot.setAttribute("cx", toX(values[index]));
      dot.setAttribute("cy", toY(gain));
      dot.setAttribute("fill", index === chosen ? "#D55E00" : "#ffffff");
      dot.setAttribute("aria-valuenow", values[index].toFixed(2));
      dot.setAttribute("aria-valuetext", `value ${values[index].toFixed(2)}, gain ${gain.toFixed(3)}`);
    });
    lamLabel.textContent = lam.toPrecision(1);
    const importance = at(values[chosen]);
    readout.textContent =
      `Filled neuron: value ${values[chosen].toFixed(2)}, energy ${(1 / importance).toFixed(3)}, ` +
      `importance ${importance.toFixed(3)}, gain ${sigmoid(importance).toFixed(3)}. ` +
      `Channel: mean ${mu.toFixed(2)}, standard deviation ${spread.toFixed(2)}.`;
  }

  function move(index, value) {
    chosen = index;
    values[index] = Math.min(Math.max(value, low), high);
    draw();
  }

  dots.forEach((dot, index) => {
    dot.addEventListener("pointerdown", (event) => {
      dot.setPointerCapture(event.pointerId);
      move(index, values[index]);
    });
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
