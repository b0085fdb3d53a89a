import { flatGrid } from "../flat-grid.js";
import type { Binding, Kernel, KernelSequence, KernelTarget, UniformField } from "../kernel.js";
import { laneFor, laneName, laneWidth } from "../lanes.js";
import type { Lane } from "../lanes.js";
import { requireSizes } from "../sizes.js";
import { declare } from "../wgsl.js";
import type { ElementLoss } from "./losses.js";
import { elementLossBackwardReference, elementLossReference, leastDivisor, partsReference, totalReference, weightLength } from "./reference.js";
import type { ElementLossShape } from "./reference.js";

/** Invocations of a workgroup that adds up. */
const team = 128;
/** Lanes one workgroup adds up alone before a second dispatch is worth its cost. */
const alone = 4096;
/** Most workgroups of the first stage. */
const mostParts = 256;

/**
 * A weighted, averaged loss in one kernel (two beyond some 16,000 elements): x [rows, width], goal [rows, width] (or i32 labels
 * [rows]), weight [1], [rows] or [rows, width] by `shape.weight`, divisor [1] -> loss [1] = sum of weight loss(x, goal) / divisor.
 * Divisors below 2^-23 count as that, and an element of weight 0 as 0, whatever its value. The order of the sum is fixed.
 * @throws ShapeError on bad sizes
 */
export function elementLoss(loss: ElementLoss, shape: ElementLossShape): KernelSequence {
  const { rows, width } = shape;
  requireSizes(loss.name, { rows, width });
  const { lane, items } = lanesOf(loss, shape);
  const parts = items <= alone ? 1 : Math.min(mostParts, Math.ceil(items / (alone / 4)));
  const first = sums(loss, shape, lane, items, parts);
  const bind = Object.fromEntries(first.bindings.map(({ name }) => [name, name]));
  if (parts === 1) return { name: loss.name, kernels: [{ kernel: first, bind }], temporaries: [] };
  return {
    name: loss.name,
    kernels: [
      { kernel: first, bind: { ...bind, loss: "parts" } },
      { kernel: total(parts), bind: { parts: "parts", divisor: "divisor", loss: "loss" } },
    ],
    temporaries: [{ name: "parts", dtype: "f32", length: parts }],
  };
}

/**
 * Gradient of {@link elementLoss} to x: its inputs and dloss [1] -> dx [rows, width]. Weights, divisor and labels are data.
 * @throws ShapeError on bad sizes
 */
export function elementLossBackward(loss: ElementLoss, shape: ElementLossShape, target: KernelTarget): Kernel {
  const { rows, width } = shape;
  requireSizes(`${loss.name}Backward`, { rows, width });
  const { lane, items } = lanesOf(loss, shape);
  const length = rows * width;
  const bindings: Binding[] = [
    ...inputBindings(loss, shape),
    { name: "divisor", access: "read", dtype: "f32", length: 1 },
    { name: "dloss", access: "read", dtype: "f32", length: 1 },
    { name: "dx", access: "write", dtype: "f32", length },
  ];
  const uniforms = uniformsOf(loss, shape, lane, items);
  const plan = flatGrid(items, target, "light");
  return {
    name: `${loss.name}Backward.${shape.weight}.${laneName(lane)}`,
    wgsl:
      declareLoss(bindings, uniforms, shape, lane) +
      plan.main(
        `    ${element(loss, shape, lane)}
    ${loss.slopeWgsl}
    dx[item] = select(T(), factor * w * slope, w != T());`,
        `  let factor = dloss[0] / max(divisor[0], ${leastDivisor});`,
      ),
    bindings,
    uniforms,
    grid: plan.grid,
    cost: { flops: 12 * length, bytes: 4 * (2 * length + (loss.labels ? rows : length) + weightLength(shape)) },
    reference: (inputs) => elementLossBackwardReference(loss, shape, inputs),
  };
}

/** Four elements at a time where they share a row or need none. */
function lanesOf(loss: ElementLoss, { rows, width, weight }: ElementLossShape): { lane: Lane; items: number } {
  const lane = laneFor(loss.labels || weight === "row" ? width : rows * width);
  return { lane, items: (rows * width) / laneWidth(lane) };
}

function inputBindings(loss: ElementLoss, shape: ElementLossShape): Binding[] {
  const { rows, width } = shape;
  return [
    { name: "x", access: "read", dtype: "f32", length: rows * width },
    { name: "goal", access: "read", dtype: loss.labels ? "i32" : "f32", length: loss.labels ? rows : rows * width },
    { name: "weight", access: "read", dtype: "f32", length: weightLength(shape) },
  ];
}

function uniformsOf(loss: ElementLoss, { width }: ElementLossShape, lane: Lane, items: number): UniformField[] {
  return [
    { name: "items", type: "u32", value: items },
    { name: "columns", type: "u32", value: width / (width % laneWidth(lane) === 0 ? laneWidth(lane) : 1) },
    ...Object.entries(loss.parameters).map(([name, value]): UniformField => ({ name, type: "f32", value })),
  ];
}

