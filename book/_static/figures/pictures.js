// Small pictures as the figures show and take them. A picture is three planes of 32 x 32 bytes: red, green, blue.
"use strict";

const Pictures = (() => {
  const SIDE = 32,
    AREA = SIDE * SIDE;
  const RAMP = [
    [0, 32, 77],
    [124, 123, 120],
    [255, 234, 70],
  ]; // dark blue, gray, yellow: for all eyes

  // A picture of squares as the address of a bitmap; `color` gives red, green and blue of a position.
  function bitmap(side, color) {
    const rows = new Uint8Array(54 + 3 * side * side),
      view = new DataView(rows.buffer);
    rows.set([66, 77]);
    for (const [at, value] of [
      [2, rows.length],
      [10, 54],
      [14, 40],
      [18, side],
      [22, side],
      [34, 3 * side * side],
    ])
      view.setUint32(at, value, true);
    view.setUint32(26, 1 + (24 << 16), true); // one plane of 24 bits
    for (let i = 0; i < side * side; i += 1) {
      const [red, green, blue] = color(i),
        at = 54 + 3 * ((side - 1 - Math.floor(i / side)) * side + (i % side)); // the last row comes first
      rows.set([blue, green, red], at);
    }
    return `data:image/bmp;base64,${btoa(String.fromCharCode(...rows))}`;
  }
  const photograph = (picture, dim = () => false) =>
    bitmap(SIDE, (i) =>
      [0, 1, 2].map((plane) => {
        const value = picture[plane * AREA + i];
        return dim(i) ? 0.2 * value + 90 : value;
      }),
    );
  const heat = (values, side, low, high) =>
    bitmap(side, (i) => {
      const place = 2 * Figure.clamp((values[i] - low) / (high - low || 1), [0, 1]),
        from = place < 1 ? 0 : 1;
      return RAMP[from].map((v, k) => v + (RAMP[from + 1][k] - v) * (place - from));
    });

  // The square in the middle of a picture file, as three planes of bytes.
  async function planes(file) {
    const whole = await createImageBitmap(file),
      size = Math.min(whole.width, whole.height);
    const canvas = Object.assign(document.createElement("canvas"), { width: SIDE, height: SIDE }),
      pen = canvas.getContext("2d");
    Object.assign(pen, { imageSmoothingQuality: "high", fillStyle: "#fff" });
    pen.fillRect(0, 0, SIDE, SIDE);
    pen.drawImage(whole, (whole.width - size) / 2, (whole.height - size) / 2, size, size, 0, 0, SIDE, SIDE);
    const { data } = pen.getImageData(0, 0, SIDE, SIDE);
    return Uint8Array.from({ length: 3 * AREA }, (_, i) => data[4 * (i % AREA) + Math.floor(i / AREA)]);
  }

  // Two by two pixels of a color, as far as they are inside.
  function dab(picture, row, column, color) {
    for (const [r, c] of [
      [0, 0],
      [0, 1],
      [1, 0],
      [1, 1],
    ])
      if (row + r < SIDE && column + c < SIDE)
        color.forEach((v, plane) => (picture[plane * AREA + (row + r) * SIDE + column + c] = v));
  }

  return { AREA, photograph, heat, planes, dab };
})();
