import { addPartialSums, type Arrays, type Binding, declare, foldedGrid, foldedWidth, type Kernel, type KernelSequence, type KernelTarget, type UniformField } from "@distilldrive/kernels";
import type { Node, Tensor } from "../graph.js";
import { bytesOf } from "../op.js";
import { type Shape, sizeOf, stridesOf } from "../shape.js";
import { evaluate, expressions, flopsOf, load, nameOf, vectorTypes } from "./expressions.js";
import { mergeAxes } from "./merge-axes.js";

/** Invocations of a workgroup. */
const team = 64;

/** What a pass over a domain [rows, columns] computes; see SumsBody. */
export interface SumsWork {
  readonly nodes: readonly Node[];
  readonly inputs: readonly Tensor[];
  readonly stored: readonly Tensor[];
  readonly summed: readonly Tensor[];
  readonly domain: Shape;
  readonly columns: number;
  readonly rows: number;
}

/**
 * The pass as kernels: inputs x0, x1, ...; results y0, y1, ..., the stored ones first. An invocation walks down one column (or
 * four neighbouring ones), so that what is broadcast along the rows is loaded once. Where few columns would leave cores idle,
 * chunks of rows are added up side by side and their sums by a second, small dispatch, in a fixed order.
 */
export function sumsKernels(work: SumsWork, target: KernelTarget): KernelSequence {
  const chunk = rowsOfChunk(work, target);
  const chunks = Math.max(1, Math.ceil(work.rows / chunk));
  const pass = passKernel(work, chunk, chunks);
  const bind = Object.fromEntries(pass.bindings.map(({ name }) => [name, name]));
  if (chunks === 1) return { name: pass.name, kernels: [{ kernel: pass, bind }], temporaries: [] };
  const { summed, stored, columns } = work;
  const sums = summed.length;
  return {
    name: pass.name,
    kernels: [
      { kernel: pass, bind },
      { kernel: addPartialSums({ chunks, sums, columns }, target), bind: { partial: "partial", ...Object.fromEntries(summed.map((_, i) => [`y${i}`, `y${stored.length + i}`])) } },
    ],
    temporaries: [{ name: "partial", dtype: "f32", length: chunks * sums * columns }],
  };
}

/** Rows that one invocation adds up: all, unless the pass is long enough to pay for a second dispatch and columns are few. */
function rowsOfChunk({ rows, columns, inputs, stored }: SumsWork, target: KernelTarget): number {
  const software = target.class === "software";
  const lanes = columns / (columns % 4 === 0 ? 4 : 1);
  // A CPU takes about as long for a dispatch as for so many accesses of one core.
  const worthwhile = software ? rows * lanes * (inputs.length + stored.length) > 40_000 : rows >= 128;
  const wanted = worthwhile ? Math.floor((software ? 16 * team : 8192) / lanes) : 1;
  const chunks = Math.min(wanted, Math.floor(rows / 32));
  return chunks < 2 ? Math.max(1, rows) : Math.ceil(rows / chunks);
}

