import { declare, foldedGrid, foldedWidth, type Binding, type Kernel, type KernelTarget, type UniformField } from "@distilldrive/kernels";
import { bytesOf } from "../op.js";
import { sizeOf, stridesOf } from "../shape.js";
import type { FusedGroup } from "../transform/fuse.js";
import { evaluate, expressions, flopsOf, load, nameOf, vectorTypes } from "./expressions.js";
import { mergeAxes, type MergedAxes } from "./merge-axes.js";

/** Invocations of a workgroup. */
const team = 64;
/** Most steps of an invocation on CPU drivers, where a workgroup and the divisions that place an item cost more than the work. */
const mostSteps = 16;
/** Workgroups that keep the cores of a CPU busy. */
const workgroupsWanted = 16;

/**
 * Writes the kernel of a fused group. Axes that all inputs walk alike are merged, sizes and strides are uniforms, so
 * the WGSL text depends only on the expressions and on which merged axes each input is broadcast along. Four neighbouring
 * elements move at a time where the innermost merged axis allows it. An invocation walks along one axis: what is broadcast along
 * it is loaded once, and its place is worked out once.
 */
export function elementwiseKernel(group: FusedGroup, target: KernelTarget): Kernel {
  const count = sizeOf(group.output.shape);
  const bindings: Binding[] = group.inputs.map((input, position) => ({ name: `x${position}`, access: "read", dtype: input.dtype, length: sizeOf(input.shape) }));
  bindings.push({ name: "y", access: "write", dtype: "f32", length: count });
  const axes = mergeAxes(
    group.output.shape,
    group.inputs.map((input) => input.shape),
  );
  const plan = axes.dims.length === 1 ? linePlan(group, axes, count, target) : gridPlan(group, axes, target);
  const { lines, functions } = expressions(group);
  return {
    name: `elementwise.${nameOf(group.nodes)}`,
    wgsl: `${declare(bindings, plan.uniforms, plan.elements)}
alias T = ${plan.wide ? "vec4f" : "f32"};
alias U = ${plan.wide ? "vec4u" : "u32"};
${functions}
@compute @workgroup_size(${team})
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
${plan.main(lines, `t${group.nodes.length - 1}`)}
}
`,
    bindings,
    uniforms: plan.uniforms,
    grid: plan.grid,
    cost: {
      flops: flopsOf(group),
      bytes: bytesOf(group.inputs.map((input) => input.type), [group.output.type]),
    },
    reference: (arrays) => ({ y: evaluate(group, arrays)(group.output) }),
  };
}

/** How elements are spread over invocations. */
interface ElementPlan {
  readonly wide: boolean;
  readonly uniforms: readonly UniformField[];
  readonly elements: Readonly<Record<string, string>>;
  readonly grid: readonly [number, number, number];
  /** The entry point's body: loads `v0`, `v1`, ..., runs the lines and stores the result. */
  main(lines: readonly string[], result: string): string;
}

/** Steps an invocation takes when it could take up to `length`. */
function stepsFor(items: number, length: number, target: KernelTarget): number {
  return target.class === "software" ? Math.max(1, Math.min(mostSteps, length, Math.floor(items / (team * workgroupsWanted)))) : 1;
}

/** One merged axis: every input has all elements in order, or is one number. Three elements behind the last whole four are stored singly. */
function linePlan(group: FusedGroup, { strides }: MergedAxes, count: number, target: KernelTarget): ElementPlan {
  const items = Math.ceil(count / 4);
  const ragged = count % 4 !== 0;
  const steps = stepsFor(items, mostSteps, target);
  const elements: Record<string, string> = { y: "vec4f" };
  const [once, each]: [string[], string[]] = [[], []];
  group.inputs.forEach((input, position) => {
    const whole = strides[position]?.[0] === 1;
    if (whole) elements[`x${position}`] = vectorTypes[input.dtype];
    (whole ? each : once).push(load(input, position, whole ? "item" : "0u", whole));
  });
  return {
    wide: true,
    elements,
    uniforms: [
      { name: "items", type: "u32", value: items },
      { name: "steps", type: "u32", value: steps },
      ...(ragged ? [{ name: "count", type: "u32", value: count } as const] : []),
    ],
    grid: foldedGrid(Math.ceil(items / (team * steps))),
    main: (lines, result) => `  let first = (workgroup.x + workgroup.y * ${foldedWidth}u) * ${team}u * params.steps;
  let end = min(params.items, first + ${team}u * params.steps);
  ${once.join("\n  ")}
  for (var item = first + lane; item < end; item += ${team}u) {
    ${[...each, ...lines].join("\n    ")}
    ${ragged ? raggedStore(result) : `y[item] = ${result};`}
  }`,
  };
}

