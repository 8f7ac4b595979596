// What all figures share: a stage that is drawn anew after every change, handles to drag, sliders,
// choices, a prediction, numbers, a reset. A figure is `Figure.define(name, (f) => {...})`; see any of them.
"use strict";

const Figure = (() => {
  const SVG = "http://www.w3.org/2000/svg";
  let clips = 0; // for names that are not there twice
  const REACH = 24; // px from a finger or the mouse to the handle that it takes
  const clamp = (value, [low, high]) => Math.min(Math.max(value, low), high);
  const snap = (value, step) => Number((Math.round(value / step) * step).toFixed(10));
  const minus = (text) => text.replace("-", "\u2212");
  const fixed = (value, digits = 2) =>
    Number.isFinite(value)
      ? minus(value.toFixed(digits).replace(/^-(0\.?0*)$/, "$1"))
      : Number.isNaN(value)
        ? "not a number"
        : "infinite";
  // 0.01, 1, 100 as they are; what is smaller or larger as a power of ten.
  const power = (value, digits = 1) => {
    if (value >= 0.01 && value < 1e4) return String(Number(value.toPrecision(digits + 1)));
    const [mantissa, exponent] = value.toExponential(digits).split("e");
    return minus(`${Number(mantissa) === 1 ? "" : `${Number(mantissa)}\u00b7`}10^${Number(exponent)}`);
  };
  const raised = (text) =>
    text.replace(/\^([\u2212\d]+)/, (_, digits) =>
      [...digits]
        .map((d) => "\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079"[d] ?? "\u207b")
        .join(""),
    );

  function element(parent, name, attributes = {}, text = "") {
    const node =
      parent instanceof SVGElement || name === "svg"
        ? document.createElementNS(SVG, name)
        : document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    if (text) node.innerHTML = text;
    parent.append(node);
    return node;
  }

  // Round steps of an axis, about `count` of them.
  function ticks(low, high, count = 5) {
    const raw = (high - low) / count,
      unit = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].find((m) => m * unit >= raw * 0.999) * unit;
    const found = [];
    for (let v = Math.ceil(low / step - 1e-9) * step; v <= high + step * 1e-9; v += step)
      found.push(Number(v.toFixed(10)));
    return found;
  }

  // Two axes in a box [left, top, right, bottom] of the stage. Its methods return SVG as text;
  // `look` is a list of classes: a color (blue, orange, green, soft, faint) and solid, thick, dash.
  class Plot {
    constructor(box, x, y) {
      Object.assign(this, { box, xs: x, ys: y });
    }
    x(value) {
      return this.box[0] + ((value - this.xs[0]) / (this.xs[1] - this.xs[0])) * (this.box[2] - this.box[0]);
    }
    y(value) {
      return this.box[3] - ((value - this.ys[0]) / (this.ys[1] - this.ys[0])) * (this.box[3] - this.box[1]);
    }
    inverse(px, py) {
      const [left, top, right, bottom] = this.box;
      return [
        this.xs[0] + ((px - left) / (right - left)) * (this.xs[1] - this.xs[0]),
        this.ys[0] + ((bottom - py) / (bottom - top)) * (this.ys[1] - this.ys[0]),
      ];
    }
    axes({
      xLabel = "",
      yLabel = "",
      xTicks = ticks(...this.xs),
      yTicks = ticks(...this.ys, 4),
      xText = tickText,
      yText = tickText,
    } = {}) {
      const [left, top, right, bottom] = this.box;
      let drawn = "";
      for (const v of yTicks)
        drawn +=
          line(left, this.y(v), right, this.y(v), "faint") +
          words(left - 6, this.y(v) + 4, yText(v), "soft end");
      for (const v of xTicks)
        drawn +=
          line(this.x(v), bottom, this.x(v), bottom + 4, "soft") +
          words(this.x(v), bottom + 17, xText(v), "soft middle");
      drawn += line(left, bottom, right, bottom, "soft");
      if (xLabel) drawn += words((left + right) / 2, bottom + 34, xLabel, "soft middle");
      if (yLabel) drawn += words(left - 34, top - 9, yLabel, "soft");
      return drawn;
    }
    curve(f, look = "blue thick", step = 2) {
      const points = [];
      for (let px = this.box[0]; px <= this.box[2] + 1e-9; px += step) {
        const v = this.inverse(px, 0)[0];
        points.push([v, f(v)]);
      }
      return this.path(points, look);
    }
    // A line through points; where one is no number the line is broken, outside of the box it is cut.
    path(points, look = "blue thick") {
      let d = "",
        pen = "M";
      for (const [x, y] of points) {
        if (!Number.isFinite(y)) pen = "M";
        else {
          d += `${pen}${this.x(x).toFixed(1)} ${clamp(this.y(y), [-999, 9999]).toFixed(1)}`;
          pen = "L";
        }
      }
      const [left, top, right, bottom] = this.box;
      const id = `sim-clip-${(clips += 1)}`;
      return (
        `<clipPath id="${id}"><rect x="${left - 2}" y="${top - 2}" width="${right - left + 4}" height="${bottom - top + 4}"/></clipPath>` +
        `<path d="${d}" class="${look}" clip-path="url(#${id})"/>`
      );
    }
    // Lines on which the energy is larger than the least one by each of `levels`: ellipses.
    levels(fit, { largest, smallest, angle }, levels) {
      const turn = Array.from({ length: 91 }, (_, i) => (i / 45) * Math.PI),
        c = Math.cos(angle),
        s = Math.sin(angle);
      return levels
        .map((level) => {
          const long = Math.sqrt((2 * level) / smallest),
            short = Math.sqrt((2 * level) / largest);
          return this.path(
            turn.map((a) => {
              const u = short * Math.cos(a),
                v = long * Math.sin(a);
              return [fit.w + u * c - v * s, fit.b + u * s + v * c];
            }),
            "soft",
          );
        })
        .join("");
    }
    line(x1, y1, x2, y2, look) {
      return line(this.x(x1), this.y(y1), this.x(x2), this.y(y2), look);
    }
    dot(x, y, look = "blue solid", r = 4) {
      return `<circle cx="${this.x(x).toFixed(1)}" cy="${this.y(y).toFixed(1)}" r="${r}" class="${look}"/>`;
    }
    words(x, y, text, look = "", dx = 0, dy = 0) {
      return words(this.x(x) + dx, this.y(y) + dy, text, look);
    }
  }
  const tickText = (v) => minus(String(v));
  const powerText = (v) => raised(power(10 ** v, 0));
  const line = (x1, y1, x2, y2, look = "soft") =>
    `<line x1="${x1.toFixed(1)}" y1="${y1.toFixed(1)}" x2="${x2.toFixed(1)}" y2="${y2.toFixed(1)}" class="${look}"/>`;
  const words = (x, y, text, look = "") =>
    `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" class="${look}">${text}</text>`;
  const box = (x, y, width, height, look = "soft", opacity = 1) =>
    `<rect x="${x.toFixed(1)}" y="${y.toFixed(1)}" width="${Math.max(width, 0).toFixed(1)}" height="${Math.max(height, 0).toFixed(1)}" class="${look}" fill-opacity="${opacity.toFixed(3)}"/>`;
  // A map of numbers as squares: the larger the number the stronger the color; a negative one in orange.
  function map(
    values,
    columns,
    x,
    y,
    size,
    { low = 0, high = 1, text = null, look = "blue", below = "orange", frame = true } = {},
  ) {
    return Array.from(values, (value, i) => {
      const left = x + (i % columns) * size,
        top = y + Math.floor(i / columns) * size;
      const strength =
        value < 0 && low < 0 ? value / low : (value - Math.max(low, 0)) / (high - Math.max(low, 0));
      const cell =
        (frame ? box(left, top, size - 1, size - 1, "cell") : "") +
        box(
          left,
          top,
          size - 1,
          size - 1,
          `${value < 0 && low < 0 ? below : look} solid`,
          clamp(strength, [0, 1]) * (text ? 0.5 : 0.85),
        );
      return text
        ? cell + words(left + size / 2 - 0.5, top + size / 2 + 4, text(value, i), "middle inside")
        : cell;
    }).join("");
  }

  // Channels of H x W squares side by side; a column counts on from channel to channel. `corner(c, i)` is
  // where neuron i of channel c is drawn.
  function planes(C, H, W, [left, top], size, gap) {
    const start = (column) => left + column * size + Math.floor(column / W) * gap;
    const plot = new Plot([left, top, start(C * W - 1) + size, top + H * size], [0, C * W], [0, H]);
    return Object.assign(plot, {
      x: (column) => start(column) + size / 2,
      y: (row) => top + (H - 1 - row) * size + size / 2,
      inverse: (px, py) => [
        Math.max(...Array.from({ length: C * W }, (_, k) => (start(k) <= px ? k : 0))),
        H - 1 - Math.floor((py - top) / size),
      ],
      corner: (c, i) => [start(c * W + (i % W)), top + Math.floor(i / W) * size],
    });
  }

  // One figure on a page: its state, its parts, and how they follow each other.
  class Stage {
    constructor(root, build) {
      const id = (root.id ||= `figure-${document.querySelectorAll(".sim-figure[id]").length + 1}`);
      const still = root.querySelector("img");
      Object.assign(this, { root, state: {}, handles: [], syncs: [], say: () => "", shown: {}, spoken: 0 });
      root.replaceChildren();
      root.classList.add("sim-live");
      root.setAttribute("role", "group");
      const head = element(root, "div", { class: "sim-head" });
      this.asked = element(head, "p", { class: "sim-question", id: `${id}-question` });
      root.setAttribute("aria-labelledby", this.asked.id);
      const reset = element(head, "button", { type: "button", class: "sim-reset" }, "Reset");
      this.svg = element(root, "svg", {
        class: "sim-svg",
        role: "group",
        "aria-label": still?.alt || "the figure",
      });
      this.back = element(this.svg, "g", { "aria-hidden": "true" });
      this.front = element(this.svg, "g");
      this.numbers = element(root, "p", { class: "sim-numbers" });
      this.controls = element(root, "div", { class: "sim-controls" });
      this.live = element(root, "p", { class: "sim-live-region", "aria-live": "polite" });
      build(this);
      this.svg.setAttribute("role", this.handles.length ? "group" : "img");
      const first = structuredClone(this.state);
      reset.addEventListener("click", () => {
        Object.assign(this.state, structuredClone(first));
        this.update("Back at the start. ");
      });
      this.listen();
      new ResizeObserver(() => this.svg.clientWidth !== this.width && this.update()).observe(this.svg);
      this.update();
      this.live.textContent = "";
    }
    question(text) {
      this.asked.innerHTML = text;
    }
    // `render(state, width)` returns {height, svg}; `numbers(state)` what stands below, `say` one sentence to be heard.
    draw(render) {
      this.render = render;
    }
    readout(numbers, say = () => this.numbers.textContent) {
      Object.assign(this, { numbersOf: numbers, say });
    }
    // A number in the readout. The tests find it by its name.
    show(name, value, digits = 3) {
      return `<b data-value="${name}">${fixed(value, digits)}</b>`;
    }
    update(spoken) {
      this.width = this.svg.clientWidth || 640;
      const { height, svg } = this.render(this.state, this.width);
      this.svg.setAttribute("viewBox", `0 0 ${this.width} ${height}`);
      this.svg.style.height = `${height}px`;
      this.back.innerHTML = svg;
      if (this.numbersOf) this.numbers.innerHTML = this.numbersOf(this.state);
      for (const sync of this.syncs) sync();
      this.root.dataset.state = JSON.stringify(this.state);
      if (spoken === undefined) return;
      clearTimeout(this.spoken); // said once, when the hand rests
      this.spoken = setTimeout(() => (this.live.textContent = spoken + this.say(this.state)), 500);
    }

    // A slider of the page: arrows, Page, Home and End are the browser's. `max` may be a function.
    slider(key, label, { min, max, step = 1, text = (v) => tickText(v), note = "" }) {
      const id = `${this.root.id}-${key}`;
      const row = element(this.controls, "div", { class: "sim-slider" });
      element(row, "label", { for: id }, label);
      const input = element(row, "input", { type: "range", id, min, step, "data-key": key });
      const value = element(row, "output", { for: id });
      if (note) element(row, "small", {}, note);
      input.addEventListener("input", () => {
        this.state[key] = Number(input.value);
        this.update("");
      });
      this.syncs.push(() => {
        input.max = typeof max === "function" ? max() : max;
        input.value = this.state[key];
        value.textContent = text(this.state[key]);
        input.setAttribute("aria-valuetext", text(this.state[key]));
      });
    }
    // One of a few: `options` is a list of [value, words].
    choice(key, legend, options) {
      const group = element(this.controls, "fieldset", { class: "sim-choice" });
      element(group, "legend", {}, legend);
      for (const [value, text] of options) {
        const label = element(group, "label");
        const input = element(label, "input", {
          type: "radio",
          name: `${this.root.id}-${key}`,
          value,
          "data-key": key,
        });
        element(label, "span", {}, text);
        input.addEventListener("change", () => {
          this.state[key] = value;
          this.update("");
        });
        this.syncs.push(() => (input.checked = this.state[key] === value));
      }
    }
    check(key, text) {
      const label = element(this.controls, "label", { class: "sim-check" });
      const input = element(label, "input", { type: "checkbox", "data-key": key });
      element(label, "span", {}, text);
      input.addEventListener("change", () => {
        this.state[key] = input.checked;
        this.update("");
      });
      this.syncs.push(() => (input.checked = this.state[key]));
    }
    button(text, act) {
      element(this.controls, "button", { type: "button", class: "sim-button" }, text).addEventListener(
        "click",
        () => {
          act(this.state);
          this.update("");
        },
      );
    }

    // A point to drag. `at()` is its place on `plot()`; `x` and `y` are [low, high, step] of what moves;
    // `to({x, y})` stores it. `reach` lets a press farther away take it; a press nearer than `grip` takes it
    // where it is, any other calls it.
    handle({ label, plot, at, to, text, x = null, y = null, ...other }) {
      const { look, reach, grip, radius } = { look: "orange", reach: REACH, grip: REACH, radius: 9, ...other };
      const main = x ?? y;
      const node = element(this.front, "g", {
        class: `sim-handle ${look}`,
        tabindex: 0,
        role: "slider",
        "aria-label": label,
        "aria-valuemin": main[0],
        "aria-valuemax": main[1],
      });
      element(node, "circle", { r: 14, class: "sim-target" });
      element(node, "circle", { r: radius, class: "sim-knob" });
      const limited = (v, range) => range && snap(clamp(v, range), range[2]);
      const move = (vx, vy) => {
        to({ x: limited(vx, x), y: limited(vy, y) });
        this.update("");
      };
      const handle = { node, move, reach, grip, plot, place: () => [plot().x(at()[0]), plot().y(at()[1])] };
      this.handles.push(handle);
      this.syncs.push(() => {
        const [vx, vy] = at();
        node.setAttribute(
          "transform",
          `translate(${handle
            .place()
            .map((p) => p.toFixed(1))
            .join(" ")})`,
        );
        node.setAttribute("aria-valuemax", main[1]); // a range may change
        node.setAttribute("aria-valuenow", snap(x ? vx : vy, main[2]));
        node.setAttribute("aria-valuetext", text());
      });
      node.addEventListener("keydown", (event) => {
        const [vx, vy] = at(),
          ten = { PageUp: 10, PageDown: -10 }[event.key];
        const right = { ArrowRight: 1, ArrowLeft: -1 }[event.key],
          up = { ArrowUp: 1, ArrowDown: -1 }[event.key];
        let next = null;
        if (right) next = x ? [vx + right * x[2], vy] : [vx, vy + right * y[2]];
        else if (up) next = y ? [vx, vy + up * y[2]] : [vx + up * x[2], vy];
        else if (ten) next = y ? [vx, vy + ten * y[2]] : [vx + ten * x[2], vy];
        else if (event.key === "Home" || event.key === "End")
          next = x ? [main[event.key === "End" ? 1 : 0], vy] : [vx, main[event.key === "End" ? 1 : 0]];
        if (!next) return;
        event.preventDefault();
        move(...next);
      });
    }
    // A ring on the neuron `i` of channel `c` of the state, on planes; `moved` is called when it has moved.
    ring([C, H, W], plot, says, moved = () => {}) {
      const { state } = this;
      this.handle({
        label: "neuron",
        plot,
        x: [0, C * W - 1, 1],
        y: [0, H - 1, 1],
        reach: 1e3,
        grip: 0,
        radius: 8,
        at: () => [state.c * W + (state.i % W), H - 1 - Math.floor(state.i / W)],
        to: ({ x, y }) => {
          Object.assign(state, { c: Math.floor(x / W), i: (H - 1 - y) * W + (x % W) });
          moved(state);
        },
        text: () =>
          `channel ${state.c + 1}, row ${Math.floor(state.i / W) + 1}, column ${(state.i % W) + 1}, ${says(state)}`,
      });
    }
    // The mouse and the finger take the nearest handle. A drag that has taken one does not scroll the page.
    listen() {
      const point = (event) => {
        const area = this.svg.getBoundingClientRect();
        return [event.clientX - area.left, event.clientY - area.top];
      };
      const nearest = (event) => {
        const [px, py] = point(event);
        const far = (h) => Math.hypot(h.place()[0] - px, h.place()[1] - py);
        return this.handles
          .filter((h) => far(h) <= h.reach && inside(h, px, py))
          .sort((a, b) => far(a) - far(b))[0];
      };
      const inside = (h, px, py) => {
        if (h.reach === REACH) return true;
        const [left, top, right, bottom] = h.plot().box;
        return px >= left - REACH && px <= right + REACH && py >= top - REACH && py <= bottom + REACH;
      };
      let held = null,
        grip = [0, 0];
      this.svg.addEventListener(
        "touchstart",
        (event) => nearest(event.touches[0]) && event.preventDefault(),
        { passive: false },
      );
      this.svg.addEventListener("pointerdown", (event) => {
        held = event.button === 0 ? nearest(event) : null;
        if (!held) return;
        event.preventDefault();
        this.svg.setPointerCapture(event.pointerId);
        held.node.focus({ preventScroll: true });
        const [px, py] = point(event),
          [hx, hy] = held.place();
        grip = Math.hypot(hx - px, hy - py) <= held.grip ? [hx - px, hy - py] : [0, 0];
        if (!grip[0] && !grip[1]) held.move(...held.plot().inverse(px, py));
      });
      this.svg.addEventListener("pointermove", (event) => {
        if (!held) return;
        const [px, py] = point(event);
        held.move(...held.plot().inverse(px + grip[0], py + grip[1]));
      });
      for (const end of ["pointerup", "pointercancel"]) this.svg.addEventListener(end, () => (held = null));
    }

    // A question with two answers. What is right, and why, opens after the choice; nothing is stored.
    predict(question, answers, right, why) {
      predict(element(this.root, "div", { class: "sim-predict" }), question, answers, right, why);
    }
  }

  function predict(parent, question, answers, right, why) {
    parent.setAttribute("role", "radiogroup");
    const id = `predict-${document.querySelectorAll(".sim-predict").length}-${question.length}`;
    parent.setAttribute("aria-labelledby", id);
    element(parent, "p", { id }, `<strong>Predict first.</strong> ${question}`);
    const buttons = answers.map((answer) =>
      element(
        parent,
        "button",
        { type: "button", class: "sim-button", role: "radio", "aria-checked": "false" },
        answer,
      ),
    );
    rove(buttons);
    const told = element(parent, "div", { class: "sim-why", "aria-live": "polite" });
    const onPaper = `<strong>“${answers[right]}”.</strong> ${why}`;
    window.addEventListener("beforeprint", () => (told.innerHTML ||= onPaper));
    window.addEventListener("afterprint", () => told.innerHTML === onPaper && told.replaceChildren());
    buttons.forEach((button, index) =>
      button.addEventListener("click", () => {
        buttons.forEach((other, i) => {
          other.setAttribute("aria-checked", String(i === index));
          other.classList.toggle("sim-right", i === right);
        });
        told.innerHTML = `<strong>${index === right ? "Right" : "Not so"}: “${answers[right]}”.</strong> ${why}`;
      }),
    );
  }

  // One stop for Tab; the arrows lead from one to the next.
  function rove(buttons) {
    buttons.forEach((button, i) => {
      button.tabIndex = i ? -1 : 0;
      button.addEventListener("keydown", (event) => {
        const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
        if (!step) return;
        event.preventDefault();
        const next = buttons[(i + step + buttons.length) % buttons.length];
        for (const other of buttons) other.tabIndex = other === next ? 0 : -1;
        next.focus();
      });
    });
  }

  // A prediction that stands in the text: question, list of answers, and the answer in a fold.
  for (const asked of document.querySelectorAll(".sim-predict[data-right]")) {
    const [question, list, fold] = asked.children;
    const answers = [...list.children].map((item) => (item.querySelector("p") ?? item).innerHTML);
    fold.querySelector("summary").remove();
    asked.replaceChildren();
    predict(asked, question.innerHTML, answers, Number(asked.dataset.right) - 1, fold.innerHTML);
  }

  function define(name, build) {
    for (const root of document.querySelectorAll(`.sim-figure[data-figure="${name}"]:not(.sim-live)`))
      new Stage(root, build);
  }

  return {
    define,
    element,
    Plot,
    planes,
    line,
    words,
    box,
    map,
    fixed,
    power: (v, d) => raised(power(v, d)),
    powerText,
    tickText,
    clamp,
  };
})();
