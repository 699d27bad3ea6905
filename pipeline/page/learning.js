// The section #learn: a step down the gradient for the drawing, phase by phase, each with its equation.
"use strict";

const CHANGED = 12; // units whose weights are shown
const { loss: lossName, smoothing } = contents.training;
const depth = trainedNetwork.weights.length;

if (contents.images) startLearning();

function startLearning() {
  const unknown = unknownIn(contents.network, lossName);
  showPart("learn", unknown);
  if (unknown) return;
  let learner = copyOf(trainedNetwork);
  let losses = [];
  let chosen = false; // whether the label was chosen by hand, for this image
  const label = byId("label");
  label.append(...classes.map((name, i) => make("option", { value: i }, name)));

  function reset() {
    learner = copyOf(trainedNetwork);
    losses = [];
    byId("phases").replaceChildren();
    byId("losses").replaceChildren();
    byId("learned").textContent = "The network is as it was trained.";
  }

  function target() {
    const k = Number(label.value);
    const single = learner.widths.at(-1) === 1;
    const y = Float64Array.from(single ? [k] : classes, (value, i) => (single ? value : Number(i === k)));
    return smooth(y, smoothing);
  }

  function learn() {
    const rate = Number(byId("rate").value);
    const [x, y] = [seen, target()];
    const before = copyOf(learner);
    const result = backpropagate(learner, lossName, [x], [y]);
    step(learner, result.gradient, rate);
    const after = backpropagate(learner, lossName, [x], [y]).loss;
    if (!losses.length) losses.push(result.loss);
    losses.push(after);
    byId("phases").replaceChildren(...phases(before, learner, result, y, rate));
    if (!Number.isFinite(after)) {
      byId("learned").textContent = "C is not a finite number any more: press Reset, and take a smaller η.";
      return;
    }
    const [first, read] = [losses[0], classOf(forward(learner, x).a.at(-1))];
    const moved = `${after < first ? "fell" : "rose"} from ${short(first)} to ${short(after)}`;
    byId("learned").textContent =
      `After ${count(losses.length - 1, "step")}: C ${after === first ? `stayed ${short(first)}` : moved}. ` +
      `The drawing is now read as ${classes[read]}.`;
    const x0 = losses.map((_, i) => i);
    const line = { name: "C", values: losses };
    byId("losses").replaceChildren(chart({ title: "Loss by step", lines: [line], x: x0, unit: "step", say: short }));
  }

  byId("controls").addEventListener("submit", (event) => {
    event.preventDefault();
    learn();
  });
  byId("reset").addEventListener("click", reset);
  label.addEventListener("change", () => {
    chosen = true;
    reset();
  });
  watchers.push((_, read) => {
    if (!chosen) label.value = read;
    reset();
  });
  label.value = classOf(forward(trainedNetwork, seen).a.at(-1));
  reset();
}

