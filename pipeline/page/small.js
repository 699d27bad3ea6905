// The section #small: a network with all of its numbers, over training and step by step, and the function that it
// computes.
"use strict";

const DIAGRAM = { width: 640, height: 440, edge: 48 };
const MOST_WRITTEN = 10; // units of a layer, up to which each has its numbers beside it
const MOST_EDGES_WRITTEN = 32; // weights, up to which each has its number on its line
const SAMPLES = 61; // of the function along each axis

if (contents.problems.length) startSmall(contents.problems.map(decodeProblem));

function decodeProblem(problem) {
  const all = decodeFloats(problem.parameters);
  const size = all.length / problem.epochs.length;
  const vectors = problem.epochs.map((_, k) => all.slice(k * size, (k + 1) * size));
  const targets = problem.labels.map((y) => smooth(Float64Array.from(y), problem.smoothing));
  return { ...problem, targets, networkAt: (k) => makeNetwork(problem.architecture, vectors[k]) };
}

function startSmall(problems) {
  showPart("small");
  byId("small-colours").textContent = sides(0);
  let problem, network, diagram, chosen, message;
  const [select, point, epoch] = ["small-problem", "small-point", "small-epoch"].map(byId);
  select.append(...problems.map(({ title }, i) => make("option", { value: i }, title)));

  function open() {
    problem = problems[Number(select.value)];
    const unknown = unknownIn(problem.architecture, problem.loss);
    byId("small-unknown").textContent = unknown;
    byId("small-known").hidden = unknown !== "";
    if (unknown) return;
    epoch.max = problem.epochs.length - 1;
    epoch.value = epoch.max;
    byId("small-rate").value = problem.rate;
    const words = problem.inputs.map((x, i) => `(${x.map(short).join(", ")}) ↦ ${problem.labels[i][0]}`);
    point.replaceChildren(...words.map((word, i) => make("option", { value: i }, word)));
    chosen = { l: 1, i: 0 };
    diagram = makeDiagram(problem.architecture.widths, choose);
    byId("small-network").replaceChildren(diagram.drawing);
    goTo();
  }

  // Take the network of the epoch at which the slider is.
  function goTo() {
    network = problem.networkAt(Number(epoch.value));
    byId("small-told").textContent =
      `${problem.epochs[epoch.value].toLocaleString("en")} of ${problem.epochs.at(-1).toLocaleString("en")}`;
    epoch.setAttribute("aria-valuetext", byId("small-told").textContent);
    message = "";
    show();
  }

  function choose(l, i) {
    chosen = { l, i };
    show();
  }

  function show({ keepUnit = false } = {}) {
    const result = backpropagate(network, problem.loss, problem.inputs, problem.targets);
    const example = result.examples[Number(point.value)];
    diagram.show(network, example, chosen);
    if (!keepUnit) showUnit(example, result.gradient);
    byId("small-function").replaceChildren(drawFunction(problem, network, Number(point.value)));
    byId("small-loss").textContent =
      `${message}Loss C = ${short(result.loss)}, the mean over ${count(problem.inputs.length, "point")}.`;
  }

  function showUnit(example, gradient) {
    const { l, i } = chosen;
    const n = layerNumber(l);
    const numbers = `z = ${short(example.z[l][i])},  a = ${short(example.a[l][i])},  δ = ${short(example.delta[l][i])}`;
    const change = (array, k) => (event) => {
      if (!Number.isFinite(event.target.valueAsNumber)) return;
      array[k] = event.target.valueAsNumber;
      message = "Changed by hand. ";
      show({ keepUnit: true });
    };
    const field = (name, array, k, slope) => {
      const value = Number(array[k].toPrecision(4));
      return make(
        "label",
        { class: "weight" },
        make("span", { class: "equation" }, name),
        make("input", { type: "number", step: 0.1, value, oninput: change(array, k) }),
        make("span", { class: "quiet" }, `∂C: ${short(slope)}`),
      );
    };
    const below = network.widths[l - 1];
    const fields = Array.from({ length: below }, (_, j) => {
      const k = i * below + j;
      return field(`W${n}${lowered(i + 1)},${lowered(j + 1)}`, network.weights[l - 1], k, gradient.weights[l - 1][k]);
    });
    if (network.biases.length) {
      fields.push(field(`b${n}${lowered(i + 1)}`, network.biases[l - 1], i, gradient.biases[l - 1][i]));
    }
    byId("small-unit").replaceChildren(
      make("h3", {}, `Layer ${l}, unit ${i + 1}: `, make("span", { class: "equation" }, numbers)),
      make("p", { class: "quiet" }, "Its weights, to be changed by hand, each with the derivative of C by it:"),
      make("div", { class: "weights" }, ...fields),
    );
  }

  select.addEventListener("change", open);
  point.addEventListener("change", () => show());
  epoch.addEventListener("input", goTo);
  byId("small-reset").addEventListener("click", goTo);
  byId("small-controls").addEventListener("submit", (event) => event.preventDefault());
  byId("small-steps").addEventListener("submit", (event) => {
    event.preventDefault();
    const steps = Number(event.submitter?.value ?? 1);
    const rate = Number(byId("small-rate").value);
    const gradientOf = () => backpropagate(network, problem.loss, problem.inputs, problem.targets);
    const before = gradientOf().loss;
    for (let k = 0; k < steps; k++) step(network, gradientOf().gradient, rate);
    message = `${count(steps, "step")} from C = ${short(before)}. `;
    show();
  });
  open();
}

