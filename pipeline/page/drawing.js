// The pad of the section #draw: what is drawn on it becomes an image like those that the network was trained on.
"use strict";

const BOX = 20 / 28; // of the image's sides: the box that a digit of MNIST fits in
const PAD = 280; // pixels of the pad's longer side
const PEN = 22; // pixels: about 2 of 28 where a drawing fills most of the pad
const STEP = 10; // pixels that an arrow key moves the pen

// Bring ink, `height` × `width` numbers between 0 and 1, to the form of `rows` × `columns`. It is done as MNIST's
// authors did it: the ink is scaled to fit into a box of 20 × 20, by the mean over the area of each pixel, and shifted
// by whole pixels so that its centre of mass is in the middle of 28 × 28 (Y. LeCun, C. Cortes, C. J. C. Burges, "The
// MNIST database of handwritten digits"). Nothing drawn gives an empty image.
function inDataForm(ink, height, width, rows, columns) {
  const image = new Float64Array(rows * columns);
  const box = inkBox(ink, height, width);
  if (!box) return image;
  const scale = Math.min((BOX * rows) / box.height, (BOX * columns) / box.width);
  const [h, w] = [box.height, box.width].map((side) => Math.max(Math.round(scale * side), 1));
  const small = shrink(ink, width, box, h, w);
  const [y, x] = centreOfMass(small, h, w);
  const top = Math.round(rows / 2 - y);
  const left = Math.round(columns / 2 - x);
  for (let i = Math.max(0, -top); i < Math.min(h, rows - top); i++) {
    for (let j = Math.max(0, -left); j < Math.min(w, columns - left); j++) {
      image[(top + i) * columns + left + j] = small[i * w + j];
    }
  }
  return image;
}

// The smallest rectangle that has all ink in it; null where there is none.
function inkBox(ink, height, width) {
  let [top, bottom, left, right] = [height, -1, width, -1];
  for (let i = 0; i < height; i++) {
    for (let j = 0; j < width; j++) {
      if (ink[i * width + j] > 0) {
        [top, bottom] = [Math.min(top, i), i];
        [left, right] = [Math.min(left, j), Math.max(right, j)];
      }
    }
  }
  return bottom < 0 ? null : { top, left, height: bottom - top + 1, width: right - left + 1 };
}

// The ink in `box` as h × w pixels, each the mean over the area that it covers.
function shrink(ink, width, box, h, w) {
  const across = new Float64Array(box.height * w);
  for (const { to, from, share } of overlaps(box.width, w)) {
    for (let i = 0; i < box.height; i++) {
      across[i * w + to] += share * ink[(box.top + i) * width + box.left + from];
    }
  }
  const small = new Float64Array(h * w);
  for (const { to, from, share } of overlaps(box.height, h)) {
    for (let j = 0; j < w; j++) small[to * w + j] += share * across[from * w + j];
  }
  return small;
}

// Which share of each of `few` equal intervals (`to`) each of `many` equal intervals (`from`) covers.
function overlaps(many, few) {
  const found = [];
  const length = many / few;
  for (let to = 0; to < few; to++) {
    for (let from = Math.floor(to * length); from < Math.min(Math.ceil((to + 1) * length), many); from++) {
      const share = (Math.min(from + 1, (to + 1) * length) - Math.max(from, to * length)) / length;
      if (share > 0) found.push({ to, from, share });
    }
  }
  return found;
}

// The row and the column of the centre of mass.
function centreOfMass(image, h, w) {
  let [mass, y, x] = [0, 0, 0];
  image.forEach((ink, k) => {
    mass += ink;
    y += ink * Math.floor(k / w);
    x += ink * (k % w);
  });
  return [y / mass, x / mass];
}

// A pad on `canvas`. It calls `drawn` with the image that the drawing makes, at most once a frame.
function makePad(canvas, status, drawn) {
  const longer = Math.max(imageRows, imageColumns);
  canvas.height = Math.round((PAD * imageRows) / longer);
  canvas.width = Math.round((PAD * imageColumns) / longer);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.lineWidth = PEN;
  context.lineCap = context.lineJoin = "round";
  let pens = new Map(); // where each pointer that is down was last
  let keyboard = null; // where the pen of the keyboard is: { x, y, down }
  let waiting = false;

  function draw(from, to) {
    context.beginPath();
    context.moveTo(from.x, from.y);
    context.lineTo(to.x, to.y);
    context.stroke();
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      read();
    });
  }

  function read() {
    const start = performance.now();
    const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
    const ink = new Float64Array(data.length / 4);
    for (let i = 0; i < ink.length; i++) ink[i] = data[4 * i + 3] / 255;
    drawn(inDataForm(ink, canvas.height, canvas.width, imageRows, imageColumns));
    performance.measure("from a stroke to the bars", { start });
  }

  function clear() {
    context.clearRect(0, 0, canvas.width, canvas.height);
    pens = new Map();
    keyboard = null;
    status.textContent = "";
  }

  // Put an image of the data on the pad. The network sees it as it is.
  function put(pixels) {
    clear();
    const picture = paintInk(document.createElement("canvas"), pixels);
    context.imageSmoothingEnabled = false;
    context.drawImage(picture, 0, 0, canvas.width, canvas.height);
    drawn(pixels);
  }

  const place = ({ clientX, clientY }) => {
    const { left, top, width, height } = canvas.getBoundingClientRect();
    return { x: ((clientX - left) * canvas.width) / width, y: ((clientY - top) * canvas.height) / height };
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    pens.set(event.pointerId, place(event));
    draw(place(event), place(event));
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!pens.has(event.pointerId)) return;
    const points = event.getCoalescedEvents?.() ?? [];
    for (const point of points.length ? points : [event]) {
      draw(pens.get(event.pointerId), place(point));
      pens.set(event.pointerId, place(point));
    }
  });
  for (const end of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(end, (event) => pens.delete(event.pointerId));
  }
  canvas.addEventListener("keydown", (event) => {
    const [right, down] =
      { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1], " ": [0, 0] }[event.key] ?? [];
    if (right === undefined) return;
    event.preventDefault();
    const from = keyboard ?? { x: canvas.width / 2, y: canvas.height / 4, down: false };
    const limit = (value, most) => Math.min(Math.max(value, 0), most);
    keyboard = {
      x: limit(from.x + STEP * right, canvas.width),
      y: limit(from.y + STEP * down, canvas.height),
      down: event.key === " " ? !from.down : from.down,
    };
    if (keyboard.down) draw(from, keyboard);
    const where = `${percent(keyboard.x / canvas.width, 0)} from the left, ${percent(keyboard.y / canvas.height, 0)} from the top`;
    status.textContent = `The pen is ${keyboard.down ? "down" : "up"}, ${where}.`;
  });
  return { clear, put };
}
