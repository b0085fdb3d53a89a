import type { Cost, DType, Kernel, KernelSequence, KernelTarget } from "@distilldrive/kernels";
import type { Tensor } from "./graph.js";
import type { TensorType } from "./shape.js";

/** Draws random choices for an op's samples; backed by fast-check in tests (so failures shrink) and by a seed in benchmarks. */
export interface Draw {
  /** A whole number in [min, max]. */
  integer(min: number, max: number): number;
  boolean(): boolean;
  pick<T>(choices: readonly T[]): T;
  /** An axis size: small, with the edge sizes 1, odd and tile +- 1 drawn often. */
  size(max?: number): number;
}

/** An input of a sample: its type and the range its values are drawn from. */
export interface SampleInput extends TensorType {
  /** Values lie in [min, max]; default [-2, 2]. i32 and u32 are whole numbers. */
  readonly range?: readonly [number, number];
  /** Values are exactly 0 or 1. */
  readonly mask?: boolean;
  /** No gradient is checked for this input although the op passes one (non-smooth in it at the sampled values). */
  readonly checkGradient?: false;
  /** The smallest distance between any two values in the same row along the last axis (keeps max and sort away from ties). */
  readonly distinct?: number;
}

/** Inputs and attributes to try an op on. */
export interface Sample<Attributes> {
  readonly inputs: readonly SampleInput[];
  readonly attributes: Attributes;
}

/**
 * How exactly the GPU must agree with the float64 reference: the name of a tolerance the testkit defines, or the number of
 * terms a float32 sum has (and the size of one term, default 1).
 */
export type NamedTolerance = "exact" | "f32" | "transcendental" | { readonly terms: number; readonly scale?: number };

/** How an op becomes GPU work. */
export type Lowering<Attributes> =
  /**
   * One WGSL expression over the broadcast inputs. `T` is the element type in use (f32 or vec4f): write constants as
   * `T(2.0)`, and `U` for its bits. i32 and u32 inputs arrive converted to `T`. The result is f32. Chains of these fuse into one kernel.
   */
  | {
      readonly kind: "elementwise";
      readonly expression: (inputs: readonly string[], attributes: Attributes) => string;
      /** WGSL functions over `T` that the expression calls; declared once in a kernel. */
      readonly functions?: string;
    }
  /** The same elements under another shape; costs nothing. */
  | { readonly kind: "view" }
  /** Kernels whose binding names are the op's input and output names (or, in a sequence, its temporaries). */
  | {
      readonly kind: "kernels";
      readonly lower: (context: LowerContext<Attributes>) => Kernel | KernelSequence;
      /** Output name -> input name whose storage it overwrites. */
      readonly inPlace?: Readonly<Record<string, string>>;
    };

/** What a lowering sees. */
export interface LowerContext<Attributes> {
  readonly target: KernelTarget;
  readonly inputs: readonly TensorType[];
  readonly outputs: readonly TensorType[];
  readonly attributes: Attributes;
}

/** What a gradient rule sees: the op's inputs and outputs as symbolic tensors, and the cotangent of each output that has one. */
export interface VjpContext<Attributes> {
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly Tensor[];
  readonly attributes: Attributes;
  /** Cotangents by output; `undefined` where the loss does not depend on it. */
  readonly cotangents: readonly (Tensor | undefined)[];
  /** Whether a gradient of the input at this position is wanted. */
  readonly needs: readonly boolean[];
}

/** The gradient of an op, or the reason why it has none. */
export type Vjp<Attributes> =
  | {
      /** Which inputs and outputs the rule reads, by name: they stay alive until the backward pass. */
      readonly saves: readonly string[];
      /** Outputs that carry a gradient, by name; default all. The others only serve the backward pass. */
      readonly differentiable?: readonly string[];
      /** Whether recomputing the op in the backward pass is cheaper than keeping its outputs. */
      readonly recompute: "cheap" | "costly";
      /**
       * Gradients by input; `undefined` where there is none or it is not needed. A gradient may still have the shape the
       * input was broadcast to: autodiff adds up the broadcast axes.
       */
      readonly rule: (context: VjpContext<Attributes>) => readonly (Tensor | undefined)[];
    }
  | { readonly none: string };

/** What an op needs of its inputs to compute some positions of an output axis only. */
export interface Along<Attributes> {
  /** By input: the axis whose positions go with those of the output axis; null where the input is needed whole. */
  readonly inputs: readonly (number | null)[];
  /** The attributes for `size` positions, where they depend on the shape. */
  readonly attributes?: (size: number) => Attributes;
}

/** Everything there is to know about an op, in one record. */
export interface OpDefinition<Attributes> {
  readonly name: string;
  /** Input names; a name ending in "..." stands for any number of inputs and comes last. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /**
   * Output types from input types.
   * @throws ShapeError or DTypeError naming the op
   */
  readonly shape: (inputs: readonly TensorType[], attributes: Attributes) => readonly TensorType[];
  /** Plain-loop float64 computation; arrays in the order of inputs and outputs. */
  readonly reference: (
    inputs: readonly Float64Array[],
    attributes: Attributes,
    types: { readonly inputs: readonly TensorType[]; readonly outputs: readonly TensorType[] },
  ) => readonly Float64Array[];
  readonly lower: Lowering<Attributes>;
  readonly vjp: Vjp<Attributes>;
  /**
   * What computing some positions along an axis of the first output (and of others of its shape) takes: the op on those
   * positions of its inputs gives exactly those positions of its results. undefined (or no such function): everything. The compiler then computes only what is read.
   */
  readonly along?: (axis: number, inputs: readonly TensorType[], attributes: Attributes) => Along<Attributes> | undefined;
  /**
   * Inputs, by name, in which NaN has no meaning and would silently give a wrong result (an order, a position). A constant or an
   * input of the run that reaches one directly is checked, and refused with the op's name.
   */
  readonly strict?: readonly string[];
  readonly cost: (inputs: readonly TensorType[], outputs: readonly TensorType[], attributes: Attributes) => Cost;
  readonly tolerance: (inputs: readonly TensorType[], attributes: Attributes) => NamedTolerance;
  /** What to try the op on. */
  readonly samples: (draw: Draw) => Sample<Attributes>;
}

/** An op with its attribute type forgotten, as graphs hold it. */
export type AnyOp = OpDefinition<never>;

/** Declares an op. The type makes every field mandatory; the same record feeds the tests, the documentation and the benchmark. */
export function defineOp<Attributes extends object>(definition: OpDefinition<Attributes>): OpDefinition<Attributes> {
  return Object.freeze(definition);
}

/** Names of an op's inputs or outputs; a trailing "xs..." becomes xs0, xs1, ... */
export function expandNames(declared: readonly string[], count: number): string[] {
  const last = declared.at(-1);
  if (!last?.endsWith("...")) return [...declared];
  const fixed = declared.slice(0, -1);
  return [...fixed, ...Array.from({ length: count - fixed.length }, (_, i) => `${last.slice(0, -3)}${i}`)];
}

/** Bytes of all inputs and outputs once, the usual memory cost. */
export function bytesOf(...groups: readonly (readonly TensorType[])[]): number {
  let elements = 0;
  for (const group of groups) for (const { shape } of group) elements += shape.reduce((a, b) => a * b, 1);
  return 4 * elements;
}

/** The dtypes ops know. */
export type { DType };
