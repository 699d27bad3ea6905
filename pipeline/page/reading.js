// The section #draw beside the pad: what the network makes of the drawing.
"use strict";

const STRONGEST = 12; // units whose weights are shown
const watchers = []; // what is called with each image that is before the network
let seen = new Float64Array(imageRows * imageColumns);
const learned = firstLayerLearned();
const sharesAreOutputs = trainedNetwork.output === "softmax" || trainedNetwork.widths.at(-1) === 1;
let explained = null; // the class that was chosen to be explained; null for the one that is read

if (contents.images) startReading();

function startReading() {
  const unknown = unknownIn(contents.network);
  showPart("draw", unknown);
  if (unknown) return;
  const pad = makePad(byId("pad"), byId("pad-status"), see);
  let next = 0;
  const firsts = classes.map((_, i) => sprite.find(({ label, prediction }) => label === i && prediction === i));
  const examples = firsts.filter(Boolean);
  showImage = (image) => {
    pad.put(image.pixels);
    byId("pad-status").textContent = `No. ${image.index}, label ${classes[image.label]}.`;
  };
  byId("clear").addEventListener("click", () => {
    pad.clear();
    see(new Float64Array(seen.length));
  });
  byId("example").addEventListener("click", () => showImage(examples[next++ % examples.length]));
  byId("example").hidden = !examples.length;
  byId("input-note").textContent =
    `Scaled to fit into ${Math.round(BOX * imageRows)} × ${Math.round(BOX * imageColumns)} pixels, ` +
    `its centre of mass in the middle of ${imageRows} × ${imageColumns}.`;
  makeBars();
  if (examples.length) showImage(examples[next++]);
  else see(seen);
}

// How far training moved the weights of the first layer; where that is not known, the weights.
function firstLayerLearned() {
  const [W] = trainedNetwork.weights;
  if (!contents.firstLayer) return W;
  const start = decodeQuantised(contents.firstLayer.start);
  return W.map((each, i) => each - start[i]);
}

// Put an image before the network.
function see(pixels) {
  seen = pixels;
  paintInk(byId("input"), pixels);
  const empty = pixels.every((pixel) => pixel === 0);
  const pass = forward(trainedNetwork, pixels);
  const outputs = pass.a.at(-1);
  const shares = probabilities(outputs);
  const read = classOf(outputs);
  byId("input").setAttribute("aria-label", empty ? "an empty image" : "the image that the network is given");
  showBars(shares, outputs, read, empty);
  byId("verdict").textContent = empty ? "Nothing is drawn yet." : `${classes[read]}, ${percent(shares[read], 1)}`;
  showEvidence(pass, explained ?? read);
  showUnits(pass);
  for (const watcher of watchers) watcher(pixels, read);
}

// The class that a network with these outputs a⁽ᴸ⁾ reads. It is not the most probable one where all outputs are
// negative: then all probabilities are equal.
function classOf(outputs) {
  return argmax(outputs.length === 1 ? [1 - outputs[0], outputs[0]] : Array.from(outputs));
}

function makeBars() {
  const rows = classes.map((name, i) =>
    make(
      "button",
      {
        type: "button",
        class: "bar",
        "aria-pressed": "false",
        onclick: () => {
          explained = explained === i ? null : i;
          see(seen);
        },
      },
      make("span", { class: "name" }, name),
      " ",
      make("span", { class: "track" }, make("span", { class: "fill" })),
      make("span", { class: "share" }),
      make("span", { class: "raw" }),
    ),
  );
  byId("bars").append(...rows);
  byId("bars-note").hidden = sharesAreOutputs;
}

function showBars(shares, outputs, read, empty) {
  [...byId("bars").children].forEach((row, i) => {
    const share = empty ? "" : percent(shares[i], 1);
    const raw = empty || sharesAreOutputs ? "" : `a = ${short(outputs[i])}`;
    row.style.setProperty("--share", empty ? 0 : shares[i]);
    row.classList.toggle("read", i === read && !empty);
    row.querySelector(".share").textContent = share;
    row.querySelector(".raw").textContent = raw;
    row.setAttribute("aria-label", [`${classes[i]} ${share}`, raw, "explain"].filter(Boolean).join(", "));
    row.setAttribute("aria-pressed", i === explained);
  });
}

// Which pixels speak for a class: the gradient of its output's pre-activation z, and that gradient times the ink. With
// relu units and no biases, the latter adds up to z. Of a single output, that of the second class, the first class has
// the opposite.
function showEvidence(pass, k) {
  const single = trainedNetwork.widths.at(-1) === 1;
  const gradient = inputGradient(trainedNetwork, pass, single ? 0 : k);
  const towards = single && k === 0 ? gradient.map((each) => -each) : gradient;
  const spoken = towards.map((each, i) => each * pass.a[0][i]);
  paintSigned(byId("spoken"), spoken, imageRows, imageColumns);
  paintSigned(byId("gradient"), towards, imageRows, imageColumns);
  byId("spoken").setAttribute("aria-label", `the ink that speaks for and against ${classes[k]}`);
  byId("gradient").setAttribute("aria-label", `where more ink would speak for and against ${classes[k]}`);
  byId("evidence-title").textContent = `Pixels that speak for and against ${classes[k]}`;
  byId("evidence-note").replaceChildren(
    "What is ",
    make("b", { class: ABOVE.name }, ABOVE.name),
    " speaks for it, what is ",
    make("b", { class: BELOW.name }, BELOW.name),
    " against it; z is its output before the activation. Choose another class by its bar.",
  );
}

function showUnits({ a }) {
  const layers = [];
  for (let l = 1; l < a.length - 1; l++) {
    const firing = a[l].filter((each) => each > 0).length;
    const words = `Layer ${l}: ${firing} of ${count(a[l].length, "unit")} above 0`;
    layers.push(pictured(paintUnits(make("canvas", { class: "strip" }), a[l]), words, words));
  }
  const order = Array.from(a[1].keys()).sort((i, j) => a[1][j] - a[1][i]);
  const shown = a.length > 2 ? order.slice(0, STRONGEST).filter((i) => a[1][i] > 0) : [];
  const tiles = shown.map((i) => {
    const canvas = paintRow(make("canvas"), learned, i);
    return pictured(canvas, `unit ${i + 1}`, make("span", { class: "equation" }, "a"), ` = ${short(a[1][i])}`);
  });
  const what = contents.firstLayer ? "how far training moved their weights" : "their weights";
  const words = `The units of layer 1 that fire most, and ${what}:`;
  const heading = shown.length ? [make("p", { class: "quiet" }, words)] : [];
  const none = layers.length ? [] : [make("p", { class: "quiet" }, "This network has no hidden layer.")];
  byId("units").replaceChildren(...none, ...layers, ...heading, make("div", { class: "tiles" }, ...tiles));
}