// A drawing of a network, layer by layer from left to right. `choose(l, i)` is called with a unit that is chosen.
function makeDiagram(widths, choose) {
  const drawing = svg("svg", {
    viewBox: `0 0 ${DIAGRAM.width} ${DIAGRAM.height}`,
    class: "diagram",
    role: "group",
    "aria-label": "the network",
  });
  const across = (l) => DIAGRAM.edge + ((DIAGRAM.width - 3 * DIAGRAM.edge) * l) / (widths.length - 1);
  const down = (l, i) => (DIAGRAM.height * (i + 0.5)) / widths[l];
  const edges = [null];
  const weightCount = widths.slice(1).reduce((sum, width, i) => sum + width * widths[i], 0);
  for (let l = 1; l < widths.length; l++) {
    edges[l] = [];
    for (let i = 0; i < widths[l]; i++) {
      for (let j = 0; j < widths[l - 1]; j++) {
        const [x1, y1, x2, y2] = [across(l - 1), down(l - 1, j), across(l), down(l, i)];
        const line = drawing.appendChild(svg("line", { x1, y1, x2, y2 }));
        const share = 0.3 + 0.4 * (widths[l - 1] > 1 ? j / (widths[l - 1] - 1) : (i + 0.5) / widths[l]);
        const text = svg("text", { x: x1 + share * (x2 - x1), y: y1 + share * (y2 - y1) - 2, class: "weight-text" });
        edges[l].push({ line, text: weightCount <= MOST_EDGES_WRITTEN ? text : null });
      }
    }
  }
  for (const { text } of edges.flat().filter(Boolean)) if (text) drawing.append(text);
  const nodes = widths.map((width, l) =>
    Array.from({ length: width }, (_, i) => {
      const [x, y] = [across(l), down(l, i)];
      const radius = Math.min(15, (0.42 * DIAGRAM.height) / width);
      const circle = svg("circle", { cx: x, cy: y, r: radius });
      const lines =
        width <= MOST_WRITTEN
          ? [0, 1, 2].map((k) => svg("text", { x: x + radius + 4, y: y - 8 + 13 * k, "aria-hidden": true }))
          : [];
      const group = svg("g", { class: "unit", ...(l ? { role: "button", tabindex: -1 } : {}) }, circle);
      if (l) {
        group.addEventListener("click", () => choose(l, i));
        group.addEventListener("keydown", (event) => move(event, l, i));
      }
      drawing.append(group, ...lines);
      return { group, circle, lines };
    }),
  );

  function move(event, l, i) {
    const [right, lower] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[
      event.key
    ] ?? [0, 0];
    const layer = l + right;
    if (!(right || lower) || layer < 1 || layer >= widths.length) return;
    event.preventDefault();
    const unit = right
      ? Math.floor(((i + 0.5) * widths[layer]) / widths[l])
      : Math.min(Math.max(i + lower, 0), widths[l] - 1);
    choose(layer, unit);
    nodes[layer][unit].group.focus();
  }

  // Colour and write the numbers of `network` for one example.
  function show(network, { z, a, delta }, chosen) {
    for (let l = 1; l < widths.length; l++) {
      const largest = largestOf(network.weights[l - 1]);
      edges[l].forEach(({ line, text }, k) => {
        const weight = network.weights[l - 1][k];
        const share = largest ? Math.abs(weight) / largest : 0;
        line.setAttribute("stroke", `rgb(${(weight > 0 ? ABOVE : BELOW).rgb})`);
        line.setAttribute("stroke-width", 0.4 + 3.5 * share);
        line.setAttribute("stroke-opacity", 0.15 + 0.7 * share);
        if (text) text.textContent = short(Number(weight.toPrecision(2)));
      });
    }
    nodes.forEach((layer, l) => {
      const largest = Math.max(largestOf(a[l]), 1);
      layer.forEach(({ group, circle, lines }, i) => {
        const [red, green, blue, opacity] = signedColour(a[l][i], largest);
        circle.setAttribute("fill", `rgb(${red} ${green} ${blue} / ${opacity / 255})`);
        const told = l
          ? [`z ${short(z[l][i])}`, `a ${short(a[l][i])}`, `δ ${short(delta[l][i])}`]
          : ["", `x ${short(a[l][i])}`, ""];
        lines.forEach((line, k) => (line.textContent = told[k]));
        if (!l) return;
        const isChosen = chosen.l === l && chosen.i === i;
        group.classList.toggle("chosen", isChosen);
        group.setAttribute("tabindex", isChosen ? 0 : -1);
        group.setAttribute("aria-pressed", isChosen);
        group.setAttribute("aria-label", `layer ${l}, unit ${i + 1}: ${told.join(", ")}`);
      });
    });
  }
  return { drawing, show };
}

