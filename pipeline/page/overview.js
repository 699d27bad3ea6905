// The section #run: its curves, how often it takes one class for another, which images it misreads, and what it was
// made from.
"use strict";

const sprite = contents.images && decodeSprite(contents.images);
const GALLERY = 24; // images that are shown at once
let showImage = () => {}; // what puts an image before the network: part 2 sets it

drawCurves(contents.history);
if (contents.confusion) drawMistakes(contents.confusion);
if (contents.numbers) drawNumbers(contents.numbers);
drawOrigin(contents.configuration, contents.hashes);

// Images { index, label, prediction, confidence, pixels (each from 0 to 1) }.
function decodeSprite({ pixels, index, label, prediction, confidence }) {
  const bytes = decodeBytes(pixels);
  const size = imageRows * imageColumns;
  const pixelsOf = (k) => Float64Array.from(bytes.subarray(k * size, (k + 1) * size), (byte) => byte / 255);
  return index.map((number, k) => ({
    index: number,
    label: label[k],
    prediction: prediction[k],
    confidence: confidence[k],
    pixels: pixelsOf(k),
  }));
}

function drawCurves({ epoch, loss, accuracy, rmse }) {
  const unit = "epoch";
  const place = byId("curves");
  if (accuracy) {
    const errors = Object.entries(accuracy).map(([name, of]) => ({ name, values: of.map((share) => 1 - share) }));
    const right = (error) => `${Number((100 * (1 - error)).toFixed(2))} %`;
    place.append(chart({ title: "Accuracy", lines: errors, x: epoch, unit, log: true, falling: true, say: right }));
  } else {
    const lines = Object.entries(rmse).map(([name, values]) => ({ name, values }));
    place.append(chart({ title: "RMSE", lines, x: epoch, unit, log: true, say: short }));
  }
  place.append(
    chart({ title: "Loss", lines: [{ name: "loss", values: loss }], x: epoch, unit, log: true, say: short }),
  );
}

// Predicted against true numbers, a picture for each target of a regression.
function drawNumbers({ part, targets }) {
  const note = `${part}; what is right is on the line`;
  byId("mistakes").append(
    ...targets.map(({ name, true: x, predicted: y }) => scatter({ title: `${name}: predicted and true`, x, y, note })),
  );
}

function drawMistakes({ part, example, counts }) {
  const told = (number) => count(number, example);
  const panel = make("div", { class: "grow" });
  const cells = [];
  const most = Math.max(...counts.flatMap((row, i) => row.filter((_, j) => i !== j)), 1); // errors in a cell
  const body = counts.map((row, label) =>
    make(
      "tr",
      {},
      make("th", { scope: "row" }, classes[label]),
      ...row.map((number, prediction) => {
        const share = label === prediction ? 0 : number / most;
        const looks = { class: label === prediction ? "right" : "wrong", style: `--share: ${share}` };
        if (!sprite) return make("td", {}, make("span", looks, number ? number.toLocaleString("en") : ""));
        const words = `label ${classes[label]}, read as ${classes[prediction]}: ${told(number)}`;
        const cell = make(
          "button",
          {
            type: "button",
            "aria-label": words,
            "aria-pressed": "false",
            tabindex: cells.length ? -1 : 0,
            ...looks,
            onclick: () => open(cell, label, prediction, number),
          },
          number ? number.toLocaleString("en") : "",
        );
        cells.push(cell);
        return make("td", {}, cell);
      }),
    ),
  );
  const head = make("tr", {}, make("td"), ...classes.map((name) => make("th", { scope: "col" }, name)));
  const table = make(
    "table",
    { class: "confusion", onkeydown: (event) => moveFocus(event, cells, classes.length) },
    make(
      "caption",
      {},
      `Labels (rows) and what they were read as (columns), of the ${part}.${sprite ? " Choose a cell." : ""}`,
    ),
    make("thead", {}, head),
    make("tbody", {}, ...body),
  );

  function open(cell, label, prediction, number) {
    for (const each of cells) {
      each.setAttribute("aria-pressed", each === cell);
      each.tabIndex = each === cell ? 0 : -1;
    }
    const images = sprite.filter((image) => image.label === label && image.prediction === prediction);
    const what = `${classes[label]} read as ${classes[prediction]}: ${told(number)}`;
    fill(what, images, number);
  }

  function fill(what, images, number) {
    const some = images.length < number ? `; the page holds the surest ${images.length}` : "";
    const tiles = make("div", { class: "tiles" });
    const more = make("button", { type: "button", onclick: addMore }, "More");
    function addMore() {
      const from = tiles.children.length;
      tiles.append(...images.slice(from, from + GALLERY).map(tile));
      more.hidden = tiles.children.length >= images.length;
    }
    addMore();
    const heading = make("div", { role: "status" }, make("h3", {}, what));
    panel.replaceChildren(
      heading,
      make("p", { class: "quiet" }, `The surest first${some}. Choose one to draw it below.`),
      tiles,
      more,
    );
  }

  byId("mistakes").append(make("div", { class: "scroll" }, make("h3", {}, "Where it errs"), table));
  if (!sprite) return;
  byId("mistakes").append(panel);
  const wrong = sprite.filter((image) => image.label !== image.prediction);
  const all = counts.flatMap((row, i) => row.filter((_, j) => i !== j)).reduce((sum, each) => sum + each, 0);
  fill(`${told(all)} misread`, wrong, all);
}

// A button with an image of the data, which puts it before the network.
function tile(image) {
  const [label, prediction] = [classes[image.label], classes[image.prediction]];
  const pair = label === prediction ? label : `${label} → ${prediction}`;
  const words = `${pair} ${percent(image.confidence, 1)}, image no. ${image.index}`;
  const choose = () => {
    showImage(image);
    byId("draw").scrollIntoView();
  };
  return make(
    "button",
    { type: "button", class: "tile", "aria-label": words, title: words, onclick: choose },
    paintInk(make("canvas", { class: "ink" }), image.pixels),
    make("span", {}, pair),
    " ",
    make("span", { class: "quiet" }, percent(image.confidence, 1)),
  );
}

// Move the focus by the arrow keys among `cells`, row after row of `columns` each.
function moveFocus(event, cells, columns) {
  const distance = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[event.key];
  const next = cells[cells.indexOf(document.activeElement) + distance];
  if (!next) return;
  event.preventDefault();
  for (const cell of cells) cell.tabIndex = cell === next ? 0 : -1;
  next.focus();
}

function drawOrigin(configuration, hashes) {
  const rows = (pairs) =>
    pairs.map(([name, value]) =>
      make("tr", {}, make("th", { scope: "row" }, name), make("td", {}, make("code", {}, value))),
    );
  const listed = (title, pairs) =>
    make(
      "details",
      {},
      make("summary", {}, title),
      make("table", { class: "pairs" }, make("tbody", {}, ...rows(pairs))),
    );
  byId("origin").append(listed("Configuration", configuration), listed("Hashes: what it was made from", hashes));
  showPart("run");
}
