// A trained ResNet-20 with SimAM on the reader's own picture. The network is a script of 0.8 MB that comes when the
// reader asks; pictures stay in the page.
"use strict";

{
  const here = document.currentScript.src;
  const { element, fixed } = Figure;
  const { SIDE, BLOCKS } = ResNet;
  const { AREA, photograph, planes, dab } = Pictures;
  const PENS = {
    black: [0, 0, 0],
    white: [255, 255, 255],
    red: [200, 30, 30],
    green: [40, 140, 50],
    blue: [60, 120, 220],
    yellow: [240, 210, 60],
  };

  const build = (network) => (f) => {
    const own = new Uint8Array(3 * AREA);
    const sample = (k) => network.pictures.subarray(3 * AREA * k, 3 * AREA * (k + 1));
    const picture = (s) => (s.picture === "own" ? own : sample(s.picture));
    const stepOf = () => SIDE / result(f.state).blocks[f.state.block - 1].side;
    f.root.picture = () => Array.from(picture(f.state)); // for the tests

    // The forward pass, again only if what it depends on has changed.
    const last = {};
    function result(s) {
      const choices = BLOCKS.map((_, k) => (s[`on${k + 1}`] ? s.gains : "off"));
      const key = JSON.stringify([s.picture, s.edition, s.lambda, choices]);
      if (last.key !== key)
        Object.assign(last, {
          key,
          value: ResNet.forward(network, picture(s), { lam: 10 ** s.lambda, choices }),
        });
      return last.value;
    }
    // What the large map shows: one channel, or the mean over the channels where `channel` is 0.
    function shown(s) {
      const block = result(s).blocks[s.block - 1],
        area = block.side ** 2,
        part = (v) => v.subarray((s.channel - 1) * area, s.channel * area);
      const gains = s.channel ? part(block.gains) : block.mean,
        values = s.channel ? part(block.x) : block.mean;
      const { mu, variance } = SimAM.statistics(values),
        sd = Math.sqrt(variance);
      const row = Math.floor((s.row * block.side) / SIDE),
        column = Math.floor((s.column * block.side) / SIDE),
        i = row * block.side + column;
      const z = values.map((v) => (sd > 1e-12 ? (v - mu) / sd : 0));
      const above = gains.filter((g) => g >= s.threshold).length / area;
      return { block, channel: s.channel, gains, values, z, mu, sd, row, column, i, above };
    }

    f.question("What does a trained network make of your picture, and what do its gains do? Change them.");
    f.state = {
      ...{ picture: 8, edition: 0, pen: "none", row: 14, column: 12 },
      ...{ block: 4, channel: 1, threshold: 0.62, lambda: -4, gains: "own" },
      ...Object.fromEntries(BLOCKS.map((_, k) => [`on${k + 1}`, true])),
    };
    hands(f, { own, picture, stepOf });
    controls(f, { own, network, sample, result });
    f.draw((s, width) => {
      s.channel = Math.min(s.channel, result(s).blocks[s.block - 1].channels);
      return LiveView.draw(f, s, width, { network, picture: picture(s), result: result(s), ...shown(s) });
    });
    f.readout(
      (s) => LiveView.numbers(f, network, result(s), shown(s)),
      (s) => {
        const { shares } = result(s),
          top = shares.indexOf(Math.max(...shares));
        return `${network.classes[top]}, ${fixed(100 * shares[top], 0)} percent.`;
      },
    );
    f.predict(
      "λ moves to its right end. What becomes of the nine maps?",
      ["they get sharper", "they lose what they show"],
      1,
      "Beside a large λ every squared distance is small, and every gain is near the least one, σ(½). The scores change too: the norms behind the modules were trained with other gains.",
    );
  };

  // What paints from the last place of a stroke to the present one. The first stroke copies the picture.
  function brush(f, own, picture) {
    let fresh = false; // a press begins a stroke, and each key paints from the place before
    f.svg.addEventListener("pointerdown", () => (fresh = true));
    return (s, before) => {
      if (s.picture !== "own") own.set(picture(s));
      const to = [s.row, s.column],
        from = fresh ? to : before,
        steps = Math.max(Math.abs(to[0] - from[0]), Math.abs(to[1] - from[1]), 1);
      for (let k = 0; k <= steps; k += 1)
        dab(own, ...from.map((v, axis) => Math.round(v + ((to[axis] - v) * k) / steps)), PENS[s.pen]);
      Object.assign(s, { picture: "own", edition: s.edition + 1 });
      fresh = false;
    };
  }

  // The handles: a place on the picture, where a pen paints; the block; a neuron of the large map.
  function hands(f, { own, picture, stepOf }) {
    const span = [0, SIDE - 1, 1],
      neuron = [0, SIDE - 1, 1];
    const paint = brush(f, own, picture);
    f.plots = {};
    const place = (s) => `row ${s.row + 1}, column ${s.column + 1}`;
    f.handle({
      label: "place on the picture",
      plot: () => f.plots.picture,
      x: span,
      y: span,
      reach: 1e3,
      grip: 0,
      radius: 5,
      at: () => [f.state.column, SIDE - 1 - f.state.row],
      to: ({ x, y }) => {
        const before = [f.state.row, f.state.column];
        Object.assign(f.state, { column: x, row: SIDE - 1 - y });
        if (f.state.pen !== "none") paint(f.state, before);
      },
      text: () => place(f.state),
    });
    f.handle({
      label: "block",
      plot: () => f.plots.strip,
      x: [1, BLOCKS.length, 1],
      reach: 1e3,
      radius: 7,
      look: "blue",
      at: () => [f.state.block, 0],
      to: ({ x }) => Object.assign(f.state, { block: x }),
      text: () => `stage ${BLOCKS[f.state.block - 1].replace(".", ", block ")}`,
    });
    f.handle({
      label: "neuron",
      plot: () => f.plots.map,
      x: neuron,
      y: neuron,
      reach: 1e3,
      grip: 0,
      radius: 5,
      at: () => {
        Object.assign(neuron, { 1: SIDE - stepOf(), 2: stepOf() }); // a wider step on a smaller map
        const start = (v) => Math.floor(v / neuron[2]) * neuron[2];
        return [start(f.state.column), neuron[1] - start(f.state.row)];
      },
      to: ({ x, y }) => Object.assign(f.state, { column: x, row: neuron[1] - y }),
      text: () => place(f.state),
    });
  }

  function controls(f, { own, network, sample, result }) {
    const thumbnail = ([label, index], k) =>
      `<img src="${photograph(sample(k))}" alt="${network.classes[label]}, test image ${index}" width="32" height="32" class="dark-light">`;
    const legend = "Take a test image of CIFAR-10, or a picture of your own (choose, drop or paste it):";
    f.choice(
      "picture",
      legend,
      network.samples.map((s, k) => [k, thumbnail(s, k)]),
    );
    const samples = f.controls.lastChild;
    samples.classList.add("live-samples");
    f.root.insertBefore(samples, f.svg);
    opener(f, samples, own);
    f.button("White picture", (s) => {
      own.fill(255);
      Object.assign(s, { picture: "own", edition: s.edition + 1 });
    });
    samples.append(f.controls.lastChild);
    sliders(f, result);
    f.choice(
      "pen",
      "Draw on the picture: choose a pen, then drag there",
      ["none", ...Object.keys(PENS)].map((pen) => [pen, pen]),
    );
    switches(f);
  }

  function sliders(f, result) {
    f.slider("block", "block", { min: 1, max: BLOCKS.length, text: (v) => BLOCKS[v - 1] });
    f.slider("channel", "channel", {
      min: 0,
      max: () => result(f.state).blocks[f.state.block - 1].channels,
      text: (v) => (v ? String(v) : "mean"),
    });
    f.slider("threshold", "threshold", { min: 0.62, max: 1, step: 0.005, text: (v) => fixed(v, 3) });
    f.slider("lambda", "λ", { min: -6, max: 3, step: 0.25, text: (v) => Figure.powerText(v) });
  }

  // What is done with the gains, and which of the nine modules are on.
  function switches(f) {
    f.choice("gains", "The gains of each channel", [
      ["own", "as they are"],
      ["averaged", "all their mean"],
      ["shuffled", "shuffled"],
    ]);
    const modules = element(f.controls, "fieldset", { class: "sim-choice" });
    element(modules, "legend", {}, "SimAM in block");
    const join = () => modules.append(f.controls.lastChild);
    BLOCKS.forEach((name, k) => join(f.check(`on${k + 1}`, name)));
    for (const on of [false, true])
      join(f.button(on ? "All on" : "All off", (s) => BLOCKS.forEach((_, k) => (s[`on${k + 1}`] = on))));
  }

  // A picture of the reader's: chosen, dropped or pasted.
  function opener(f, parent, own) {
    const label = element(parent, "label", {}, "Your picture"),
      input = element(label, "input", { type: "file", accept: "image/*" }),
      told = element(parent, "span", { role: "status" });
    const say = (text) => (told.textContent = text);
    async function take(file) {
      if (!file) return;
      try {
        own.set(await planes(file));
      } catch {
        return say("This browser cannot read that file as a picture: take a PNG or JPEG.");
      }
      say("");
      Object.assign(f.state, { picture: "own", edition: f.state.edition + 1 });
      f.update("Your picture: ");
    }
    input.addEventListener("change", () => {
      take(input.files[0]);
      input.value = ""; // so that the same file can be chosen again
    });
    f.root.addEventListener("dragover", (event) => event.preventDefault());
    f.root.addEventListener("drop", (event) => {
      event.preventDefault();
      take(event.dataTransfer.files[0]);
    });
    document.addEventListener("paste", (event) =>
      take([...event.clipboardData.files].find((file) => file.type.startsWith("image/"))),
    );
  }

  // Until the reader asks for it, the picture of the start stays, with a button below.
  function wait(root) {
    root.classList.add("sim-live");
    const row = element(root, "p"),
      button = element(row, "button", { type: "button" }, "Load the network (0.8 MB)"),
      told = element(row, "span", { role: "status" });
    let asked = false;
    button.addEventListener("click", () => {
      if (asked) return;
      asked = true;
      told.textContent = " It is on its way.";
      const script = document.createElement("script");
      script.src = new URL("../live/network.js", here);
      script.onload = script.onerror = () => {
        script.remove();
        if (!globalThis.liveNetwork) {
          asked = false;
          return (told.textContent = " It did not arrive. Is there a connection? Then try again.");
        }
        start(root);
        root.querySelector("input").focus({ preventScroll: true });
      };
      document.head.append(script);
    });
  }
  function start(root) {
    root.classList.remove("sim-live");
    Figure.define("live", build(ResNet.read(globalThis.liveNetwork)));
  }
  for (const root of document.querySelectorAll('.sim-figure[data-figure="live"]'))
    (globalThis.liveNetwork ? start : wait)(root);
}