function declareLoss(bindings: readonly Binding[], uniforms: readonly UniformField[], shape: ElementLossShape, lane: Lane): string {
  const labels = bindings.some(({ name, dtype }) => name === "goal" && dtype === "i32");
  const elements = { x: lane, dx: lane, ...(labels ? {} : { goal: lane }), ...(shape.weight === "element" ? { weight: lane } : {}) };
  return `alias T = ${lane};\n${declare(bindings, uniforms, elements)}`;
}

/** Defines `x`, `t` and `w` of an item. */
function element(loss: ElementLoss, { weight }: ElementLossShape, lane: Lane): string {
  const lines = ["let x = x[item];"];
  if (loss.labels || weight === "row") lines.push("let row = item / params.columns;");
  if (loss.labels) {
    const first = "i32(item - row * params.columns)";
    const columns = lane === "f32" ? first : `4 * ${first} + vec4i(0, 1, 2, 3)`;
    lines.push(`let t = select(T(), T(1.0), (${columns}) == ${lane === "f32" ? "" : "vec4i"}(goal[row]));`);
  } else lines.push("let t = goal[item];");
  lines.push(`let w = T(weight[${weight === "all" ? "0" : weight === "row" ? "row" : "item"}]);`);
  return lines.join("\n    ");
}

/** Adds up `share` of all invocations of a workgroup into `shares[0]`. */
const addShares = `  shares[local] = share;
  workgroupBarrier();
  for (var half = ${team / 2}u; half > 0u; half /= 2u) {
    if (local < half) { shares[local] += shares[local + half]; }
    workgroupBarrier();
  }`;

/** Each workgroup adds up a part of the elements; the only one divides, too. */
function sums(loss: ElementLoss, shape: ElementLossShape, lane: Lane, items: number, parts: number): Kernel {
  const single = parts === 1;
  const bindings: Binding[] = [
    ...inputBindings(loss, shape),
    ...(single ? [{ name: "divisor", access: "read", dtype: "f32", length: 1 } as const] : []),
    { name: "loss", access: "write", dtype: "f32", length: parts },
  ];
  const uniforms: UniformField[] = [...uniformsOf(loss, shape, lane, items), { name: "part", type: "u32", value: Math.max(1, Math.ceil(items / parts)) }];
  return {
    name: `${loss.name}.${single ? "one" : "parts"}.${shape.weight}.${laneName(lane)}`,
    wgsl: `${declareLoss(bindings, uniforms, shape, lane)}
var<workgroup> shares: array<f32, ${team}>;
@compute @workgroup_size(${team})
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
  let first = workgroup.x * params.part;
  let end = min(params.items, first + params.part);
  var sum = T();
  for (var item = first + local; item < end; item += ${team}u) {
    ${element(loss, shape, lane)}
    ${loss.valueWgsl}
    sum += select(T(), w * loss, w != T());
  }
  let share = ${lane === "f32" ? "sum" : "(sum.x + sum.y) + (sum.z + sum.w)"};
${addShares}
  if (local == 0u) { loss[workgroup.x] = shares[0]${single ? ` / max(divisor[0], ${leastDivisor})` : ""}; }
}
`,
    bindings,
    uniforms,
    grid: [parts, 1, 1],
    cost: { flops: 10 * shape.rows * shape.width, bytes: 4 * (shape.rows * shape.width + (loss.labels ? shape.rows : shape.rows * shape.width) + weightLength(shape)) },
    reference: (inputs) => (single ? elementLossReference(loss, shape, inputs) : partsReference(loss, shape, { parts, part: Math.ceil(items / parts) * laneWidth(lane) }, inputs)),
  };
}

/** parts [parts], divisor [1] -> loss [1]. */
function total(parts: number): Kernel {
  const bindings: Binding[] = [
    { name: "parts", access: "read", dtype: "f32", length: parts },
    { name: "divisor", access: "read", dtype: "f32", length: 1 },
    { name: "loss", access: "write", dtype: "f32", length: 1 },
  ];
  const uniforms: UniformField[] = [{ name: "parts", type: "u32", value: parts }];
  return {
    name: "elementLoss.total",
    wgsl: `${declare(bindings, uniforms)}
var<workgroup> shares: array<f32, ${team}>;
@compute @workgroup_size(${team})
fn main(@builtin(local_invocation_index) local: u32) {
  var share = 0.0;
  for (var i = local; i < params.parts; i += ${team}u) { share += parts[i]; }
${addShares}
  if (local == 0u) { loss[0] = shares[0] / max(divisor[0], ${leastDivisor}); }
}
`,
    bindings,
    uniforms,
    grid: [1, 1, 1],
    cost: { flops: parts, bytes: 4 * parts },
    reference: (inputs) => totalReference(parts, inputs),
  };
}
