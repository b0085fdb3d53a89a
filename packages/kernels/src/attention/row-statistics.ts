import type { Binding, Kernel, KernelTarget } from "../kernel.js";
import { randomStream, randomWgsl } from "../random/threefry.js";
import { declare, foldedGrid, foldedWidth } from "../wgsl.js";
import { attentionUniforms, streamWgsl } from "./parameters.js";
import { attentionTensors, type AttentionShape, streamFloats } from "./shape.js";

const empty = new Float64Array();

/**
 * What the other kernels of the gradient need of each row of scores: its logSumExp and the product of out and dout, side by
 * side so that one binding serves both; behind the rows the random stream, so that the key needs no binding either.
 * Bindings: out, dout [B, Lq, H dv], logSumExp [B, H, Lq], key [4] u32 (with `dropout`), rowStatistics [B H Lq 2 + 4].
 */
export function rowStatistics(shape: AttentionShape, target: KernelTarget): Kernel {
  const { batch, queries, heads, valueDim, dropout } = shape;
  const { out, logSumExp, key, rowStatistics: statistics } = attentionTensors(shape);
  const bindings: Binding[] = [out, { ...out, name: "dout" }, logSumExp, ...(dropout > 0 ? [key] : []), { ...statistics, access: "write" }];
  const uniforms = attentionUniforms(shape);
  const width = valueDim % 4 === 0 ? 4 : 1;
  const element = width === 4 ? "vec4f" : "f32";
  const workgroup = target.class === "software" ? 8 : 64;
  const rows = batch * heads * queries;
  const wgsl = `${declare(bindings, uniforms, { out: element, dout: element })}
${dropout > 0 ? randomWgsl : ""}
@compute @workgroup_size(${workgroup})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let index = (group.x + group.y * ${foldedWidth}u) * ${workgroup}u + lane;
  let rows = params.batch * params.heads * params.queries;
  if (index == 0u) {
    ${streamWgsl(shape)}
    let words = ${dropout > 0 ? "stream" : "vec2u()"};
    rowStatistics[2u * rows] = f32(words.x & 0xffffu);
    rowStatistics[2u * rows + 1u] = f32(words.x >> 16u);
    rowStatistics[2u * rows + 2u] = f32(words.y & 0xffffu);
    rowStatistics[2u * rows + 3u] = f32(words.y >> 16u);
  }
  if (index >= rows) { return; }
  let i = index % params.queries;
  let h = index / params.queries % params.heads;
  let b = index / (params.queries * params.heads);
  let size = params.value_dim / ${width}u;
  let start = ((b * params.queries + i) * params.heads + h) * size;
  var sum = ${element}();
  for (var l = 0u; l < size; l += 1u) { sum = fma(out[start + l], dout[start + l], sum); }
  rowStatistics[2u * index] = logSumExp[index];
  rowStatistics[2u * index + 1u] = ${width === 4 ? "(sum.x + sum.y) + (sum.z + sum.w)" : "sum"};
}
`;
  return {
    name: "attention.rowStatistics",
    bindings,
    uniforms,
    wgsl,
    grid: foldedGrid(Math.max(1, Math.ceil(rows / workgroup))),
    cost: { flops: 2 * out.length, bytes: 4 * bindings.reduce((sum, { length }) => sum + length, 0) },
    reference({ out: o = empty, dout = empty, logSumExp: lse = empty, key: words = empty }) {
      const result = new Float64Array(2 * rows + streamFloats);
      for (let index = 0; index < rows; index++) {
        const i = index % queries;
        const h = Math.floor(index / queries) % heads;
        const b = Math.floor(index / (queries * heads));
        let dot = 0;
        for (let c = 0; c < valueDim; c++) {
          const at = ((b * queries + i) * heads + h) * valueDim + c;
          dot += (o[at] ?? 0) * (dout[at] ?? 0);
        }
        result[2 * index] = lse[index] ?? 0;
        result[2 * index + 1] = dot;
      }
      const [x, y] = dropout > 0 ? randomStream(words) : [0, 0];
      result.set([x & 0xffff, x >>> 16, y & 0xffff, y >>> 16], 2 * rows);
      return { rowStatistics: result };
    },
  };
}
