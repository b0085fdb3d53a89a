import { ShapeError } from "../errors.js";
import type { Binding, Kernel, KernelTarget, UniformField } from "../kernel.js";
import { flatGrid, matrixGrid } from "../flat-grid.js";
import { requireSizes } from "../sizes.js";
import { declare } from "../wgsl.js";
import { sineEmbeddingBackwardReference, sineEmbeddingReference, turnsPerMetre } from "./reference.js";
import type { SineEmbeddingShape } from "./reference.js";

/**
 * Sine embedding of points: position [rows, 2] = (x, y) in metres -> y [rows, hidden] = (embedding of y, embedding of x), each
 * half sin and cos in turn of 2 pi position / 10000^(2k / half) (DETR's embedding as DistillDrive uses it, in metres, not
 * normalised). Accurate to 1e-6 up to 4 km: angles are reduced in turns before any sine is taken.
 * @throws ShapeError when hidden is no multiple of 4
 */
export function sineEmbedding(shape: SineEmbeddingShape, target: KernelTarget): Kernel {
  const { rows, hidden } = shape;
  checkShape("sineEmbedding", shape);
  // A table entry holds two frequencies, which make four neighbouring elements; an odd last one is why there is a narrow form.
  const wide = hidden % 8 === 0;
  const plan = matrixGrid(2 * rows, wide ? hidden / 8 : hidden / 4, target);
  const bindings = [
    { name: "position", access: "read", dtype: "f32", length: rows * 2 },
    { name: "y", access: "write", dtype: "f32", length: rows * hidden },
  ] as const;
  const uniforms = [...frequencyUniforms(hidden), ...plan.uniforms];
  const wgsl =
    declareWithTable(bindings, plan.uniforms, hidden, { y: wide ? "vec4f" : "vec2f" }) +
    sineCosineOfTurns +
    plan.main(
      `    let metres = position[row ^ 1u];
    let whole = round(metres);`,
      `    let f = ${wide ? "params.table[column]" : "vec4f(frequency(column), 0.0, 0.0)"};
    // Whole metres times the upper 12 bits of the frequency is exact below 4096 m, and so is its fraction of a turn.
    let coarse = whole * f.xz;
    let turns = (coarse - round(coarse)) + (whole * f.yw + (metres - whole) * (f.xz + f.yw));
    y[place] = sine_cosine(turns)${wide ? "" : ".xy"};`,
    );
  return {
    name: `sineEmbedding.${plan.variant}${wide ? ".vec4" : ""}`,
    wgsl,
    bindings,
    uniforms,
    grid: plan.grid,
    cost: { flops: 15 * rows * hidden, bytes: 8 * rows + 4 * rows * hidden },
    reference: (inputs) => sineEmbeddingReference(shape, inputs),
  };
}

/**
 * Gradient of {@link sineEmbedding} from its output: y, dy [rows, hidden] -> dposition [rows, 2] (x, y).
 * @throws ShapeError when hidden is no multiple of 4
 */
export function sineEmbeddingBackward(shape: SineEmbeddingShape, target: KernelTarget): Kernel {
  const { rows, hidden } = shape;
  checkShape("sineEmbeddingBackward", shape);
  const items = 2 * rows;
  const plan = flatGrid(items, target, "heavy");
  const bindings = [
    { name: "y", access: "read", dtype: "f32", length: rows * hidden },
    { name: "dy", access: "read", dtype: "f32", length: rows * hidden },
    { name: "dposition", access: "write", dtype: "f32", length: items },
  ] as const;
  const sizes: UniformField[] = [{ name: "items", type: "u32", value: items }, { name: "pairs", type: "u32", value: hidden / 4 }];
  const uniforms = [...frequencyUniforms(hidden), ...sizes];
  const wgsl =
    declareWithTable(bindings, sizes, hidden, { y: "vec2f", dy: "vec2f" }) +
    plan.main(`
    let origin = (item ^ 1u) * params.pairs;
    var total = 0.0;
    for (var k = 0u; k < params.pairs; k++) {
      let f = frequency(k);
      let wave = y[origin + k];
      let slope = dy[origin + k];
      total += (slope.x * wave.y - slope.y * wave.x) * (f.x + f.y);
    }
    dposition[item] = total * ${2 * Math.PI};`);
  return {
    name: "sineEmbeddingBackward",
    wgsl,
    bindings,
    uniforms,
    grid: plan.grid,
    cost: { flops: 3 * rows * hidden, bytes: 8 * rows + 8 * rows * hidden },
    reference: (inputs) => sineEmbeddingBackwardReference(shape, inputs),
  };
}

