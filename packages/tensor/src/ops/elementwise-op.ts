import type { Cost } from "@distilldrive/kernels";
import type { Tensor } from "../graph.js";
import { bytesOf, defineOp, type Draw, type NamedTolerance, type OpDefinition, type Sample, type SampleInput } from "../op.js";
import { broadcastShapes, type Shape, sizeOf, stridesOf, typeOf } from "../shape.js";

/** Attributes of an op that has none. */
export type None = Record<never, never>;

/** What distinguishes one elementwise op from another. */
export interface Elementwise<Attributes> {
  readonly name: string;
  readonly inputs: readonly string[];
  /** float64 value of one element. */
  readonly value: (x: readonly number[], attributes: Attributes) => number;
  /** The same as a WGSL expression over `T`. */
  readonly wgsl: (x: readonly string[], attributes: Attributes) => string;
  /** WGSL functions over `T` that the expression calls. */
  readonly functions?: string;
  /**
   * Partial derivative with respect to each input times the cotangent, in the result's shape (autodiff sums over broadcast
   * axes), or null for an input without gradient.
   */
  readonly derivatives?: readonly (((dy: Tensor, x: readonly Tensor[], y: Tensor, attributes: Attributes) => Tensor) | null)[];
  /** Why there is no gradient, where `derivatives` is absent. */
  readonly none?: string;
  readonly saves?: readonly string[];
  readonly flops?: number;
  readonly tolerance?: NamedTolerance;
  /** Ranges to draw each input from; default [-2, 2]. */
  readonly ranges?: readonly (readonly [number, number])[];
  /** Inputs drawn as 0 or 1. */
  readonly masks?: readonly number[];
  readonly attributes?: (draw: Draw) => Attributes;
}

/** An elementwise op: inputs broadcast together, the result is f32, chains fuse into one kernel. */
export function elementwise<Attributes extends object = None>(spec: Elementwise<Attributes>): OpDefinition<Attributes> {
  const { derivatives } = spec;
  return defineOp<Attributes>({
    name: spec.name,
    inputs: spec.inputs,
    outputs: ["y"],
    shape: (inputs) => [typeOf(broadcastShapes(spec.name, ...inputs.map((input) => input.shape)))],
    reference: (inputs, attributes, types) => [
      mapBroadcast(
        inputs,
        types.inputs.map((type) => type.shape),
        types.outputs[0]?.shape ?? [],
        (x) => spec.value(x, attributes),
      ),
    ],
    lower: { kind: "elementwise", expression: spec.wgsl, ...(spec.functions === undefined ? {} : { functions: spec.functions }) },
    vjp: derivatives
      ? {
          saves: spec.saves ?? spec.inputs,
          recompute: "cheap",
          rule: ({ inputs, outputs, attributes, cotangents, needs }) => {
            const [dy] = cotangents;
            const [y] = outputs;
            return inputs.map((_, position) => {
              const derivative = derivatives[position];
              if (!dy || !y || !derivative || !needs[position]) return undefined;
              return derivative(dy, inputs, y, attributes);
            });
          },
        }
      : { none: spec.none ?? "piecewise constant" },
    along: (axis, inputs) => {
      const rank = broadcastShapes(spec.name, ...inputs.map((input) => input.shape)).length;
      return {
        inputs: inputs.map(({ shape }) => {
          const own = axis - rank + shape.length;
          return own < 0 || shape[own] === 1 ? null : own;
        }),
      };
    },
    cost: (inputs, outputs): Cost => ({ flops: (spec.flops ?? 1) * sizeOf(outputs[0]?.shape ?? []), bytes: bytesOf(inputs, outputs) }),
    tolerance: () => spec.tolerance ?? "f32",
    samples: (draw): Sample<Attributes> => {
      const shape = [draw.size(), draw.size(), draw.size(40)].slice(draw.integer(0, 2));
      const inputs = spec.inputs.map((_, position): SampleInput => {
        const shrunk = spec.inputs.length === 1 || position === 0 ? shape : shape.map((n) => (draw.integer(0, 2) === 0 ? 1 : n));
        const cut = position === 0 ? 0 : draw.integer(0, shape.length - 1);
        const range = spec.ranges?.[position];
        return {
          ...typeOf(shrunk.slice(cut)),
          ...(range ? { range } : {}),
          ...(spec.masks?.includes(position) ? { mask: true } : {}),
        };
      });
      return { inputs, attributes: spec.attributes ? spec.attributes(draw) : ({} as Attributes) };
    },
  });
}

/** Evaluates `f` over inputs broadcast to `shape`. */
function mapBroadcast(arrays: readonly Float64Array[], shapes: readonly Shape[], shape: Shape, f: (x: readonly number[]) => number): Float64Array {
  const out = new Float64Array(sizeOf(shape));
  const strides = shapes.map((from) => {
    const own = stridesOf(from);
    return shape.map((_, axis) => {
      const k = axis - shape.length + from.length;
      return k < 0 || from[k] === 1 ? 0 : (own[k] ?? 0);
    });
  });
  const index = new Array<number>(shape.length).fill(0);
  const x = new Array<number>(arrays.length).fill(0);
  for (let i = 0; i < out.length; i++) {
    for (let input = 0; input < arrays.length; input++) {
      let offset = 0;
      for (let axis = 0; axis < shape.length; axis++) offset += (index[axis] ?? 0) * (strides[input]?.[axis] ?? 0);
      x[input] = arrays[input]?.[offset] ?? Number.NaN;
    }
    out[i] = f(x);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      index[axis] = (index[axis] ?? 0) + 1;
      if ((index[axis] ?? 0) < (shape[axis] ?? 0)) break;
      index[axis] = 0;
    }
  }
  return out;
}

/** Value of an operand of {@link Elementwise.value}. */
export const at = (x: readonly number[], position: number): number => x[position] ?? Number.NaN;
/** Operand of a derivative. */
export const pick = (x: readonly Tensor[], position: number): Tensor => {
  const tensor = x[position];
  if (!tensor) throw new RangeError(`elementwise: operand ${position} is missing.`);
  return tensor;
};
/** 1 or 0. */
export const bool = (condition: boolean): number => (condition ? 1 : 0);
