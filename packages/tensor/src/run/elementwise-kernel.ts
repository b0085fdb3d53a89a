import { type Arrays, declare, foldedGrid, foldedWidth, type Binding, type Kernel, type UniformField } from "@distilldrive/kernels";
import { GraphError } from "../errors.js";
import type { Tensor } from "../graph.js";
import { literal } from "../wgsl-literal.js";
import { bytesOf } from "../op.js";
import { type Shape, sizeOf, stridesOf } from "../shape.js";
import type { FusedGroup } from "../transform/fuse.js";

const workgroupSize = 64;

/**
 * Writes the kernel of a fused group. Axes that all inputs walk alike are merged, sizes and strides are uniforms, so
 * the WGSL text depends only on the expressions and on which merged axes each input is broadcast along.
 */
export function elementwiseKernel(group: FusedGroup): Kernel {
  const shape = group.output.shape;
  const { dims, strides } = mergeAxes(
    shape,
    group.inputs.map((input) => input.shape),
  );
  const inner = dims.at(-1) ?? 1;
  const width = inner % 4 === 0 && inner > 0 ? 4 : 1;
  const count = sizeOf(shape);
  const names = new Map(group.inputs.map((input, position) => [input, `x${position}`]));

  const bindings: Binding[] = group.inputs.map((input, position) => ({
    name: `x${position}`,
    access: "read",
    dtype: input.dtype,
    length: sizeOf(input.shape),
  }));
  bindings.push({ name: "y", access: "write", dtype: "f32", length: count });
  const uniforms: UniformField[] = [{ name: "count", type: "u32", value: count / width }];
  const elements: Record<string, string> = width === 4 ? { y: "vec4f" } : {};

  const body: string[] = [];
  const needsIndex = strides.some((own) => !isWhole(own, dims) && own.some((stride) => stride !== 0));
  if (needsIndex) {
    body.push("var rest = i;");
    for (let axis = dims.length - 1; axis >= 0; axis--) {
      if (axis === 0) body.push(`let c0 = rest;`);
      else {
        uniforms.push({ name: `d${axis}`, type: "u32", value: dims[axis] ?? 1 });
        body.push(`let c${axis} = rest % params.d${axis};`, `rest = rest / params.d${axis};`);
      }
    }
  }
  group.inputs.forEach((input, position) => {
    const own = strides[position] ?? [];
    const terms: string[] = [];
    if (isWhole(own, dims)) terms.push("i");
    else {
      own.forEach((stride, axis) => {
        if (stride === 0) return;
        if (stride === 1) terms.push(`c${axis}`);
        else {
          uniforms.push({ name: `s${position}_${axis}`, type: "u32", value: stride });
          terms.push(`c${axis} * params.s${position}_${axis}`);
        }
      });
    }
    const offset = terms.length > 0 ? terms.join(" + ") : "0u";
    const vector = width === 4 && own.at(-1) === 1;
    if (vector) elements[`x${position}`] = { f32: "vec4f", i32: "vec4i", u32: "vec4u" }[input.dtype];
    const element = `x${position}[${vector ? `(${offset}) / 4u` : offset}]`;
    body.push(`let v${position} = T(${vector || input.dtype === "f32" ? element : `f32(${element})`});`);
  });

  const inside = new Set(group.nodes);
  const reference = (tensor: Tensor): string => {
    if (tensor.node.source?.kind === "literal") return `T(${literal(tensor.node.source.value)})`;
    if (inside.has(tensor.node)) return `t${group.nodes.indexOf(tensor.node)}`;
    const name = names.get(tensor);
    if (!name) throw new GraphError(`fusion: ${tensor.toString()} is neither inside the group nor one of its inputs.`);
    return `v${name.slice(1)}`;
  };
  const functions = new Set<string>();
  group.nodes.forEach((node, position) => {
    if (node.op?.lower.kind !== "elementwise") return;
    if (node.op.lower.functions !== undefined) functions.add(node.op.lower.functions);
    body.push(`let t${position} = ${node.op.lower.expression(node.inputs.map(reference), node.attributes as never)};`);
  });

  const wgsl = `${declare(bindings, uniforms, elements)}
alias T = ${width === 4 ? "vec4f" : "f32"};
alias U = ${width === 4 ? "vec4u" : "u32"};
${[...functions].join("\n")}
@compute @workgroup_size(${workgroupSize})
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
  let slot = (workgroup.x + workgroup.y * ${foldedWidth}u) * ${workgroupSize}u + lane;
  if (slot >= params.count) {
    return;
  }
  let i = slot * ${width}u;
  ${body.join("\n  ")}
  y[slot] = t${group.nodes.length - 1};
}
`;
  return {
    name: `elementwise.${nameOf(group)}`,
    wgsl,
    bindings,
    uniforms,
    grid: foldedGrid(Math.ceil(count / width / workgroupSize)),
    cost: {
      flops: group.nodes.reduce((flops, node) => flops + (node.op?.cost(node.inputs.map((t) => t.type), node.outputs.map((t) => t.type), node.attributes as never).flops ?? 0), 0),
      bytes: bytesOf(group.inputs.map((input) => input.type), [group.output.type]),
    },
    reference: (arrays) => ({ y: evaluate(group, arrays) }),
  };
}

function nameOf(group: FusedGroup): string {
  const names = group.nodes.map((node) => node.op?.name ?? "");
  return names.length <= 4 ? names.join("+") : `${names.slice(0, 3).join("+")}+${names.length - 3} more`;
}

/** Whether an input has every element of the output, in the same order. */
function isWhole(strides: readonly number[], dims: Shape): boolean {
  const whole = stridesOf(dims);
  return strides.every((stride, axis) => stride === whole[axis] || dims[axis] === 1);
}

/** Merges neighbouring output axes that every input walks as one; a broadcast axis has stride 0. */
function mergeAxes(shape: Shape, inputs: readonly Shape[]): { dims: number[]; strides: number[][] } {
  const full = inputs.map((input) => {
    const own = stridesOf(input);
    return shape.map((_, axis) => {
      const k = axis - shape.length + input.length;
      return k < 0 || input[k] === 1 ? 0 : (own[k] ?? 0);
    });
  });
  const dims: number[] = [];
  const strides: number[][] = inputs.map(() => []);
  shape.forEach((n, axis) => {
    if (n === 1) return;
    const last = dims.length - 1;
    const joins = last >= 0 && full.every((own, input) => strides[input]?.[last] === (own[axis] ?? 0) * n);
    if (joins) dims[last] = (dims[last] ?? 1) * n;
    else dims.push(n);
    strides.forEach((own, input) => {
      own[dims.length - 1] = full[input]?.[axis] ?? 0;
    });
  });
  if (dims.length === 0) {
    dims.push(1);
    for (const own of strides) own.push(0);
  }
  return { dims, strides };
}

function evaluate(group: FusedGroup, arrays: Arrays): Float64Array {
  const values = new Map<Tensor, Float64Array>();
  group.inputs.forEach((input, position) => values.set(input, arrays[`x${position}`] ?? new Float64Array(0)));
  for (const node of group.nodes) {
    const inputs = node.inputs.map((tensor) => {
      const { source } = tensor.node;
      return source?.kind === "literal" ? Float64Array.of(source.value) : (values.get(tensor) ?? new Float64Array(0));
    });
    const results = node.op?.reference(inputs, node.attributes as never, {
      inputs: node.inputs.map((input) => input.type),
      outputs: node.outputs.map((output) => output.type),
    });
    node.outputs.forEach((output, position) => values.set(output, results?.[position] ?? new Float64Array(0)));
  }
  return values.get(group.output) ?? new Float64Array(0);
}
