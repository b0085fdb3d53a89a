import { attention as attentionKernels, type AttentionOptions as KernelOptions, sequenceOf, ShapeError } from "@distilldrive/kernels";
import { graphOf, type Operand, type Tensor } from "../graph.js";
import type { Draw, OpDefinition, Sample, SampleInput } from "../op.js";
import { formatType, type TensorType, typeOf } from "../shape.js";
import { defineKernelOp, renameTensors } from "./kernel-op.js";

/** Variants of attention. Optional inputs follow in the order mask, random key. */
interface AttentionAttributes {
  readonly heads: number;
  /** Fourth input: keyPaddingMask [B, Lk], nonzero = the key is ignored. */
  readonly mask: boolean;
  /** Probability that a weight is dropped; above 0 the last input is the random key. */
  readonly dropout: number;
  readonly opId: number;
}

function optionsOf([q, k, v]: readonly TensorType[], { heads, mask, dropout, opId }: AttentionAttributes): KernelOptions {
  const [batch = 0, queries = 0, width = 0] = q?.shape ?? [];
  return { batch, queries, keys: k?.shape[1] ?? 0, heads, dim: width / heads, valueDim: (v?.shape[2] ?? 0) / heads, mask, dropout, opId };
}

const optionalNames = ({ mask }: AttentionAttributes, name: string): Record<string, string> =>
  mask ? { keyPaddingMask: `${name}0`, key: `${name}1` } : { key: `${name}0` };

/** Multi-head attention, fused: softmax(q kᵀ / sqrt(d)) v per head; nothing of size Lq x Lk is stored. */
export const attentionOp: OpDefinition<AttentionAttributes> = defineKernelOp({
  name: "attention",
  inputs: ["q", "k", "v", "optional..."],
  outputs: ["out", "logSumExp"],
  shape: (inputs, attributes) => {
    const [q, k, v] = inputs;
    const { batch, queries, keys, dim, valueDim = 0 } = optionsOf(inputs, attributes);
    const fits =
      inputs.slice(0, 3).every((type) => type.shape.length === 3 && type.shape[0] === batch) && k?.shape[2] === q?.shape[2] && v?.shape[1] === keys && Number.isInteger(dim) && Number.isInteger(valueDim);
    if (!fits) {
      throw new ShapeError(
        `attention: shapes do not fit, expected q [B, Lq, D], k [B, Lk, D], v [B, Lk, Dv] with widths divisible by ${attributes.heads} heads, got ${[q, k, v].map((type) => (type ? formatType(type) : "nothing")).join(", ")}.`,
      );
    }
    const mask = attributes.mask ? inputs[3] : undefined;
    if (mask && (mask.shape[0] !== batch || mask.shape[1] !== keys)) throw new ShapeError(`attention: keyPaddingMask does not fit, expected f32[${batch}, ${keys}], got ${formatType(mask)}.`);
    return [typeOf([batch, queries, v?.shape[2] ?? 0]), typeOf([batch, attributes.heads, queries])];
  },
  kernels: ({ target, inputs, attributes }) =>
    renameTensors(sequenceOf(attentionKernels.forward(optionsOf(inputs, attributes), target)), optionalNames(attributes, "optional")),
  // Dropout counts weights by their place among all queries, so with it the queries stay together.
  along: (axis, inputs, { dropout }) => (axis === 1 && dropout === 0 ? { inputs: inputs.map((_, position) => (position === 0 ? 1 : null)) } : undefined),
  vjp: {
    saves: ["q", "k", "v", "out", "logSumExp"],
    differentiable: ["out"],
    recompute: "costly",
    rule: ({ inputs, outputs: [out, logSumExp], cotangents: [dy], attributes }) => {
      const [q, k, v, ...optional] = inputs;
      if (!q || !k || !v || !out || !logSumExp || !dy) return [];
      return q.graph.apply(attentionBackwardOp, [q, k, v, out, logSumExp, dy, ...optional], attributes);
    },
  },
  tolerance: (inputs) => ({ terms: 8 + (inputs[1]?.shape[1] ?? 0) + (inputs[0]?.shape[2] ?? 0), scale: 2 }),
  samples: (draw) => attentionSample(draw, []),
});

