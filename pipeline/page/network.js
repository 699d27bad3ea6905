// The multilayer perceptron: forward pass and backpropagation, as in pipeline/nn/mlp.py and docs/backpropagation.md.
//
//     z⁽ˡ⁾ = W⁽ˡ⁾ a⁽ˡ⁻¹⁾ + b⁽ˡ⁾        a⁽ˡ⁾ = σ(z⁽ˡ⁾)        δ⁽ˡ⁾ = ∂C/∂z⁽ˡ⁾
//
// A network is an object { widths, activation, output, weights, biases }. Vectors are Float64Arrays; `weights` holds
// W⁽ˡ⁾ row by row, `biases` b⁽ˡ⁾, each for l = 1 … L; `biases` is empty in a network without them. A mini-batch is an
// array of inputs and an array of targets. Tests hold this file to the Python code.
"use strict";

// Elementary functions, each without overflow.
const logistic = (z) => (z < 0 ? Math.exp(z) / (1 + Math.exp(z)) : 1 / (1 + Math.exp(-z)));
const softplus = (z) => Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z)));
const xLnX = (x) => (x > 0 ? x * Math.log(x) : 0);
const normalCdf = (z) => 0.5 * (1 + erf(z / Math.SQRT2));
const normalDensity = (z) => Math.exp(-0.5 * z * z) / Math.sqrt(2 * Math.PI);