/** Stores what lies before the end of the array. */
function raggedStore(result: string): string {
  const singles = ["x", "y", "z"].map((part, i) => `if (4u * item + ${i}u < params.count) { y[item].${part} = ${result}.${part}; }`);
  return `if (4u * item + 3u < params.count) { y[item] = ${result}; } else {\n      ${singles.join("\n      ")}\n    }`;
}

/** Several merged axes, one of which an invocation walks along. */
function gridPlan(group: FusedGroup, { dims, strides }: MergedAxes, target: KernelTarget): ElementPlan {
  const last = dims.length - 1;
  const wide = (dims[last] ?? 1) % 4 === 0;
  const lanes = dims.map((n, axis) => (axis === last && wide ? n / 4 : n));
  // Walk where more inputs stand still, along rows or down columns.
  const still = (axis: number): number => strides.filter((own) => own[axis] === 0).length;
  const walked = still(last) > still(last - 1) ? last : last - 1;
  const steps = stepsFor(sizeOf(lanes), lanes[walked] ?? 1, target);
  const places = lanes.map((n, axis) => (axis === walked ? Math.ceil(n / steps) : n));
  const items = sizeOf(places);

  const uniforms: UniformField[] = [
    { name: "items", type: "u32", value: items },
    { name: "steps", type: "u32", value: steps },
    { name: "extent", type: "u32", value: lanes[walked] ?? 1 },
  ];
  const setup: string[] = ["var rest = item;"];
  for (let axis = last; axis > 0; axis--) {
    uniforms.push({ name: `d${axis}`, type: "u32", value: places[axis] ?? 1 });
    setup.push(`let above${axis} = rest / params.d${axis};`, `let c${axis} = rest - above${axis} * params.d${axis};`, `rest = above${axis};`);
  }
  setup.push("let c0 = rest;", `let begin = c${walked} * params.steps;`, "let end = min(params.extent, begin + params.steps);");

  /** Index of a tensor as the part that stays and the part that walks. */
  const index = (name: string, own: readonly number[], vector: boolean): { base: string; step: string | undefined } => {
    const terms: string[] = [];
    let step: string | undefined;
    own.forEach((elementStride, axis) => {
      if (elementStride === 0) return;
      const stride = vector && axis !== last ? elementStride / 4 : elementStride;
      const factor = stride === 1 ? "" : ` * params.${name}_${axis}`;
      if (stride !== 1) uniforms.push({ name: `${name}_${axis}`, type: "u32", value: stride });
      if (axis === walked) step = `at${factor}`;
      else terms.push(`c${axis}${factor}`);
    });
    return { base: terms.length > 0 ? terms.join(" + ") : "0u", step };
  };

  const elements: Record<string, string> = wide ? { y: "vec4f" } : {};
  const each: string[] = [];
  group.inputs.forEach((input, position) => {
    const own = strides[position] ?? [];
    const vector = wide && own[last] === 1;
    if (vector) elements[`x${position}`] = vectorTypes[input.dtype];
    const { base, step } = index(`s${position}`, own, vector);
    if (step === undefined) setup.push(load(input, position, base, vector));
    else {
      setup.push(`let base${position} = ${base};`);
      each.push(load(input, position, `base${position} + ${step}`, vector));
    }
  });
  const output = index("sy", stridesOf(dims), wide);
  setup.push(`let base = ${output.base};`);
  return {
    wide,
    elements,
    uniforms,
    grid: foldedGrid(Math.ceil(items / team)),
    main: (lines, result) => `  let item = (workgroup.x + workgroup.y * ${foldedWidth}u) * ${team}u + lane;
  if (item >= params.items) {
    return;
  }
  ${setup.join("\n  ")}
  for (var at = begin; at < end; at++) {
    ${[...each, ...lines].join("\n    ")}
    y[base + ${output.step ?? "0u"}] = ${result};
  }`,
  };
}