// The items of the list: what one step computes, from `before` to `after`.
function phases(before, after, { loss, gradient, examples: [{ z, a, delta }] }, y, rate) {
  const items = [];
  const add = (title, equation, ...children) => {
    const heading = make("h3", {}, title, " ", make("span", { class: "equation" }, equation));
    items.push(make("li", { style: `--phase: ${items.length}` }, heading, ...children));
  };
  const bias = (l) => (before.biases.length ? ` + b${layerNumber(l)}` : "");
  const below = (l) => (l === 1 ? "x" : `a${layerNumber(l - 1)}`);

  for (let l = 1; l <= depth; l++) {
    const n = layerNumber(l);
    const equation = `z${n} = W${n} ${below(l)}${bias(l)},  a${n} = σ(z${n})`;
    const name = l === depth ? before.output : before.activation;
    add(`Forward, layer ${l} (${name})`, equation, strip(`z${n}`, z[l]), strip(`a${n}`, a[l]));
  }
  const last = layerNumber(depth);
  const squared = `C = ½ ‖a${last} − y‖²`;
  const ofCanonical = {
    identity: squared,
    relu: `${squared} + y · (a${last} − z${last})`,
    sigmoid: "C = −Σ (y ln a + (1 − y) ln(1 − a))",
    softmax: "C = −Σ y ln a",
  };
  const canonical = lossName === "canonical";
  const lessOfY = smoothing && canonical ? ", less that of a = y" : "";
  const ofLoss = { canonical: ofCanonical[before.output], squared_error: squared }[lossName] ?? lossName;
  add("Loss", `${ofLoss}${lessOfY},  C = ${short(loss)}`);
  const ofDelta =
    { canonical: `a${last} − y`, squared_error: `(a${last} − y) ⊙ σ′(z${last})` }[lossName] ?? `∂C/∂z${last}`;
  add(`Backward, layer ${depth}`, `δ${last} = ${ofDelta}`, outputTable(a[depth], y, delta[depth]));
  for (let l = depth - 1; l >= 1; l--) {
    const [n, above] = [layerNumber(l), layerNumber(l + 1)];
    add(`Backward, layer ${l}`, `δ${n} = W${above}ᵀ δ${above} ⊙ σ′(z${n})`, strip(`δ${n}`, delta[l]));
  }
  for (let l = 1; l <= depth; l++) {
    const [n, G] = [layerNumber(l), gradient.weights[l - 1]];
    const ofBias = before.biases.length ? `,  ∂C/∂b${n} = δ${n}` : "";
    add(`Gradient, layer ${l}`, `∂C/∂W${n} = δ${n} ${below(l)}ᵀ${ofBias}`, matrix(G, before, l, delta[l], "gradient"));
  }
  for (let l = 1; l <= depth; l++) {
    const n = layerNumber(l);
    const title = `The changed weights, layer ${l}`;
    const equation = `W${n} ← W${n} − η ∂C/∂W${n},  η = ${short(rate)}`;
    add(title, equation, matrix(after.weights[l - 1], after, l, delta[l], "changed weights"));
  }
  return items;
}

// The numbers of a layer as cells, with the least and the greatest.
function strip(name, values) {
  const [least, most] = [Math.min(...values), Math.max(...values)].map(short);
  const words = `${name}: ${count(values.length, "number")} from ${least} to ${most}`;
  return pictured(paintUnits(make("canvas", { class: "strip" }), values), words, words);
}

// Output, target and δ of each class.
function outputTable(a, y, delta) {
  const names = a.length === 1 ? [classes[1]] : classes;
  const row = (name, values) =>
    make("tr", {}, make("th", { scope: "row" }, name), ...Array.from(values, (each) => make("td", {}, short(each))));
  const head = make("tr", {}, make("td"), ...names.map((name) => make("th", { scope: "col" }, name)));
  const [n, body] = [layerNumber(depth), make("tbody")];
  body.append(row(`a${n}`, a), row("y", y), row(`δ${n}`, delta));
  const scroll = { class: "scroll", tabindex: 0, role: "region", "aria-label": "output, target and δ of each class" };
  return make("div", scroll, make("table", { class: "numbers" }, make("thead", {}, head), body));
}

// A matrix of layer l. Of the first layer, which is large, it is the rows of the units whose weights change most, as
// images.
function matrix(M, network, l, delta, what) {
  const [rows, columns] = [network.widths[l], network.widths[l - 1]];
  if (l > 1) {
    const canvas = paintSigned(make("canvas", { class: "matrix" }), M, rows, columns);
    canvas.style.setProperty("--columns", columns);
    return pictured(canvas, `${what} of layer ${l}`, `${rows} × ${columns}, the largest ${short(largestOf(M))}`);
  }
  const order = Array.from(delta.keys()).sort((i, j) => Math.abs(delta[j]) - Math.abs(delta[i]));
  const shown = order.slice(0, CHANGED).filter((i) => delta[i] !== 0);
  const largest = Math.max(...shown.map((i) => largestOf(M.subarray(i * columns, (i + 1) * columns))));
  const tiles = shown.map((i) => {
    const canvas = paintRow(make("canvas"), M, i, largest);
    return pictured(canvas, `${what} of unit ${i + 1}`, `δ = ${short(delta[i])}`);
  });
  const words = shown.length
    ? `${rows} × ${columns}; here the ${count(shown.length, "unit")} with the largest |δ|, a row as an image`
    : "No unit has a δ: the gradient is 0.";
  return make("div", {}, make("p", { class: "quiet" }, words), make("div", { class: "tiles" }, ...tiles));
}