// erf x = 2/√π · e^(−x²) · Σ 2ⁿ x²ⁿ⁺¹ / (1 · 3 · … · (2n + 1)): all terms have one sign, so nothing cancels.
function erf(x) {
  if (Math.abs(x) > 6) return Math.sign(x);
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

// An activation that works unit by unit: σ and σ′. `backward` turns ∂C/∂a into ∂C/∂z. An output activation with a loss
// of its own, whose gradient by z is a − y, has a `divergence`: that loss, as a term for each unit.
function unitByUnit(sigma, slope, divergence = null) {
  return {
    forward: (z) => z.map(sigma),
    backward: (z, a, delta) => delta.map((d, i) => d * slope(z[i], a[i])),
    divergence: divergence && ((z, a, y) => a.map((_, i) => divergence(z[i], a[i], y[i]))),
  };
}

const ACTIVATIONS = {
  identity: unitByUnit(
    (z) => z,
    () => 1,
    (z, a, y) => 0.5 * (a - y) ** 2,
  ),
  relu: unitByUnit(
    (z) => Math.max(z, 0),
    (z, a) => (a > 0 ? 1 : 0),
    (z, a, y) => 0.5 * (a - y) ** 2 + y * (a - z),
  ),
  leaky_relu: unitByUnit(
    (z) => Math.max(z, 0.01 * z),
    (z) => (z < 0 ? 0.01 : 1),
  ),
  elu: unitByUnit(
    (z) => (z > 0 ? z : Math.expm1(z)),
    (z, a) => Math.min(a, 0) + 1,
  ),
  gelu: unitByUnit(
    (z) => z * normalCdf(z),
    (z) => normalCdf(z) + z * normalDensity(z),
  ),
  silu: unitByUnit(
    (z) => z * logistic(z),
    (z, a) => a + logistic(z) * (1 - a),
  ),
  mish: unitByUnit(
    (z) => z * Math.tanh(softplus(z)),
    (z) => {
      const t = Math.tanh(softplus(z));
      return t + z * (1 - t * t) * logistic(z);
    },
  ),
  softplus: unitByUnit(softplus, logistic),
  tanh: unitByUnit(Math.tanh, (z, a) => 1 - a * a),
  sigmoid: unitByUnit(
    logistic,
    (z, a) => a * (1 - a),
    // −y ln a − (1 − y) ln(1 − a), less that of a = y.
    (z, a, y) => y * softplus(-z) + (1 - y) * softplus(z) + xLnX(y) + xLnX(1 - y),
  ),
  softmax: {
    forward(z) {
      const largest = Math.max(...z);
      const e = z.map((each) => Math.exp(each - largest));
      const sum = total(e);
      return e.map((each) => each / sum);
    },
    backward(z, a, delta) {
      // Its Jacobian is diag(a) − a aᵀ.
      const mean = dot(delta, a);
      return delta.map((d, i) => a[i] * (d - mean));
    },
    divergence(z, a, y) {
      const largest = Math.max(...z);
      const lnSum = largest + Math.log(total(z.map((each) => Math.exp(each - largest))));
      return y.map((target, i) => xLnX(target) - target * (z[i] - lnSum));
    },
  },
};

// A loss C: its value for one example, and δ⁽ᴸ⁾ = ∂C/∂z⁽ᴸ⁾.
const LOSSES = {
  canonical: {
    value: (output, z, a, y) => Math.max(total(output.divergence(z, a, y)), 0),
    delta: (output, z, a, y) => a.map((each, i) => each - y[i]),
  },
  squared_error: {
    value: (output, z, a, y) => total(a.map((each, i) => 0.5 * (each - y[i]) ** 2)),
    delta: (output, z, a, y) =>
      output.backward(
        z,
        a,
        a.map((each, i) => each - y[i]),
      ),
  },
};

function total(v) {
  let sum = 0;
  for (const each of v) sum += each;
  return sum;
}

function dot(u, v) {
  let sum = 0;
  for (let i = 0; i < u.length; i++) sum += u[i] * v[i];
  return sum;
}

// W x for a matrix of `rows` rows.
function product(W, x, rows) {
  const columns = x.length;
  const y = new Float64Array(rows);
  for (let i = 0; i < rows; i++) y[i] = dot(W.subarray(i * columns, (i + 1) * columns), x);
  return y;
}

// Wᵀ y for a matrix of `columns` columns.
function transposedProduct(W, y, columns) {
  const x = new Float64Array(columns);
  y.forEach((each, i) => {
    if (each !== 0) for (let j = 0; j < columns; j++) x[j] += W[i * columns + j] * each;
  });
  return x;
}

// Layer l's activation function.
function activationOf(network, l) {
  return ACTIVATIONS[l === network.weights.length ? network.output : network.activation];
}

// z⁽¹⁾ … z⁽ᴸ⁾ (z[0] is empty) and a⁽⁰⁾ … a⁽ᴸ⁾ of one input.
function forward(network, x) {
  const z = [null];
  const a = [Float64Array.from(x)];
  for (let l = 1; l < network.widths.length; l++) {
    z[l] = product(network.weights[l - 1], a[l - 1], network.widths[l]);
    if (network.biases.length) z[l] = z[l].map((each, i) => each + network.biases[l - 1][i]);
    a[l] = activationOf(network, l).forward(z[l]);
  }
  return { z, a };
}

// δ⁽¹⁾ … δ⁽ᴸ⁾ (delta[0] is empty) from δ⁽ᴸ⁾: δ⁽ˡ⁻¹⁾ = W⁽ˡ⁾ᵀ δ⁽ˡ⁾ ⊙ σ′(z⁽ˡ⁻¹⁾).
function backward(network, { z, a }, lastDelta) {
  const delta = [];
  delta[network.weights.length] = lastDelta;
  for (let l = network.weights.length; l > 1; l--) {
    const handedDown = transposedProduct(network.weights[l - 1], delta[l], network.widths[l - 1]);
    delta[l - 1] = activationOf(network, l - 1).backward(z[l - 1], a[l - 1], handedDown);
  }
  return delta;
}

// The loss C of a mini-batch, its gradient { weights, biases }, and { z, a, delta, loss } of each example.
function backpropagate(network, loss, inputs, targets) {
  const weights = network.weights.map((W) => new Float64Array(W.length));
  const biases = network.biases.map((b) => new Float64Array(b.length));
  const output = activationOf(network, network.weights.length);
  const n = inputs.length;
  const examples = inputs.map((x, k) => {
    const pass = forward(network, x);
    const [z, a, y] = [pass.z.at(-1), pass.a.at(-1), targets[k]];
    const lastDelta = LOSSES[loss].delta(output, z, a, y).map((each) => each / n);
    const delta = backward(network, pass, lastDelta);
    for (let l = 1; l < network.widths.length; l++) {
      addOuterProduct(weights[l - 1], delta[l], pass.a[l - 1]); // ∂C/∂W⁽ˡ⁾ = δ⁽ˡ⁾ a⁽ˡ⁻¹⁾ᵀ
      if (biases.length) delta[l].forEach((d, i) => (biases[l - 1][i] += d)); // ∂C/∂b⁽ˡ⁾ = δ⁽ˡ⁾
    }
    return { ...pass, delta, loss: LOSSES[loss].value(output, z, a, y) };
  });
  return { loss: total(examples.map((example) => example.loss)) / n, gradient: { weights, biases }, examples };
}

// M += u vᵀ
function addOuterProduct(M, u, v) {
  u.forEach((each, i) => {
    if (each !== 0) for (let j = 0; j < v.length; j++) M[i * v.length + j] += each * v[j];
  });
}

// Go down the gradient: θ ← θ − η ∂C/∂θ.
function step(network, gradient, learningRate) {
  const down = (theta, g) => theta.forEach((_, i) => (theta[i] -= learningRate * g[i]));
  network.weights.forEach((W, l) => down(W, gradient.weights[l]));
  network.biases.forEach((b, l) => down(b, gradient.biases[l]));
}

// ∂z⁽ᴸ⁾ₖ/∂x: how the pre-activation of output k changes with each input.
function inputGradient(network, pass, k) {
  const one = new Float64Array(network.widths.at(-1));
  one[k] = 1;
  const delta = backward(network, pass, one);
  return transposedProduct(network.weights[0], delta[1], network.widths[0]);
}

// The outputs a⁽ᴸ⁾ as probabilities of the classes, as pipeline.nn.fast.probabilities has them: negative outputs count
// as 0, a sum above 1 is scaled down to it, and what is missing to 1 is spread evenly. A single output is the
// probability of the second of two classes.
function probabilities(outputs) {
  const each = outputs.length === 1 ? [1 - outputs[0], outputs[0]] : Array.from(outputs);
  const positive = each.map((a) => Math.max(a, 0));
  const sum = total(positive);
  return positive.map((a) => a / Math.max(sum, 1) + Math.max(1 - sum, 0) / each.length);
}

// A network with a copy of the parameters.
function copyOf(network) {
  const copies = (arrays) => arrays.map((array) => array.slice());
  return { ...network, weights: copies(network.weights), biases: copies(network.biases) };
}

// Targets, one-hot or a single 0 or 1, with a share of each 1 spread over all classes.
const smooth = (y, spread) => y.map((each) => each * (1 - spread) + spread / Math.max(y.length, 2));
