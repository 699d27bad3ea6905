// Curves as SVG, with a slider below that says the values; the pointer moves the slider. And points.
"use strict";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 560;
const HEIGHT = 260;
const SQUARE = 360;
const EDGE = { left: 74, right: 12, top: 12, bottom: 34 };

function svg(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// A figure with a line for each of `lines`: { name, values }, over the numbers `x`, which increase. `unit` is what x
// counts. The scale is logarithmic where `log` says so and all values are above 0; `falling` puts the least value at
// the top. `say` words a value.
function chart({ title, lines, x, unit, say, log = false, falling = false }) {
  const values = lines.flatMap((line) => line.values);
  let [low, high] = [Math.min(...values), Math.max(...values)];
  const scale = log && low > 0 ? Math.log : (value) => value;
  if (scale === Math.log) [low, high] = [low / 1.15, high * 1.15];
  else [low, high] = [low - 0.05 * (high - low || 1), high + 0.05 * (high - low || 1)];
  const across = (value) => EDGE.left + ((WIDTH - EDGE.left - EDGE.right) * (value - x[0])) / (x.at(-1) - x[0] || 1);
  const down = (value) => {
    const share = (scale(value) - scale(low)) / (scale(high) - scale(low));
    return EDGE.top + (HEIGHT - EDGE.top - EDGE.bottom) * (falling ? share : 1 - share);
  };

  const drawing = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "chart", "aria-hidden": "true" });
  const least = Math.min(0, ...values); // no tick is below 0 where no value is
  for (const tick of scale === Math.log ? logTicks(low, high) : ticks(low, high).filter((each) => each >= least)) {
    const y = down(tick);
    drawing.append(svg("line", { x1: EDGE.left, x2: WIDTH - EDGE.right, y1: y, y2: y, class: "grid" }));
    drawing.append(svg("text", { x: EDGE.left - 6, y: y + 4, "text-anchor": "end" }, say(tick)));
  }
  for (const tick of ticks(x[0], x.at(-1)).filter(Number.isInteger)) {
    drawing.append(svg("text", { x: across(tick), y: HEIGHT - 14, "text-anchor": "middle" }, String(tick)));
  }
  const cursor = svg("line", { y1: EDGE.top, y2: HEIGHT - EDGE.bottom, class: "cursor" });
  drawing.append(cursor);
  const dots = lines.map((line, i) => {
    const points = line.values.map((value, k) => `${across(x[k]).toFixed(1)},${down(value).toFixed(1)}`);
    drawing.append(svg("polyline", { points: points.join(" "), class: `line line-${i}` }));
    return drawing.appendChild(svg("circle", { r: 4, class: `dot line-${i}` }));
  });

  const words = make("output");
  const slider = make("input", { type: "range", min: 0, max: x.length - 1, "aria-label": `${title}: ${unit}` });
  const show = () => {
    const k = Number(slider.value);
    const told = lines.map((line) => `${line.name} ${say(line.values[k])}`);
    words.replaceChildren(`${unit} ${x[k]}: `);
    lines.forEach((line, i) => words.append(i ? ", " : "", make("b", { class: `name line-${i}` }, told[i])));
    slider.setAttribute("aria-valuetext", `${unit} ${x[k]}: ${told.join(", ")}`);
    for (const end of ["x1", "x2"]) cursor.setAttribute(end, across(x[k]));
    dots.forEach((circle, i) => {
      circle.setAttribute("cx", across(x[k]));
      circle.setAttribute("cy", down(lines[i].values[k]));
    });
  };
  const follow = ({ clientX }) => {
    const { left, width } = drawing.getBoundingClientRect();
    const place = ((clientX - left) * WIDTH) / width;
    const distances = x.map((value) => -Math.abs(across(value) - place));
    slider.value = argmax(distances);
    show();
  };
  slider.value = x.length - 1;
  slider.addEventListener("input", show);
  drawing.addEventListener("pointermove", follow);
  drawing.addEventListener("pointerdown", follow);
  show();
  return make("figure", { class: "grow" }, make("figcaption", {}, make("h3", {}, title)), drawing, slider, words);
}

// A figure with a point for each pair of `x` and `y`, in the same units, and the line where they are equal.
function scatter({ title, x, y, note }) {
  const [least, most] = [Math.min(...x, ...y), Math.max(...x, ...y)];
  const margin = 0.05 * (most - least || 1);
  const [low, high] = [least - margin, most + margin];
  const across = (value) => EDGE.left + ((SQUARE - EDGE.left - EDGE.right) * (value - low)) / (high - low);
  const down = (value) => SQUARE - EDGE.bottom - ((SQUARE - EDGE.top - EDGE.bottom) * (value - low)) / (high - low);
  const seen = { class: "chart", role: "img", "aria-label": `${title}, ${note}` };
  const drawing = svg("svg", { viewBox: `0 0 ${SQUARE} ${SQUARE}`, ...seen });
  for (const tick of ticks(low, high)) {
    const y1 = down(tick);
    drawing.append(svg("line", { x1: EDGE.left, x2: SQUARE - EDGE.right, y1, y2: y1, class: "grid" }));
    drawing.append(svg("text", { x: EDGE.left - 6, y: y1 + 4, "text-anchor": "end" }, short(tick)));
    drawing.append(svg("text", { x: across(tick), y: SQUARE - 14, "text-anchor": "middle" }, short(tick)));
  }
  drawing.append(svg("line", { x1: across(low), x2: across(high), y1: down(low), y2: down(high), class: "cursor" }));
  x.forEach((value, i) => {
    const [cx, cy] = [across(value).toFixed(1), down(y[i]).toFixed(1)];
    drawing.append(svg("circle", { cx, cy, r: 2.5, class: "point" }));
  });
  const words = make("p", { class: "quiet" }, `${note}. Across: true, up: predicted.`);
  return make("figure", { class: "square" }, make("figcaption", {}, make("h3", {}, title)), drawing, words);
}

// Round numbers between `low` and `high`.
function ticks(low, high) {
  const rough = (high - low) / 5 || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const distance = power * [1, 2, 5, 10].find((digit) => digit * power >= rough);
  const found = [];
  for (let k = Math.ceil(low / distance); k * distance <= high; k++) found.push(Number((k * distance).toPrecision(12)));
  return found;
}

// Round numbers between `low` and `high`, about as far apart on a log scale.
function logTicks(low, high) {
  const found = [];
  const digits = high > 1000 * low ? [1] : high > 20 * low ? [1, 2, 5] : [1, 1.5, 2, 3, 4, 6, 8];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++) {
    for (const digit of digits) found.push(Number(`${digit}e${power}`));
  }
  return found.filter((tick) => low <= tick && tick <= high);
}
