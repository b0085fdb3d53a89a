import { type AdditiveMask, attention as attentionKernels, type AttentionOptions as KernelOptions, sequenceOf, ShapeError } from "@distilldrive/kernels";
import { GraphError } from "../errors.js";
import { graphOf, type Operand, type Tensor } from "../graph.js";
import type { Draw, OpDefinition, Sample, SampleInput } from "../op.js";
import { formatType, type TensorType, typeOf } from "../shape.js";
import { defineKernelOp, renameTensors } from "./kernel-op.js";

/** Variants of attention. Optional inputs follow in the order padding mask, additive mask, random key. */
interface AttentionAttributes {
  readonly heads: number;
  /** Fourth input: keyPaddingMask [B, Lk], nonzero = the key is ignored. */
  readonly mask: boolean;
  /** The axes of additiveMask, the next input: [Lq, Lk], [B, Lq, Lk] or [B, H, Lq, Lk]. */
  readonly additive: AdditiveMask;
  /** Probability that a weight is dropped; above 0 the last input is the random key. */
  readonly dropout: number;
  readonly opId: number;
}

function optionsOf([q, k, v]: readonly TensorType[], { heads, mask, additive, dropout, opId }: AttentionAttributes): KernelOptions {
  const [batch = 0, queries = 0, width = 0] = q?.shape ?? [];
  return { batch, queries, keys: k?.shape[1] ?? 0, heads, dim: width / heads, valueDim: (v?.shape[2] ?? 0) / heads, mask, additive, dropout, opId };
}

/** Names of the optional inputs that are there, in order. */
function optionalInputs({ mask, additive, dropout }: AttentionAttributes): string[] {
  return [...(mask ? ["keyPaddingMask"] : []), ...(additive === "none" ? [] : ["additiveMask"]), ...(dropout > 0 ? ["key"] : [])];
}

const optionalNames = (attributes: AttentionAttributes): Record<string, string> =>
  Object.fromEntries(optionalInputs(attributes).map((name, position) => [name, `optional${position}`]));

/** The axis of an additive mask that runs along the queries. */
const queryAxis = { none: null, shared: 0, batch: 1, head: 2 } as const;

/** Shape of an additive mask by its form. */
function additiveShape(form: AdditiveMask, batch: number, heads: number, queries: number, keys: number): readonly number[] {
  return [...{ none: [], shared: [], batch: [batch], head: [batch, heads] }[form], queries, keys];
}

/** Multi-head attention, fused: softmax(q kᵀ / sqrt(d) + additiveMask) v per head; nothing of size Lq x Lk is stored. */
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
    const additive = inputs[attributes.mask ? 4 : 3];
    if (attributes.additive !== "none" && additive) {
      const expected = additiveShape(attributes.additive, batch, attributes.heads, queries, keys);
      if (additive.dtype !== "f32" || expected.join() !== additive.shape.join()) throw new ShapeError(`attention: additiveMask does not fit, expected ${formatType(typeOf(expected))}, got ${formatType(additive)}.`);
    }
    return [typeOf([batch, queries, v?.shape[2] ?? 0]), typeOf([batch, attributes.heads, queries])];
  },
  kernels: ({ target, inputs, attributes }) =>
    renameTensors(sequenceOf(attentionKernels.forward(optionsOf(inputs, attributes), target)), optionalNames(attributes)),
  // Dropout counts weights by their place among all queries, so with it the queries stay together.
  along: (axis, inputs, { mask, additive, dropout }) => {
    if (axis !== 1 || dropout > 0) return undefined;
    return { inputs: inputs.map((_, position) => (position === 0 ? 1 : position === (mask ? 4 : 3) ? queryAxis[additive] : null)) };
  },
  vjp: {
    saves: ["q", "k", "v", "out", "logSumExp"],
    differentiable: ["out"],
    recompute: "costly",
    rule: ({ inputs, outputs: [out, logSumExp], cotangents: [dy], attributes, needs }) => {
      if (attributes.additive !== "none" && needs[attributes.mask ? 4 : 3]) {
        throw new GraphError("attention: additiveMask gets no gradient, expected a mask that no gradient is asked for, got one that depends on a parameter. Wrap it in stopGradient, or compose the attention of matmul and softmax.");
      }
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
    renameTensors(attentionKernels.backward(optionsOf(inputs, attributes), target), optionalNames(attributes)),
  vjp: { none: "second derivatives are not needed" },
  tolerance: (inputs) => ({ terms: 64 + (inputs[1]?.shape[1] ?? 0) * 4, scale: 16 }),
  samples: (draw) => attentionSample(draw, ["out", "logSumExp", "dout"]),
});

