// What Python has put into the page, decoded, and helpers that every part uses.
"use strict";

const contents = JSON.parse(document.getElementById("contents").textContent);
const { classes } = contents;
const [imageRows, imageColumns] = contents.imageShape ?? [0, 0];

function decodeBytes(base64) {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

const decodeFloats = (base64) => Float64Array.from(new Float32Array(decodeBytes(base64).buffer));

// What pipeline/page/encoding.py has quantised.
function decodeQuantised({ step: size, values }) {
  return Float64Array.from(new Int8Array(decodeBytes(values).buffer), (value) => size * value);
}

// A network as network.js has it, from its architecture and its parameters: every weight, then every bias.
function makeNetwork({ widths, activation, output, bias }, vector) {
  let end = 0;
  const take = (count) => vector.slice(end, (end += count));
  const weights = widths.slice(1).map((width, i) => take(width * widths[i]));
  const biases = bias ? widths.slice(1).map(take) : [];
  return { widths, activation, output, weights, biases };
}

const trainedNetwork = makeNetwork(contents.network, decodeFloats(contents.network.parameters));

const byId = (id) => document.getElementById(id);

// An element with attributes, event handlers (`onclick`) and children, which are elements or texts.
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

// A share between 0 and 1 as a percentage to be read.
const percent = (share, decimals) => `${(100 * share).toFixed(decimals)} %`;

// A number with three significant digits, with the real minus sign: 0.0123, −4.5·10⁻⁷.
function short(value) {
  if (!Number.isFinite(value)) return String(value).replace("-", "−");
  const size = Math.abs(value);
  if (size === 0 || (size >= 1e-4 && size < 1e5)) return String(Number(value.toPrecision(3))).replace("-", "−");
  const [digits, power] = value.toExponential(1).split("e");
  return `${digits.replace("-", "−")}·10${raised(power)}`;
}

const count = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;

// The position of the largest element.
const argmax = (values) => values.reduce((best, value, i) => (value > values[best] ? i : best), 0);

// −12 → ⁻¹²
const raised = (number) =>
  String(number).replace(/[-+\d]/g, (each) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(each)] ?? "");

// 12 → ₁₂
const lowered = (number) => String(number).replace(/\d/g, (digit) => "₀₁₂₃₄₅₆₇₈₉"[digit]);

// 2 → ⁽²⁾
const layerNumber = (l) => `⁽${raised(l)}⁾`;

// Make a part of the page visible, and name it in the list of parts. `instead` is a sentence that takes its place.
function showPart(id, instead = "") {
  const section = byId(id);
  const title = section.querySelector("h2");
  section.hidden = false;
  document.querySelector("nav").append(make("a", { href: `#${id}` }, title.textContent));
  if (instead) section.replaceChildren(title, make("p", {}, instead));
}

// Says which function of a network network.js lacks; "" where it has all.
function unknownIn({ activation, output }, loss = "canonical") {
  const name = [activation, output].find((each) => !(each in ACTIVATIONS));
  const what = name ? `activation ${name}` : loss in LOSSES ? "" : `loss ${loss}`;
  return what && `This page does not know the ${what}. Those that it knows are in pipeline/page/network.js.`;
}
