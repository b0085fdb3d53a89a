import { fill } from "../copy/fill.js";
import { flatGrid } from "../flat-grid.js";
import type { Binding, Kernel, KernelSequence, KernelStep, KernelTarget, Temporary } from "../kernel.js";
import { laneFor, laneName, laneWidth } from "../lanes.js";
import { matmulPlan } from "../matmul/matmul.js";
import { requireSizes } from "../sizes.js";
import { declare } from "../wgsl.js";
import { gruStepBackwardReference, gruStepReference } from "./reference.js";
import type { GruShape, GruStep } from "./reference.js";

/**
 * The recurrent part of one GRU layer (Cho et al., 2014, in PyTorch's form): gi [batch, steps, 3 hidden] = W_i x + b_i of the gates
 * r, z, n one after another, weight [3 hidden, hidden] and bias [3 hidden] of the state, h0 [batch, hidden] -> y [batch, steps, hidden]:
 * r = sigmoid(gi_r + gh_r), z = sigmoid(gi_z + gh_z), n = tanh(gi_n + r gh_n), h' = (1 - z) n + z h with gh = W_h h + b_h.
 * For the gradient also gates [batch, steps, 4, hidden] (r, z, n, gh_n) and previous [batch, steps, hidden], each step's earlier state.
 * Two dispatches a step: a matrix product over the batch, and the gates.
 * @throws ShapeError on bad sizes
 */
export function gru(shape: GruShape, target: KernelTarget): KernelSequence {
  const { batch, steps, hidden } = shape;
  requireSizes("gru", { batch });
  requireSizes("gru", { steps, hidden }, 1);
  const kernels: KernelStep[] = [];
  const product = matmulPlan({ m: batch, n: 3 * hidden, k: hidden, transposeB: true, epilogue: { bias: true } }, target);
  const scratches = [scratch("gh", batch * 3 * hidden), scratch("state0", batch * hidden), scratch("state1", batch * hidden)];
  for (let step = 0; step < steps; step++) {
    const state = step === 0 ? "h0" : `state${step % 2}`;
    kernels.push(...renamed(product, { a: state, b: "weight", bias: "bias", out: "gh" }));
    const kernel = gruStep({ ...shape, step }, target);
    kernels.push({ kernel, bind: { gi: "gi", gh: "gh", state, y: "y", gates: "gates", previous: "previous", next: `state${(step + 1) % 2}` } });
  }
  return { name: "gru", kernels, temporaries: [...product.temporaries, ...scratches] };
}

/**
 * Gradient of {@link gru} through time: gates, previous, weight, dy [batch, steps, hidden] -> dgi [batch, steps, 3 hidden],
 * dgh [batch, steps, 3 hidden] and dh0 [batch, hidden]. The weight's gradient is dgh^T previous and the bias's the sum of dgh, both
 * over all rows at once.
 * @throws ShapeError on bad sizes
 */
export function gruBackward(shape: GruShape, target: KernelTarget): KernelSequence {
  const { batch, steps, hidden } = shape;
  requireSizes("gruBackward", { batch });
  requireSizes("gruBackward", { steps, hidden }, 1);
  const zeros = fill({ length: batch * hidden, value: 0 }, target);
  const product = matmulPlan({ m: batch, n: hidden, k: 3 * hidden, epilogue: { residual: true } }, target);
  const kernels: KernelStep[] = [{ kernel: zeros, bind: { y: "carry" } }];
  for (let step = steps - 1; step >= 0; step--) {
    const kernel = gruStepBackward({ ...shape, step }, target);
    kernels.push({ kernel, bind: { gates: "gates", previous: "previous", dy: "dy", carry: "carry", dgi: "dgi", dgh: "dgh", own: "own", direct: "direct" } });
    kernels.push(...renamed(product, { a: "own", b: "weight", residual: "direct", out: step === 0 ? "dh0" : "carry" }));
  }
  return { name: "gruBackward", kernels, temporaries: [...product.temporaries, scratch("carry", batch * hidden), scratch("own", batch * 3 * hidden), scratch("direct", batch * hidden)] };
}

const scratch = (name: string, length: number): Temporary => ({ name, dtype: "f32", length });

function renamed(sequence: KernelSequence, names: Readonly<Record<string, string>>): KernelStep[] {
  return sequence.kernels.map(({ kernel, bind }) => ({ kernel, bind: Object.fromEntries(Object.entries(bind).map(([name, tensor]) => [name, names[tensor] ?? tensor])) }));
}

/** Pieces both step kernels share: one item per batch row and lane of the state. */
function stepPieces({ batch, steps, hidden, step }: GruStep, target: KernelTarget) {
  const lane = laneFor(hidden);
  const lanes = hidden / laneWidth(lane);
  const plan = flatGrid(batch * lanes, target, "light");
  const uniforms = Object.entries({ items: batch * lanes, lanes, steps, step }).map(([name, value]) => ({ name, type: "u32", value }) as const);
  const binding = (name: string, access: Binding["access"], length: number): Binding => ({ name, access, dtype: "f32", length });
  const prologue = `    let b = item / params.lanes;
    let j = item - b * params.lanes;
    let row = b * params.steps + params.step;
    let line = row * params.lanes + j;`;
  return { lane, plan, uniforms, binding, prologue };
}

