// The section #weights: the weights of the first layer's units that training moves most, at each epoch.
"use strict";

if (contents.firstLayer) startWeights(contents.firstLayer);

function startWeights({ units, epochs, weights }) {
  showPart("weights");
  const all = decodeQuantised(weights); // epoch by epoch, unit by unit
  const size = units.length * imageRows * imageColumns;
  const at = (k) => all.subarray(k * size, (k + 1) * size);
  const changes = epochs.map((_, k) => at(k).map((each, i) => each - all[i]));
  const largest = { change: largestOf(changes.at(-1)), weights: largestOf(all) };
  const canvases = units.map(() => make("canvas"));
  byId("weights-tiles").append(
    ...canvases.map((canvas, i) => pictured(canvas, `unit ${units[i] + 1}`, `unit ${units[i] + 1}`)),
  );
  byId("weights-note").textContent =
    `The ${count(units.length, "unit")} whose weights training moves most, the one that moves most first, each as an ` +
    `image: ${sides(0)}.`;

  const slider = byId("weights-epoch");
  slider.max = epochs.length - 1;
  slider.value = epochs.length - 1;
  function show() {
    const k = Number(slider.value);
    const changed = byId("weights-change").checked;
    const shown = changed ? changes[k] : at(k);
    canvases.forEach((canvas, i) => paintRow(canvas, shown, i, changed ? largest.change : largest.weights));
    byId("weights-told").textContent = `${epochs[k]} of ${epochs.at(-1)}`;
    slider.setAttribute("aria-valuetext", byId("weights-told").textContent);
  }
  slider.addEventListener("input", show);
  byId("weights-change").addEventListener("change", show);
  show();
}
