// Pictures in canvases. Ink is black of some opacity; the style sheet inverts it where the page is dark. Numbers with a
// sign have the colours below, the more opaque the larger.
"use strict";

// The colours of the figures (pipeline/figures/problems.py): ABOVE for what is above 0 or ½ and for the label 1, BELOW
// for what is below and for the label 0.
const ABOVE = { name: "orange", rgb: [213, 94, 0] };
const BELOW = { name: "blue", rgb: [0, 114, 178] };
const sides = (middle) => `${ABOVE.name} above ${middle}, ${BELOW.name} below`;

// A canvas of `columns` × `rows` pixels, which the style sheet enlarges. `colour` gives red, green, blue and opacity,
// each from 0 to 255, of the pixel with this number.
function paint(canvas, rows, columns, colour) {
  canvas.width = columns;
  canvas.height = rows;
  const context = canvas.getContext("2d");
  const picture = context.createImageData(columns, rows);
  for (let i = 0; i < rows * columns; i++) picture.data.set(colour(i), 4 * i);
  context.putImageData(picture, 0, 0);
  return canvas;
}

// An image with pixels between 0 and 1.
function paintInk(canvas, pixels) {
  return paint(canvas, imageRows, imageColumns, (i) => [0, 0, 0, 255 * pixels[i]]);
}

// Numbers with a sign; `largest` is what has the full colour.
function paintSigned(canvas, values, rows, columns, largest = largestOf(values)) {
  return paint(canvas, rows, columns, (i) => signedColour(values[i], largest));
}

function signedColour(value, largest) {
  const opacity = largest > 0 ? Math.min(Math.abs(value) / largest, 1) : 0;
  return [...(value > 0 ? ABOVE : BELOW).rgb, 255 * Math.sqrt(opacity)];
}

function largestOf(values) {
  let largest = 0;
  for (const value of values) largest = Math.max(largest, Math.abs(value));
  return largest;
}

// The numbers of a layer as a row of cells, a few rows where there are many.
function paintUnits(canvas, values) {
  const largest = largestOf(values);
  const columns = Math.min(values.length, 50);
  const rows = Math.ceil(values.length / columns);
  canvas.style.setProperty("--columns", columns);
  return paint(canvas, rows, columns, (i) => (i < values.length ? signedColour(values[i], largest) : [0, 0, 0, 0]));
}

// A figure: a canvas that has been painted, with a caption; the label is for who cannot see it.
function pictured(canvas, label, ...caption) {
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", label);
  return make("figure", {}, canvas, make("figcaption", {}, ...caption));
}

// Row `i` of a matrix with a column for each pixel, such as the weights that lead to a unit of the first layer.
function paintRow(canvas, W, i, largest) {
  const pixels = imageRows * imageColumns;
  return paintSigned(canvas, W.subarray(i * pixels, (i + 1) * pixels), imageRows, imageColumns, largest);
}
