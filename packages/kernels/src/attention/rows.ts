import type { Binding, Kernel, UniformField } from "../kernel.js";
import { declare, foldedGrid, foldedWidth } from "../wgsl.js";
import { attentionUniforms, hiddenBelow, hiddenPenalty, ln2, log2e, lowestScore, scoreWgsl, streamWgsl } from "./parameters.js";
import { attentionReference } from "./reference.js";
import { attentionCost, attentionTensors, forwardBindings, maskBindings, type AttentionShape } from "./shape.js";
import { pickGradients } from "./tile-backward.js";
import { elementOf, loadWidth, variantName, widthsOf } from "./tile.js";

/** Keys an invocation meets at once. */
const block = 4;
/** Keys that one block holds. */
export const mostKeysAtOnce = block;
/** Invocations of a workgroup; these kernels know no lane but their own. */
const lanes = 64;
/** Invocations that read ahead together: those a CPU driver runs at once. */
const team = 8;
/** Bytes of a cache line. */
const line = 64;
/** Elements of a batch element's keys (and values) up to which reading ahead pays: they must stay in the first caches. */
const mostTouched = 8192;

const each = (line: (r: number) => string): string => Array.from({ length: block }, (_, r) => line(r)).join("\n");

/** Where the rows of the four keys from j0 on start, and their scores before the product: 0, or far below for keys that do not count. */
function keyBlock({ mask, additive }: AttentionShape): string {
  return `${each((r) => `
    let key${r} = min(j0 + ${r}u, key_end - 1u);
    let k_at${r} = ((b * params.keys + key${r}) * params.heads + h) * score_width;
    let v_at${r} = ((b * params.keys + key${r}) * params.heads + h) * value_width;
    let start${r} = select(0.0, ${hiddenPenalty}, j0 + ${r}u >= params.keys${mask ? ` || keyPaddingMask[b * params.keys + key${r}] != 0.0` : ""})${additive === "none" ? "" : ` + additive(b * params.additive_batch + h * params.additive_head + i * params.keys + key${r})`};`)}`;
}

/**
 * Uniforms of {@link touch}: how many vectors (or elements) of each tensor a batch element has; 0 where those are too many.
 */
function touchUniforms({ queries, keys, heads, dim, valueDim }: AttentionShape): UniformField[] {
  const size = (count: number, width: number): number => (count * width > mostTouched ? 0 : (count * width) / loadWidth(width));
  return [
    { name: "touch_q", type: "u32", value: size(queries * heads, dim) },
    { name: "touch_k", type: "u32", value: size(keys * heads, dim) },
    { name: "touch_v", type: "u32", value: size(keys * heads, valueDim) },
    { name: "touch_o", type: "u32", value: size(queries * heads, valueDim) },
  ];
}

/**
 * Reads one number of every cache line of the batch elements that start among the rows of a team, line by line, into `touched`. The rows
 * of neighbouring lanes lie a head's width apart, a pattern that a CPU does not see coming: it would wait for memory in most loads.
 * Lines in order it fetches ahead, and eight at a time.
 * @param rows WGSL expression: rows of a batch element
 * @param buffers name, its uniform and its element type
 */
function touch(rows: string, buffers: readonly (readonly [name: string, size: string, element: "vec4f" | "f32"])[]): string {
  const step = (element: string): number => line / (element === "vec4f" ? 16 : 4);
  return `var touched = 0.0;
  {
    let first = index / ${team}u * ${team}u;
    let begin = (first + ${rows} - 1u) / ${rows};
    let end = min(params.batch, (first + ${team - 1}u + ${rows}) / ${rows});
${buffers.map(([name, size, element]) => `for (var l = begin * params.${size} + lane % ${team}u * ${step(element)}u; l < end * params.${size}; l += ${team * step(element)}u) { touched += ${name}[l]${element === "vec4f" ? ".x" : ""}; }`).join("\n")}
  }`;
}

/** What is stored for `value`; no batch is empty, but a compiler does not know and keeps what was touched. */
const keepTouched = (value: string): string => `select(${value}, touched, params.batch == 0u)`;

/** Adds up a vector's components. */
const total = (name: string, element: string): string => (element === "f32" ? name : `((${name}.x + ${name}.y) + (${name}.z + ${name}.w))`);

/** A form of the kernels below. */
export interface RowsForm {
  /**
   * One block holds all keys, at most {@link mostKeysAtOnce}: there is no walk along them, and no sum in memory to continue. To ask at
   * every vector whether there is one costs up to a tenth of the time.
   */
  readonly once: boolean;
}