function checkShape(name: string, { rows, hidden }: SineEmbeddingShape): void {
  requireSizes(name, { rows });
  requireSizes(name, { hidden }, 4);
  if (hidden % 4 !== 0) throw new ShapeError(`${name}: bad size hidden, expected a multiple of 4 (sine and cosine of two coordinates), got ${hidden}. Round it up.`);
}

/** vec4f the frequency table has room for: a power of two, so that few shaders serve all widths. */
function tableSize(hidden: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(4, Math.ceil(hidden / 8))));
}

/** Each frequency as its upper 12 bits and the rest. */
function frequencyUniforms(hidden: number): UniformField[] {
  const uniforms: UniformField[] = [];
  for (let k = 0; k < 2 * tableSize(hidden); k++) {
    const value = k < hidden / 4 ? turnsPerMetre(hidden, k) : 0;
    const upper = upperBits(value);
    uniforms.push({ name: `frequency${k}Upper`, type: "f32", value: upper }, { name: `frequency${k}Rest`, type: "f32", value: value - upper });
  }
  return uniforms;
}

/** A float32 of 12 significant bits, at or just below the value. */
function upperBits(value: number): number {
  const bits = new DataView(new ArrayBuffer(4));
  bits.setFloat32(0, value);
  bits.setUint32(0, bits.getUint32(0) & 0xfffff000);
  return bits.getFloat32(0);
}

/** The uniform fields of {@link frequencyUniforms} as an array that can be indexed, two frequencies per vec4f, then the sizes. */
function declareWithTable(bindings: readonly Binding[], sizes: readonly UniformField[], hidden: number, elements: Readonly<Record<string, string>>): string {
  return `${declare(bindings, [], elements)}struct Params {
  table: array<vec4f, ${tableSize(hidden)}>,
${sizes.map(({ name, type }) => `  ${name}: ${type},`).join("\n")}
}
@group(0) @binding(${bindings.length}) var<uniform> params: Params;
fn frequency(k: u32) -> vec2f {
  let two = params.table[k / 2u];
  return select(two.xy, two.zw, (k & 1u) == 1u);
}
`;
}

/**
 * Sines and cosines of two angles in turns, to float32 precision, in turn. WGSL's own sin may be off by 2^-11, and by anything
 * outside [-pi, pi]. The nearest quarter turn is taken off; the polynomials are those of Cephes' sinf and cosf on [-pi/4, pi/4].
 */
export const sineCosineOfTurns = `
fn sine_cosine(turns: vec2f) -> vec4f {
  let reduced = turns - round(turns);
  let quarter = round(4.0 * reduced);
  let a = (reduced - 0.25 * quarter) * ${2 * Math.PI};
  let z = a * a;
  let s = a + a * z * ((-1.9515295891e-4 * z + 8.3321608736e-3) * z - 1.6666654611e-1);
  let c = 1.0 - 0.5 * z + z * z * ((2.443315711809948e-5 * z - 1.388731625493765e-3) * z + 4.166664568298827e-2);
  let number = vec2i(quarter);
  let odd = (number & vec2i(1)) == vec2i(1);
  let sine = select(s, c, odd);
  let cosine = select(c, -s, odd);
  let sign = select(vec2f(1.0), vec2f(-1.0), (number & vec2i(2)) == vec2i(2));
  return vec4f(sine.x * sign.x, cosine.x * sign.x, sine.y * sign.y, cosine.y * sign.y);
}
`;
