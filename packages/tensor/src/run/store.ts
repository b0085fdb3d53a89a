import { bindingBytes, bufferUsage, type DType, type RandomKey, randomBits, randomKey, unitFloat } from "@distilldrive/kernels";
import { StateError } from "../errors.js";
import { formatType, sameShape, sizeOf, type Shape, typeOf } from "../shape.js";
import { type Initializer, type NamedVariables, packedLength, type Variable } from "../variable.js";
import type { Device } from "./device.js";
import { readBuffers } from "./read.js";

/** Values of one variable on the host. */
export interface StoredTensor {
  readonly shape: Shape;
  readonly dtype: DType;
  readonly data: Float32Array | Int32Array | Uint32Array;
}

/** The memory of a variable: what lies before and behind it in the buffer belongs to others. */
export interface StoreRange {
  readonly buffer: GPUBuffer;
  /** Bytes, a multiple of 256. */
  readonly offset: number;
}

/** How to make a store. */
export interface StoreOptions {
  /** Decides the first values, with the variables' names. */
  readonly seed: number;
  /** Packed variables, each of whose parts is one of the store's variables. Snapshots and loads know the parts only. */
  readonly packs?: readonly Variable[];
}

/** The values of a set of variables on a device. */
export interface Store {
  readonly variables: NamedVariables;
  /** Bytes on the device. */
  readonly bytes: number;
  /** Where a variable's values are. @throws StateError for a variable the store does not hold */
  rangeOf(variable: Variable): StoreRange;
  /** Copies every value to the host, in one submit. */
  snapshot(names?: Iterable<string>): Promise<Map<string, StoredTensor>>;
  /** Overwrites values. @throws StateError when a name is unknown or a shape differs; nothing is written then */
  load(values: ReadonlyMap<string, StoredTensor>): void;
  destroy(): void;
}

/**
 * Puts the initial values of variables on a device. Values depend on seed and name alone, so they are the same everywhere.
 * @param variables names to variables, from `variablesOf(model)`
 */
export function createStore(device: Device, variables: NamedVariables, { seed, packs = [] }: StoreOptions): Store {
  const buffers: GPUBuffer[] = [];
  const ranges = new Map<Variable, StoreRange>();
  let bytes = 0;
  const allocate = (label: string, length: number): GPUBuffer => {
    const size = bindingBytes({ length });
    bytes += size;
    const buffer = device.gpu.createBuffer({ label, size, usage: bufferUsage.storage | bufferUsage.copySrc | bufferUsage.copyDst });
    buffers.push(buffer);
    return buffer;
  };
  const write = (variable: Variable, data: ArrayLike<number>): void => {
    const range = ranges.get(variable);
    const typed = toTyped(data, variable.dtype);
    if (range && typed.byteLength > 0) device.gpu.queue.writeBuffer(range.buffer, range.offset, typed.buffer, typed.byteOffset, typed.byteLength);
  };
  for (const pack of packs) {
    const buffer = allocate("packed variables", sizeOf(pack.shape));
    ranges.set(pack, { buffer, offset: 0 });
    let offset = 0;
    for (const part of pack.parts) {
      ranges.set(part, { buffer, offset });
      offset += 4 * packedLength(part.shape);
    }
  }
  for (const [name, variable] of variables) {
    if (!ranges.has(variable)) ranges.set(variable, { buffer: allocate(name, sizeOf(variable.shape)), offset: 0 });
    write(variable, initialValues(variable.init, sizeOf(variable.shape), seed, name));
  }
  const rangeOf = (variable: Variable): StoreRange => {
    const found = ranges.get(variable);
    if (!found) {
      throw new StateError(`store: a ${variable.role} ${formatType(variable)} of the graph is not in the store, which holds ${variables.size} variables. Build the store from variablesOf() of the whole model.`);
    }
    return found;
  };
  return {
    variables,
    bytes,
    rangeOf,
    async snapshot(names = variables.keys()) {
      const wanted = [...names].map((name) => {
        const variable = variables.get(name);
        if (!variable) throw new StateError(`store: unknown variable "${name}".`);
        return { name, variable };
      });
      const arrays = await readBuffers(
        device.gpu,
        wanted.map(({ variable }) => ({ ...rangeOf(variable), length: sizeOf(variable.shape), dtype: variable.dtype })),
      );
      return new Map(
        wanted.map(({ name, variable }, position) => [
          name,
          { shape: variable.shape, dtype: variable.dtype, data: arrays[position] ?? new Float32Array(0) },
        ]),
      );
    },
    load(values) {
      for (const [name, { shape, dtype }] of values) {
        const variable = variables.get(name);
        if (!variable) throw new StateError(`store: "${name}" is no variable of this model, expected one of ${variables.size} such as "${[...variables.keys()][0] ?? ""}". Load a state of the same model and preset.`);
        if (!sameShape(shape, variable.shape) || dtype !== variable.dtype) {
          throw new StateError(`store: "${name}" does not fit, expected ${formatType(variable)}, got ${formatType(typeOf(shape, dtype))}. Load a state of the same model and preset.`);
        }
      }
      for (const [name, { data }] of values) {
        const variable = variables.get(name);
        if (variable) write(variable, data);
      }
    },
    destroy() {
      for (const buffer of buffers) buffer.destroy();
    },
  };
}

/** The first values of a variable: counter-based random numbers keyed by (seed, name). */
export function initialValues(init: Initializer, size: number, seed: number, name: string): ArrayLike<number> {
  const key = randomKey(seed, 0);
  const stream = nameHash(name);
  switch (init.kind) {
    case "data":
      if (init.data.length !== size) throw new StateError(`store: the data of "${name}" does not fill it, expected ${size} numbers, got ${init.data.length}.`);
      return init.data;
    case "constant":
      return new Float32Array(size).fill(init.value);
    case "uniform":
      return Float32Array.from({ length: size }, (_, i) => (2 * uniformAt(key, stream, i) - 1) * init.bound);
    case "normal":
      return Float32Array.from({ length: size }, (_, i) => {
        // Box-Muller; 1 - u keeps the logarithm away from zero.
        const radius = Math.sqrt(-2 * Math.log(1 - uniformAt(key, stream, 2 * i)));
        return init.standardDeviation * radius * Math.cos(2 * Math.PI * uniformAt(key, stream, 2 * i + 1));
      });
  }
}

function uniformAt(key: RandomKey, stream: number, index: number): number {
  return unitFloat(randomBits(key, stream, index));
}

/** FNV-1a, 32 bit: turns a variable's name into its random stream. */
function nameHash(name: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(name)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash;
}

/** Converts numbers to the array type of a dtype; typed arrays of that type pass through. */
export function toTyped(data: ArrayLike<number>, dtype: DType): Float32Array | Int32Array | Uint32Array {
  switch (dtype) {
    case "f32":
      return data instanceof Float32Array ? data : Float32Array.from(data);
    case "i32":
      return data instanceof Int32Array ? data : Int32Array.from(data);
    case "u32":
      return data instanceof Uint32Array ? data : Uint32Array.from(data);
  }
}