function passKernel(work: SumsWork, chunk: number, chunks: number): Kernel {
  const { inputs, stored, summed, domain, columns, rows, nodes } = work;
  const sums = summed.length;
  // A tensor as wide as a row keeps the axes that are added up apart from those that stay.
  const row = domain.slice(domain.length - trailing(domain, columns));
  const { dims, strides } = mergeAxes(domain, [...inputs.map(({ shape }) => shape), row]);
  const kept = dims.map((_, axis) => strides.at(-1)?.[axis] !== 0);
  const last = dims.length - 1;
  const wide = columns % 4 === 0 && (dims[last] ?? 1) % 4 === 0;
  const [type, width] = wide ? (["vec4f", 4] as const) : (["f32", 1] as const);
  const lanes = columns / width;

  const uniforms: UniformField[] = [
    { name: "items", type: "u32", value: chunks * lanes },
    { name: "lanes", type: "u32", value: lanes },
    { name: "rows", type: "u32", value: rows },
    { name: "chunk", type: "u32", value: chunk },
  ];
  /** Coordinates along several axes, from a number that counts through them. */
  const coordinates = (name: string, axes: readonly number[]): string[] => {
    if (axes.length <= 1) return axes.map((axis) => `let c${axis} = ${name};`);
    const lines = [`var ${name}Rest = ${name};`];
    for (const axis of axes.slice(1).reverse()) {
      uniforms.push({ name: `d${axis}`, type: "u32", value: (dims[axis] ?? 1) / (axis === last ? width : 1) });
      lines.push(`let c${axis} = ${name}Rest % params.d${axis};`, `${name}Rest /= params.d${axis};`);
    }
    return [...lines, `let c${axes[0] ?? 0} = ${name}Rest;`];
  };
  const axes = dims.map((_, axis) => axis);
  const setup = coordinates("column", axes.filter((axis) => kept[axis]));
  const each = coordinates("row", axes.filter((axis) => !kept[axis]));

  const elements: Record<string, string> = {};
  inputs.forEach((input, position) => {
    const own = strides[position] ?? [];
    const vector = wide && own[last] === 1;
    if (vector) elements[`x${position}`] = vectorTypes[input.dtype];
    const terms = own.flatMap((stride, axis) => {
      if (stride === 0) return [];
      const step = vector && axis !== last ? stride / 4 : stride;
      if (step === 1) return [`c${axis}`];
      uniforms.push({ name: `s${position}_${axis}`, type: "u32", value: step });
      return [`c${axis} * params.s${position}_${axis}`];
    });
    const still = own.every((stride, axis) => stride === 0 || kept[axis]);
    (still ? setup : each).push(load(input, position, terms.length > 0 ? terms.join(" + ") : "0u", vector));
  });

  const { lines, functions, nameOf: named } = expressions(work);
  const stores = stored.map((tensor, i) => `y${i}[row * params.lanes + column] = ${named(tensor)};`);
  const results = summed.map((_, i) => (chunks === 1 ? `y${stored.length + i}[column] = s${i};` : `partial[(part * ${sums}u + ${i}u) * params.lanes + column] = s${i};`));
  const bindings: Binding[] = [
    ...inputs.map((input, i): Binding => ({ name: `x${i}`, access: "read", dtype: input.dtype, length: sizeOf(input.shape) })),
    ...stored.map((_, i): Binding => ({ name: `y${i}`, access: "write", dtype: "f32", length: rows * columns })),
    ...(chunks === 1 ? summed.map((_, i): Binding => ({ name: `y${stored.length + i}`, access: "write", dtype: "f32", length: columns })) : []),
    ...(chunks === 1 ? [] : [{ name: "partial", access: "write", dtype: "f32", length: chunks * sums * columns } as const]),
  ];
  for (const { name, access } of bindings) if (access === "write") elements[name] = type;
  return {
    name: `fusedSums.${nodes.length > 0 ? nameOf(nodes) : "columns"}`,
    wgsl: `${declare(bindings, uniforms, elements)}
alias T = ${type};
alias U = ${wide ? "vec4u" : "u32"};
${functions}
@compute @workgroup_size(${team})
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
  let item = (workgroup.x + workgroup.y * ${foldedWidth}u) * ${team}u + lane;
  if (item >= params.items) {
    return;
  }
  let part = item / params.lanes;
  let column = item - part * params.lanes;
  let end = min(params.rows, (part + 1u) * params.chunk);
  ${[...setup, ...summed.map((_, i) => `var s${i} = T();`)].join("\n  ")}
  for (var row = part * params.chunk; row < end; row++) {
    ${[...each, ...lines, ...stores, ...summed.map((tensor, i) => `s${i} += ${named(tensor)};`)].join("\n    ")}
  }
  ${results.join("\n  ")}
}
`,
    bindings,
    uniforms,
    grid: foldedGrid(Math.ceil((chunks * lanes) / team)),
    cost: {
      flops: flopsOf(work) + rows * columns * sums,
      bytes: bytesOf(inputs.map(({ type: each }) => each), stored.map(({ type: each }) => each)) + 4 * chunks * sums * columns,
    },
    reference: (arrays) => reference(work, chunk, chunks, arrays),
  };
}

/** How many trailing axes have this many elements together. */
function trailing(domain: Shape, columns: number): number {
  const strides = stridesOf(domain);
  const first = domain.findIndex((n, axis) => n * (strides[axis] ?? 1) === columns);
  return first < 0 ? 0 : domain.length - first;
}

function reference(work: SumsWork, chunk: number, chunks: number, arrays: Arrays): Record<string, Float64Array> {
  const { stored, summed, rows, columns } = work;
  const valueOf = evaluate(work, arrays);
  const results: Record<string, Float64Array> = Object.fromEntries(stored.map((tensor, i) => [`y${i}`, valueOf(tensor)]));
  const partial = new Float64Array(chunks * summed.length * columns);
  summed.forEach((tensor, sum) => {
    const values = valueOf(tensor);
    for (let row = 0; row < rows; row++) {
      const part = Math.floor(row / chunk) * summed.length + sum;
      for (let column = 0; column < columns; column++) partial[part * columns + column] = (partial[part * columns + column] ?? 0) + (values[row * columns + column] ?? 0);
    }
  });
  if (chunks > 1) return { ...results, partial };
  summed.forEach((_, sum) => (results[`y${stored.length + sum}`] = partial.slice(sum * columns, (sum + 1) * columns)));
  return results;
}