// The output over the inputs, of which there are one or two, and the points that are learned from.
function drawFunction({ inputs, labels }, network, current) {
  const output = (...x) => forward(network, x).a.at(-1)[0];
  const low = inputs[0].map((_, j) => Math.min(...inputs.map((x) => x[j])));
  const high = inputs[0].map((_, j) => Math.max(...inputs.map((x) => x[j])));
  const margin = low.map((least, j) => 0.2 * (high[j] - least));
  const along = (j, share) => low[j] - margin[j] + share * (high[j] - low[j] + 2 * margin[j]);
  const place = (j, value) => (value - along(j, 0)) / (along(j, 1) - along(j, 0));
  const plane = inputs[0].length === 2;
  const drawing = svg("svg", { viewBox: "0 0 300 300", class: "function" });
  const addPoint = (x, y, i) => {
    const circle = svg("circle", {
      cx: 300 * x,
      cy: 300 * (1 - y),
      r: i === current ? 8 : 5,
      fill: `rgb(${(labels[i][0] ? ABOVE : BELOW).rgb})`,
    });
    circle.classList.toggle("current", i === current);
    drawing.append(circle);
  };
  const told = inputs.map((x) => short(Number(output(...x).toPrecision(2))));
  const words = `The output for the points: ${told.join(", ")}`;
  if (plane) {
    const canvas = paintSigned(
      make("canvas"),
      Float64Array.from({ length: SAMPLES * SAMPLES }, (_, k) => {
        const [row, column] = [Math.floor(k / SAMPLES), k % SAMPLES];
        return output(along(0, column / (SAMPLES - 1)), along(1, 1 - row / (SAMPLES - 1))) - 0.5;
      }),
      SAMPLES,
      SAMPLES,
      0.5,
    );
    inputs.forEach((x, i) => addPoint(place(0, x[0]), place(1, x[1]), i));
    drawing.setAttribute("aria-hidden", "true");
    return withDrawing(canvas, drawing, `The output over the plane: ${sides("½")}`, words);
  }
  const height = (value) => 0.1 + 0.8 * value;
  for (const level of [0, 0.5, 1]) {
    const y = 300 * (1 - height(level));
    drawing.append(
      svg("line", { x1: 0, x2: 300, y1: y, y2: y, class: "grid" }),
      svg("text", { x: 2, y: y - 3 }, String(level)),
    );
  }
  const points = Array.from({ length: 5 * SAMPLES }, (_, k) => {
    const share = k / (5 * SAMPLES - 1);
    return `${(300 * share).toFixed(1)},${(300 * (1 - height(output(along(0, share))))).toFixed(1)}`;
  });
  drawing.append(svg("polyline", { points: points.join(" "), class: "line line-0" }));
  inputs.forEach((x, i) => addPoint(place(0, x[0]), height(labels[i][0]), i));
  drawing.setAttribute("role", "img");
  drawing.setAttribute("aria-label", "the output over the input");
  return make("figure", {}, drawing, make("figcaption", {}, `The output over x. ${words}.`));
}

// A picture with a drawing over it.
function withDrawing(canvas, drawing, label, words) {
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", label);
  return make(
    "figure",
    {},
    make("div", { class: "over" }, canvas, drawing),
    make("figcaption", {}, `${label}. ${words}.`),
  );
}