/** Combinations of options that laws try: each is a kernel to compile, and the kernel library tries more. */
const variants = [
  { mask: false, additive: "none", dropout: 0, dims: [[8, 4], [16, 8]] },
  { mask: true, additive: "none", dropout: 0, dims: [[8, 4], [4, 16]] },
  { mask: true, additive: "shared", dropout: 0.25, dims: [[3, 2], [1, 6]] },
  { mask: false, additive: "batch", dropout: 0, dims: [[8, 4], [4, 8]] },
  { mask: true, additive: "head", dropout: 0, dims: [[3, 2], [5, 3]] },
] as const;

function attentionSample(draw: Draw, saved: readonly string[]): Sample<AttentionAttributes> {
  const heads = draw.pick([1, 2, 4]);
  // Short sides, which small tiles serve.
  const [batch, queries, keys] = [draw.size(4), draw.size(12), draw.size(8)];
  const { mask, additive, dropout, dims } = draw.pick(variants);
  const [dim, valueDim] = draw.pick<readonly [number, number]>(dims);
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
      ...(additive === "none" ? [] : [{ ...small(additiveShape(additive, batch, heads, queries, keys)), checkGradient: false as const }]),
      ...(dropout > 0 ? [{ ...typeOf([4], "u32"), range: [0, 1000] as const }] : []),
    ],
    attributes: { heads, mask, additive, dropout, opId: draw.integer(0, 5) },
  };
}

/** The form of an additive mask, by its number of axes. @throws ShapeError */
function formOf(mask: Tensor): AdditiveMask {
  const form = ({ 2: "shared", 3: "batch", 4: "head" } as const)[mask.shape.length];
  if (form === undefined) throw new ShapeError(`attention: additiveMask does not fit, expected [Lq, Lk], [B, Lq, Lk] or [B, H, Lq, Lk], got ${formatType(mask.type)}.`);
  return form;
}

/** Options of {@link attention}. */
export interface AttentionOptions {
  readonly heads: number;
  /** [B, Lk], nonzero = the key is ignored. Where all keys are ignored the result is zero. */
  readonly keyPaddingMask?: Operand;
  /**
   * [Lq, Lk], [B, Lq, Lk] or [B, H, Lq, Lk], added to the scaled scores; finite values, -1e29 and below hide a key. It gets no gradient:
   * asking for one throws a GraphError.
   */
  readonly additiveMask?: Operand;
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
export function attention(q: Tensor, k: Tensor, v: Tensor, { heads, keyPaddingMask, additiveMask, dropout }: AttentionOptions): Tensor {
  const graph = graphOf("attention", [q, k, v]);
  const rate = dropout?.rate ?? 0;
  const added = additiveMask === undefined ? undefined : graph.lift(additiveMask);
  const optional = [...(keyPaddingMask === undefined ? [] : [keyPaddingMask]), ...(added ? [added] : []), ...(dropout && rate > 0 ? [dropout.key] : [])];
  const attributes = { heads, mask: keyPaddingMask !== undefined, additive: added ? formOf(added) : "none", dropout: rate, opId: rate > 0 ? graph.nextRandomOp() : 0 };
  const [out] = graph.apply(attentionOp, [q, k, v, ...optional], attributes);
  return out ?? q;
}