/** gi, gh, state -> this step's y, gates and previous, and next. The first step begins what the later ones go on with. */
function gruStep(shape: GruStep, target: KernelTarget): Kernel {
  const { batch, steps, hidden, step } = shape;
  const { lane, plan, uniforms, binding, prologue } = stepPieces(shape, target);
  const filling = step === 0 ? "write" : "readwrite";
  const bindings = [
    binding("gi", "read", batch * steps * 3 * hidden),
    binding("gh", "read", batch * 3 * hidden),
    binding("state", "read", batch * hidden),
    binding("y", filling, batch * steps * hidden),
    binding("gates", filling, batch * steps * 4 * hidden),
    binding("previous", filling, batch * steps * hidden),
    binding("next", "write", batch * hidden),
  ];
  const wgsl =
    declare(bindings, uniforms, Object.fromEntries(bindings.map(({ name }) => [name, lane]))) +
    `fn sigmoid(x: ${lane}) -> ${lane} { return 1.0 / (1.0 + exp(-clamp(x, ${lane}(-80.0), ${lane}(80.0)))); }\n` +
    plan.main(`${prologue}
    let given = row * 3u * params.lanes + j;
    let own = b * 3u * params.lanes + j;
    let r = sigmoid(gi[given] + gh[own]);
    let z = sigmoid(gi[given + params.lanes] + gh[own + params.lanes]);
    let hn = gh[own + 2u * params.lanes];
    // tanh by way of the sigmoid, which is safe for large arguments.
    let n = 2.0 * sigmoid(2.0 * (gi[given + 2u * params.lanes] + r * hn)) - 1.0;
    let before = state[item];
    let after = n + z * (before - n);
    next[item] = after;
    y[line] = after;
    previous[line] = before;
    let gate = row * 4u * params.lanes + j;
    gates[gate] = r;
    gates[gate + params.lanes] = z;
    gates[gate + 2u * params.lanes] = n;
    gates[gate + 3u * params.lanes] = hn;`);
  return {
    name: `gru.step.${laneName(lane)}`,
    wgsl,
    bindings,
    uniforms,
    grid: plan.grid,
    cost: { flops: 30 * batch * hidden, bytes: 4 * 14 * batch * hidden },
    reference: (inputs) => gruStepReference(shape, inputs),
  };
}

/** gates, previous, dy, carry -> this step's dgi and dgh, own (this step's dgh by itself) and direct (total z). */
function gruStepBackward(shape: GruStep, target: KernelTarget): Kernel {
  const { batch, steps, hidden, step } = shape;
  const { lane, plan, uniforms, binding, prologue } = stepPieces(shape, target);
  const filling = step === steps - 1 ? "write" : "readwrite";
  const bindings = [
    binding("gates", "read", batch * steps * 4 * hidden),
    binding("previous", "read", batch * steps * hidden),
    binding("dy", "read", batch * steps * hidden),
    binding("carry", "read", batch * hidden),
    binding("dgi", filling, batch * steps * 3 * hidden),
    binding("dgh", filling, batch * steps * 3 * hidden),
    binding("own", "write", batch * 3 * hidden),
    binding("direct", "write", batch * hidden),
  ];
  const wgsl =
    declare(bindings, uniforms, Object.fromEntries(bindings.map(({ name }) => [name, lane]))) +
    plan.main(`${prologue}
    let gate = row * 4u * params.lanes + j;
    let r = gates[gate];
    let z = gates[gate + params.lanes];
    let n = gates[gate + 2u * params.lanes];
    let total = dy[line] + carry[item];
    let dz = total * (previous[line] - n) * z * (1.0 - z);
    let dn = total * (1.0 - z) * (1.0 - n * n);
    let dr = dn * gates[gate + 3u * params.lanes] * r * (1.0 - r);
    direct[item] = total * z;
    let slope = row * 3u * params.lanes + j;
    dgi[slope] = dr;
    dgi[slope + params.lanes] = dz;
    dgi[slope + 2u * params.lanes] = dn;
    dgh[slope] = dr;
    dgh[slope + params.lanes] = dz;
    dgh[slope + 2u * params.lanes] = dn * r;
    let alone = b * 3u * params.lanes + j;
    own[alone] = dr;
    own[alone + params.lanes] = dz;
    own[alone + 2u * params.lanes] = dn * r;`);
  return {
    name: `gruBackward.step.${laneName(lane)}`,
    wgsl,
    bindings,
    uniforms,
    grid: plan.grid,
    cost: { flops: 20 * batch * hidden, bytes: 4 * 17 * batch * hidden },
    reference: (inputs) => gruStepBackwardReference(shape, inputs),
  };
}