/** Opens the walk along the keys. */
const blocks = (once: boolean): string => (once ? "{ let j0 = 0u;" : `for (var j0 = 0u; j0 < key_end; j0 += ${block}u) {`);

/**
 * Forward kernel for CPU drivers and few queries: each lane walks along the keys of its own row, four at a time, and shares nothing.
 */
export function rowsForward(shape: AttentionShape, { once }: RowsForm): Kernel {
  const { batch, queries, heads, dim, valueDim, dropout } = shape;
  const bindings = forwardBindings(shape);
  const uniforms = [...attentionUniforms(shape), ...touchUniforms(shape)];
  const [score, value] = [elementOf(dim), elementOf(valueDim)];
  const wgsl = `${declare(bindings, uniforms, { q: score, k: score, v: value, out: value })}
${scoreWgsl(shape)}
@compute @workgroup_size(${lanes})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let index = (group.x + group.y * ${foldedWidth}u) * ${lanes}u + lane;
  if (index >= params.batch * params.heads * params.queries) { return; }
  ${streamWgsl(shape)}
  let h = index % params.heads;
  let i = index / params.heads % params.queries;
  let b = index / (params.heads * params.queries);
  let row = (b * params.heads + h) * params.queries + i;
  ${widthsOf(shape).declare}
  ${touch("(params.heads * params.queries)", [["q", "touch_q", score], ["k", "touch_k", score], ["v", "touch_v", value]])}
  let q_at = index * score_width;
  let o_at = index * value_width;
  var highest = ${lowestScore};
  var sum = 0.0;
  let key_end = max(params.keys, 1u);
  ${blocks(once)}
${keyBlock(shape)}
${each((r) => `var s${r} = ${score}();`)}
    for (var l = 0u; l < score_width; l += 1u) {
      let x = q[q_at + l];
${each((r) => `s${r} = fma(x, k[k_at${r} + l], s${r});`)}
    }
${each((r) => `let score${r} = fma(${log2e} * params.scale, ${total(`s${r}`, score)}, start${r});`)}
    let top = max(max(highest, max(score0, score1)), max(score2, score3));
    let shrink = exp2(highest - top);
    highest = top;
${each((r) => `let p${r} = select(exp2(score${r} - top), 0.0, score${r} < ${hiddenBelow});`)}
    sum = sum * shrink + ((p0 + p1) + (p2 + p3));
    let last = select(1.0, select(0.0, 1.0 / max(sum, 0.5), sum > 0.5), j0 + ${block}u >= params.keys);
${each((r) => `let share${r} = last * p${r}${dropout > 0 ? ` * kept(stream, row * params.keys + j0 + ${r}u)` : ""};`)}
    for (var l = 0u; l < value_width; l += 1u) {
      var x = ${value}();
      ${once ? "" : "if (j0 > 0u) { x = last * shrink * out[o_at + l]; }"}
${each((r) => `x = fma(${value}(share${r}), v[v_at${r} + l], x);`)}
      out[o_at + l] = x;
    }
  }
  logSumExp[row] = ${keepTouched(`select(0.0, ${ln2} * (highest + log2(max(sum, 0.5))), sum > 0.5)`)};
}
`;
  return {
    name: `attention.forward.rows${once ? ".once" : ""}${variantName(shape)}`,
    wgsl,
    bindings,
    uniforms,
    grid: foldedGrid(Math.ceil((batch * heads * queries) / lanes)),
    cost: attentionCost(shape, bindings, 2 * dim + 2 * valueDim + 5),
    reference: (inputs) => attentionReference(shape, inputs),
  };
}

/**
 * The whole gradient in one kernel, for CPU drivers and few queries: each lane has a (batch, head) of its own, walks along its queries
 * and keys, and adds to dq, dk and dv where they lie.
 */
