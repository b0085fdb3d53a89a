import type { DType } from "@distilldrive/kernels";
import { GraphError } from "./errors.js";
import { type Shape, sizeOf } from "./shape.js";

/** How a variable's first values are made; all but "data" from counter-based random numbers keyed by seed and name. */
export type Initializer =
  | { readonly kind: "constant"; readonly value: number }
  | { readonly kind: "uniform"; readonly bound: number }
  | { readonly kind: "normal"; readonly standardDeviation: number }
  | { readonly kind: "data"; readonly data: ArrayLike<number> };

/** Glorot's uniform initialisation: bound sqrt(6 / (fanIn + fanOut)). */
export function xavierUniform(fanIn: number, fanOut: number, gain = 1): Initializer {
  return { kind: "uniform", bound: gain * Math.sqrt(6 / (fanIn + fanOut)) };
}

/** PyTorch's default for linear and convolution layers: uniform with bound 1 / sqrt(fanIn), for weight and bias alike. */
export function fanInUniform(fanIn: number): Initializer {
  return { kind: "uniform", bound: 1 / Math.sqrt(Math.max(1, fanIn)) };
}

/**
 * A tensor that lives on the device between runs: a parameter (trained), or a buffer (constants, running statistics,
 * optimiser moments, memory queues). A `Variable` is only a handle: its values live in a `Store`, so one model can have many.
 */
export class Variable {
  constructor(
    readonly shape: Shape,
    readonly dtype: DType,
    readonly role: "parameter" | "buffer",
    readonly init: Initializer,
    /** The variables this one consists of, see {@link packed}; none for an ordinary variable. */
    readonly parts: readonly Variable[] = [],
  ) {}
}

/** Every part of a packed variable begins at a multiple of so many elements: WebGPU binds ranges at multiples of 256 bytes. */
export const packAlignment = 64;

/**
 * One flat variable [n] that is several others side by side, each padded with zeros to {@link packAlignment} elements. The
 * parts stay variables of their own in the same memory, so a few dispatches over the whole update all of them. A graph may
 * read both, but assigns only one: the whole or the parts. The store must be told, see `createStore`.
 * @throws GraphError without parts, for parts of several types, or for a part that is packed itself
 */
export function packed(parts: readonly Variable[]): Variable {
  const [first] = parts;
  if (!first || parts.some(({ dtype, parts: inner }) => dtype !== first.dtype || inner.length > 0)) {
    throw new GraphError(`packed: expected one or more ordinary variables of one type, got ${parts.map(({ dtype, parts: inner }) => (inner.length > 0 ? "packed" : dtype)).join(", ") || "none"}. Pack each type on its own.`);
  }
  const length = parts.reduce((sum, { shape }) => sum + packedLength(shape), 0);
  return new Variable([length], first.dtype, first.role, { kind: "constant", value: 0 }, parts);
}

/** Elements a variable takes up within a packed one. */
export function packedLength(shape: Shape): number {
  return Math.ceil(sizeOf(shape) / packAlignment) * packAlignment;
}

/** A trained f32 tensor. */
export function parameter(shape: Shape, init: Initializer): Variable {
  return new Variable(shape, "f32", "parameter", init);
}

/** A tensor that no optimiser touches; zeros unless told otherwise. */
export function buffer(shape: Shape, init: Initializer = { kind: "constant", value: 0 }, dtype: DType = "f32"): Variable {
  return new Variable(shape, dtype, "buffer", init);
}

/** Names of a model's variables to the variables, in the order the model tree lists them: `layers.0.weight`. */
export type NamedVariables = ReadonlyMap<string, Variable>;

/**
 * Walks a model - any tree of objects, arrays, functions with properties, and variables - and names every variable by
 * its path. A variable met twice keeps its first name.
 */
export function variablesOf(model: unknown, prefix = ""): NamedVariables {
  const named = new Map<string, Variable>();
  const seen = new Set<unknown>();
  const visit = (value: unknown, path: string): void => {
    if (value === null || (typeof value !== "object" && typeof value !== "function") || seen.has(value)) return;
    if (ArrayBuffer.isView(value)) return;
    seen.add(value);
    if (value instanceof Variable) {
      named.set(path, value);
      return;
    }
    const entries = value instanceof Map ? [...value.entries()] : Object.entries(value);
    for (const [key, child] of entries) visit(child, path === "" ? String(key) : `${path}.${String(key)}`);
  };
  visit(model, prefix);
  return named;
}

/** Only the trained variables of a model, by name. */
export function parametersOf(model: unknown, prefix = ""): NamedVariables {
  return new Map([...variablesOf(model, prefix)].filter(([, variable]) => variable.role === "parameter"));
}