/** Gradient of attention; weights are recomputed from q, k and logSumExp. */
export const attentionBackwardOp: OpDefinition<AttentionAttributes> = defineKernelOp({
  name: "attentionBackward",
  inputs: ["q", "k", "v", "out", "logSumExp", "dout", "optional..."],
  outputs: ["dq", "dk", "dv"],
  shape: (inputs) => inputs.slice(0, 3).map((type) => typeOf(type.shape)),
  kernels: ({ target, inputs, attributes }) =>
    renameTensors(attentionKernels.backward(optionsOf(inputs, attributes), target), optionalNames(attributes, "optional")),
  vjp: { none: "second derivatives are not needed" },
  tolerance: (inputs) => ({ terms: 64 + (inputs[1]?.shape[1] ?? 0) * 4, scale: 16 }),
  samples: (draw) => attentionSample(draw, ["out", "logSumExp", "dout"]),
});

function attentionSample(draw: Draw, saved: readonly string[]): Sample<AttentionAttributes> {
  const heads = draw.pick([1, 2, 4]);
  const [batch, queries, keys] = [draw.size(4), draw.size(20), draw.size(20)];
  const [dim, valueDim] = [draw.pick([1, 3, 4, 8, 16]), draw.pick([2, 4, 8])];
  const mask = draw.boolean();
  const dropout = draw.integer(0, 2) === 0 ? 0.25 : 0;
  const small = (shape: readonly number[]): SampleInput => ({ ...typeOf(shape), range: [-1, 1] });
  const extra: Record<string, SampleInput> = {
    out: small([batch, queries, heads * valueDim]),
    logSumExp: { ...typeOf([batch, heads, queries]), range: [3, 5] },
    dout: small([batch, queries, heads * valueDim]),
  };
  return {
    inputs: [
      small([batch, queries, heads * dim]),
      small([batch, keys, heads * dim]),
      small([batch, keys, heads * valueDim]),
      ...saved.flatMap((name) => extra[name] ?? []),
      ...(mask ? [{ ...typeOf([batch, keys]), mask: true }] : []),
      ...(dropout > 0 ? [{ ...typeOf([4], "u32"), range: [0, 1000] as const }] : []),
    ],
    attributes: { heads, mask, dropout, opId: draw.integer(0, 5) },
  };
}

/** Options of {@link attention}. */
export interface AttentionOptions {
  readonly heads: number;
  /** [B, Lk], nonzero = the key is ignored. Where all keys are ignored the result is zero. */
  readonly keyPaddingMask?: Operand;
  /** Drops attention weights; `key` is the run's random key u32[4]. */
  readonly dropout?: { readonly rate: number; readonly key: Tensor };
}

/**
 * Multi-head attention over projected queries, keys and values.
 * @param q [B, Lq, D]
 * @param k [B, Lk, D]
 * @param v [B, Lk, Dv]
 * @returns [B, Lq, Dv]
 * @throws ShapeError
 */
export function attention(q: Tensor, k: Tensor, v: Tensor, { heads, keyPaddingMask, dropout }: AttentionOptions): Tensor {
  const graph = graphOf("attention", [q, k, v]);
  const rate = dropout?.rate ?? 0;
  const optional = [...(keyPaddingMask === undefined ? [] : [keyPaddingMask]), ...(dropout && rate > 0 ? [dropout.key] : [])];
  const attributes = { heads, mask: keyPaddingMask !== undefined, dropout: rate, opId: rate > 0 ? graph.nextRandomOp() : 0 };
  const [out] = graph.apply(attentionOp, [q, k, v, ...optional], attributes);
  return out ?? q;
}