export function rowsBackward(shape: AttentionShape, { once }: RowsForm): Kernel {
  const { batch, queries, heads, dim, valueDim, dropout } = shape;
  // With one query there is nothing to add to what lies in memory already.
  const single = queries === 1;
  const { q, k, v, key, out, logSumExp } = attentionTensors(shape);
  const bindings: Binding[] = [
    ...[q, k, v, ...maskBindings(shape), ...(dropout > 0 ? [key] : []), out, logSumExp, { ...out, name: "dout" }],
    ...[{ ...q, name: "dq" }, { ...k, name: "dk" }, { ...v, name: "dv" }].map((binding) => ({ ...binding, access: "write" as const })),
  ];
  const uniforms = [...attentionUniforms(shape), ...touchUniforms(shape)];
  const [score, value] = [elementOf(dim), elementOf(valueDim)];
  const firstBlock = (line: string): string => (once ? line : `if (j0 == 0u) { ${line} }`);
  const continued = (sum: string, from: string): string => (single ? "" : `if (i > 0u) { ${sum} += ${from}; }`);
  const slope = (r: number): string => `params.scale * p${r} * (keep${r} * ${total(`t${r}`, value)} - mean)`;
  const wgsl = `${declare(bindings, uniforms, { q: score, k: score, v: value, out: value, dout: value, dq: score, dk: score, dv: value })}
${scoreWgsl(shape)}
@compute @workgroup_size(${lanes})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let index = (group.x + group.y * ${foldedWidth}u) * ${lanes}u + lane;
  if (index >= params.batch * params.heads) { return; }
  ${streamWgsl(shape)}
  let h = index % params.heads;
  let b = index / params.heads;
  ${widthsOf(shape).declare}
  ${touch("params.heads", [["q", "touch_q", score], ["k", "touch_k", score], ["v", "touch_v", value], ["out", "touch_o", value], ["dout", "touch_o", value]])}
  let key_end = max(params.keys, 1u);
  let query_end = max(params.queries, 1u);
  ${single ? "{ let i = 0u;" : "for (var i = 0u; i < query_end; i += 1u) {"}
  let q_at = ((b * params.queries + i) * params.heads + h) * score_width;
  let o_at = ((b * params.queries + i) * params.heads + h) * value_width;
  let row = index * params.queries + i;
  let log_sum = ${log2e} * logSumExp[row];
  var mean = 0.0;
  ${blocks(once)}
${keyBlock(shape)}
${each((r) => `var s${r} = ${score}(); var t${r} = ${value}();`)}
    for (var l = 0u; l < score_width; l += 1u) {
      let x = q[q_at + l];
${each((r) => `s${r} = fma(x, k[k_at${r} + l], s${r});`)}
    }
    var product = ${value}();
    for (var l = 0u; l < value_width; l += 1u) {
      let x = dout[o_at + l];
      ${firstBlock("product = fma(x, out[o_at + l], product);")}
${each((r) => `t${r} = fma(x, v[v_at${r} + l], t${r});`)}
    }
    ${firstBlock(`mean = ${total("product", value)};`)}
${each((r) => `
    let score${r} = fma(${log2e} * params.scale, ${total(`s${r}`, score)}, start${r});
    let exists${r} = j0 + ${r}u < params.keys;
    let p${r} = select(exp2(score${r} - log_sum), 0.0, score${r} < ${hiddenBelow} || params.queries == 0u);
    let keep${r} = ${dropout > 0 ? `kept(stream, row * params.keys + j0 + ${r}u)` : "1.0"};
    let share${r} = keep${r} * p${r};
    let slope${r} = ${r === 0 ? keepTouched(slope(r)) : slope(r)};`)}
    for (var l = 0u; l < value_width; l += 1u) {
      let x = dout[o_at + l];
${each((r) => `if (exists${r}) { var sum = share${r} * x; ${continued("sum", `dv[v_at${r} + l]`)} dv[v_at${r} + l] = sum; }`)}
    }
    for (var l = 0u; l < score_width; l += 1u) {
      let x = q[q_at + l];
      var y = ${score}();
      ${once ? "" : "if (j0 > 0u) { y = dq[q_at + l]; }"}
${each((r) => `y = fma(${score}(slope${r}), k[k_at${r} + l], y);`)}
      ${single ? "dq[q_at + l] = y;" : "if (params.queries > 0u) { dq[q_at + l] = y; }"}
${each((r) => `if (exists${r}) { var sum = slope${r} * x; ${continued("sum", `dk[k_at${r} + l]`)} dk[k_at${r} + l] = sum; }`)}
    }
  }
  }
}
`;
  return {
    name: `attention.backward.rows${once ? ".once" : ""}${single ? ".single" : ""}${variantName(shape)}`,
    wgsl,
    bindings,
    uniforms,
    grid: foldedGrid(Math.ceil((batch * heads) / lanes)),
    cost: attentionCost(shape, bindings, 6 * dim + 4 * valueDim + 5),
    reference: (inputs) => pickGradients(shape, inputs, ["dq", "dk", "dv"]),
  };
}
