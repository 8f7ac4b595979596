// The arithmetic of ResNet-20 with SimAM on one picture of 32 x 32 pixels, in float64, as
// `simam_edu.networks` has it in torch. A map is a typed array of channels x side x side numbers.
"use strict";

const ResNet = (() => {
  const SIDE = 32; // of the picture
  const BLOCKS = ["1.1", "1.2", "1.3", "2.1", "2.2", "2.3", "3.1", "3.2", "3.3"];

  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

  // The number that 16 bits mean in float16. There are no infinite ones among the weights.
  function fromHalf(bits) {
    const sign = bits & 0x8000 ? -1 : 1,
      exponent = (bits >> 10) & 31,
      fraction = bits & 1023;
    return sign * (exponent ? (1024 + fraction) * 2 ** (exponent - 25) : fraction * 2 ** -24);
  }

  // What benchmarks/live_weights.py has written, with its numbers unpacked.
  function read({ layers, weights, pixels, ...rest }) {
    const packed = bytes(weights),
      view = new DataView(packed.buffer);
    let start = 0;
    const arrays = {};
    for (const [name, shape] of layers) {
      const size = shape.reduce((a, b) => a * b, 1),
        array = new Float64Array(size);
      for (let i = 0; i < size; i += 1) array[i] = fromHalf(view.getUint16(2 * (start + i), true));
      arrays[name] = array;
      start += size;
    }
    return { ...rest, arrays, pictures: bytes(pixels) };
  }

  // Planes of zeros one pixel wider on each side.
  function padded(x, channels, side) {
    const wide = side + 2,
      out = new Float64Array(channels * wide * wide);
    for (let c = 0; c < channels; c += 1)
      for (let row = 0; row < side; row += 1) {
        const from = (c * side + row) * side;
        out.set(x.subarray(from, from + side), (c * wide + row + 1) * wide + 1);
      }
    return out;
  }

  // A 3x3 convolution with a border of zeros, two channels of the output at a time: what is read of the input
  // serves both.
  function conv3x3(x, side, weight, channels, stride = 1) {
    const inputs = weight.length / channels / 9,
      wide = side + 2,
      size = side / stride,
      area = size * size;
    const p = padded(x, inputs, side),
      y = new Float64Array(channels * area);
    for (let o = 0; o < channels; o += 2)
      for (let c = 0; c < inputs; c += 1) {
        const a = (o * inputs + c) * 9,
          b = a + inputs * 9;
        const [a0, a1, a2, a3, a4, a5, a6, a7, a8] = weight.subarray(a, a + 9);
        const [b0, b1, b2, b3, b4, b5, b6, b7, b8] = weight.subarray(b, b + 9);
        let q = o * area,
          r = q + area;
        for (let row = 0; row < size; row += 1) {
          let i = (c * wide + row * stride) * wide;
          for (let column = 0; column < size; column += 1, i += stride, q += 1, r += 1) {
            const j = i + wide,
              k = j + wide;
            // prettier-ignore
            const x0 = p[i], x1 = p[i + 1], x2 = p[i + 2], x3 = p[j], x4 = p[j + 1], x5 = p[j + 2],
              x6 = p[k], x7 = p[k + 1], x8 = p[k + 2];
            y[q] += a0 * x0 + a1 * x1 + a2 * x2 + a3 * x3 + a4 * x4 + a5 * x5 + a6 * x6 + a7 * x7 + a8 * x8;
            y[r] += b0 * x0 + b1 * x1 + b2 * x2 + b3 * x3 + b4 * x4 + b5 * x5 + b6 * x6 + b7 * x7 + b8 * x8;
          }
        }
      }
    return y;
  }

  // The 1x1 convolution of stride 2 of a shortcut.
  function conv1x1(x, side, weight, channels) {
    const inputs = weight.length / channels,
      size = side / 2,
      area = size * size,
      y = new Float64Array(channels * area);
    for (let o = 0; o < channels; o += 1)
      for (let c = 0; c < inputs; c += 1) {
        const w = weight[o * inputs + c];
        for (let i = 0; i < area; i += 1)
          y[o * area + i] += w * x[(c * side + 2 * Math.floor(i / size)) * side + 2 * (i % size)];
      }
    return y;
  }

  // What is left of a batch norm, in place: a scale for each channel, if any, and a shift.
  function norm(y, shift, scale = null) {
    const area = y.length / shift.length;
    for (let c = 0; c < shift.length; c += 1)
      for (let i = c * area; i < (c + 1) * area; i += 1) y[i] = (scale ? scale[c] * y[i] : y[i]) + shift[c];
    return y;
  }

  function relu(y) {
    for (let i = 0; i < y.length; i += 1) if (y[i] < 0) y[i] = 0;
    return y;
  }

  // A permutation of the positions of a channel, the same on every visit.
  const permutations = new Map();
  function permutation(seed, length) {
    const key = `${seed} ${length}`;
    if (!permutations.has(key)) {
      const noise = SimAM.normals(seed, length);
      permutations.set(
        key,
        Array.from(noise.keys()).sort((i, j) => noise[i] - noise[j]),
      );
    }
    return permutations.get(key);
  }

  // The gains of a map of some channels. `choice` is what is done with them: "own", "averaged" over each
  // channel, "shuffled" within each channel, or "off", which is a gain of one.
  function gainsOf(x, channels, { lam, choice, seed }) {
    const area = x.length / channels,
      gains = new Float64Array(x.length).fill(1);
    if (choice === "off") return gains;
    for (let c = 0; c < channels; c += 1) {
      const own = SimAM.gain(x.subarray(c * area, (c + 1) * area), lam);
      if (choice === "averaged") gains.fill(SimAM.mean(own), c * area, (c + 1) * area);
      else if (choice === "shuffled")
        permutation(seed + c, area).forEach((from, i) => (gains[c * area + i] = own[from]));
      else gains.set(own, c * area);
    }
    return gains;
  }

  // The mean over the channels at each position.
  function meanOver(values, channels) {
    const area = values.length / channels,
      mean = new Float64Array(area);
    for (let i = 0; i < values.length; i += 1) mean[i % area] += values[i] / channels;
    return mean;
  }

  // One logit for each class from the mean of each channel.
  function linear(x, weight, bias) {
    const area = x.length / (weight.length / bias.length);
    const pooled = Float64Array.from({ length: x.length / area }, (_, c) =>
      SimAM.mean(x.subarray(c * area, (c + 1) * area)),
    );
    return bias.map((b, k) => b + pooled.reduce((sum, v, c) => sum + v * weight[k * pooled.length + c], 0));
  }

  function softmax(logits) {
    const top = Math.max(...logits),
      powers = logits.map((v) => Math.exp(v - top));
    return powers.map((v) => v / SimAM.sum(powers));
  }

  // Everything of one picture, given as bytes: three planes of 32 x 32. `choices` has one word for each block.
  function forward({ arrays, mean, std }, picture, { lam = 1e-4, choices = BLOCKS.map(() => "own") } = {}) {
    const area = SIDE * SIDE;
    let x = Float64Array.from(
      picture,
      (v, i) => (v / 255 - mean[Math.floor(i / area)]) / std[Math.floor(i / area)],
    );
    let side = SIDE;
    const layer = (y, at, name, channels, stride) =>
      norm(conv3x3(y, at, arrays[`${name}.weight`], channels, stride), arrays[`${name}.bias`]);
    x = relu(layer(x, side, "stem", 16, 1));
    const blocks = BLOCKS.map((name, index) => {
      const across = arrays[`${name}.shortcut.weight`],
        stride = across ? 2 : 1,
        channels = arrays[`${name}.norm.bias`].length;
      const hidden = relu(layer(x, side, `${name}.conv1`, channels, stride));
      const shortcut = across ? norm(conv1x1(x, side, across, channels), arrays[`${name}.shortcut.bias`]) : x;
      side /= stride;
      const seen = conv3x3(hidden, side, arrays[`${name}.conv2.weight`], channels);
      const gains = gainsOf(seen, channels, { lam, choice: choices[index], seed: 64 * index });
      const branch = norm(
        seen.map((v, i) => v * gains[i]),
        arrays[`${name}.norm.bias`],
        arrays[`${name}.norm.weight`],
      );
      x = relu(branch.map((v, i) => v + shortcut[i]));
      return { name, side, channels, x: seen, gains, mean: meanOver(gains, channels) };
    });
    const logits = linear(x, arrays["head.weight"], arrays["head.bias"]);
    return { blocks, logits, shares: softmax(logits) };
  }

  return { SIDE, BLOCKS, read, permutation, forward };
})();
