import { gradients } from "./autodiff.js";
import { Graph, Tensor } from "./graph.js";
import type { Device } from "./run/device.js";
import { compile, type Program } from "./run/program.js";
import type { Store } from "./run/store.js";
import type { Shape } from "./shape.js";
import { sizeOf } from "./shape.js";
import { GraphError } from "./errors.js";
import { parametersOf, type NamedVariables } from "./variable.js";

/** A numeric argument of a compiled function: flat data with its shape. */
export interface TensorValue {
  readonly shape: Shape;
  readonly data: ArrayLike<number>;
}

/** A `TensorValue`, checked. @throws GraphError when the data does not fill the shape */
export function tensor(data: ArrayLike<number>, shape: Shape): TensorValue {
  if (data.length !== sizeOf(shape)) throw new GraphError(`tensor: data does not fill the shape, expected ${sizeOf(shape)} numbers for [${shape.join(", ")}], got ${data.length}.`);
  return { shape, data };
}

/** A function over symbolic tensors that returns one tensor or several named ones. */
export type TraceFunction = (...args: readonly Tensor[]) => Tensor | Readonly<Record<string, Tensor>>;

/** A function that, besides its value, has gradients: what {@link valueAndGrad} returns. */
export type GradFunction = (...args: readonly Tensor[]) => Readonly<Record<string, Tensor>>;

/** Results of one call: encoded and submitted, read when asked for. */
export interface LazyResult {
  /** Reads one result; "value" for a function that returns a single tensor. Call it before the next step. */
  read(name?: string): Promise<Float32Array | Int32Array | Uint32Array>;
  readonly program: Program;
}

/** A function compiled per shape signature. */
export interface CompiledFunction {
  /** Traces and compiles on the first call with new shapes, then runs. */
  (store: Store, ...args: readonly TensorValue[]): Promise<LazyResult>;
}

/**
 * The loss and its gradients with respect to all parameters of a model.
 * @param loss returns a scalar
 * @returns a function with the outputs `value` and `grads.<parameter name>`
 */
export function valueAndGrad(loss: (...args: readonly Tensor[]) => Tensor, model: unknown): GradFunction {
  const parameters: NamedVariables = parametersOf(model);
  return (...args) => {
    const value = loss(...args);
    const grads = gradients(value, [...parameters.values()]);
    const named: Record<string, Tensor> = { value };
    [...parameters.keys()].forEach((name, position) => {
      const grad = grads[position];
      if (grad) named[`grads.${name}`] = grad;
    });
    return named;
  };
}

/** Compiles a function for a device; each new combination of argument shapes is traced once. */
export function compileFunction(device: Device, fn: TraceFunction): CompiledFunction {
  const programs = new Map<string, Promise<Program>>();
  const stores = new WeakMap<Store, number>();
  let storeCount = 0;
  return async (store, ...args) => {
    let storeId = stores.get(store);
    if (storeId === undefined) stores.set(store, (storeId = storeCount++));
    const signature = `${storeId}:${args.map(({ shape }) => `[${shape.join(",")}]`).join("")}`;
    let pending = programs.get(signature);
    if (!pending) {
      const graph = new Graph();
      const result = fn(...args.map(({ shape }, position) => graph.input(`argument ${position}`, shape)));
      const outputs = result instanceof Tensor ? { value: result } : result;
      for (const [name, value] of Object.entries(outputs)) graph.output(name, value);
      pending = compile(device, graph, { store });
      programs.set(signature, pending);
    }
    const program = await pending;
    program.run(Object.fromEntries(args.map(({ data }, position) => [`argument ${position}`, data])));
    return { program, read: (name = "value") => program.read(name) };
  };
}

