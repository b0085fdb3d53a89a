import { thresholdOf } from "../dropout/dropout.js";
import type { Arrays, Binding, UniformField } from "../kernel.js";
import { randomBits, randomWgsl } from "../random/threefry.js";
import { activate, activationWgsl } from "./activation.js";
import type { Activation, EpilogueDropout } from "./shape.js";

/** What happens to each sum before it is stored: `dropout(activation(scale * sum + bias)) + residual`. */
export interface Finish {
  readonly bias: boolean;
  readonly activation: Activation;
  readonly residual: boolean;
  readonly scale: number;
  readonly dropout: EpilogueDropout | null;
}

/** The sum as it is. */
export const noFinish: Finish = { bias: false, activation: "none", residual: false, scale: 1, dropout: null };

/** Bindings an epilogue reads, where asked for: bias [columns], residual [length], key u32[4]. */
export function finishBindings(finish: Finish, columns: number, length: number): Binding[] {
  const bindings: Binding[] = [];
  if (finish.bias) bindings.push({ name: "bias", access: "read", dtype: "f32", length: columns });
  if (finish.residual) bindings.push({ name: "residual", access: "read", dtype: "f32", length });
  if (finish.dropout) bindings.push({ name: "key", access: "read", dtype: "u32", length: 4 });
  return bindings;
}

/** Uniform fields of an epilogue. */
export function finishUniforms({ scale, dropout }: Finish): UniformField[] {
  const fields: UniformField[] = [];
  if (scale !== 1) fields.push({ name: "scale", type: "f32", value: scale });
  if (dropout) {
    fields.push(
      { name: "drop_op", type: "u32", value: dropout.opId },
      { name: "drop_threshold", type: "u32", value: thresholdOf(dropout.rate) },
      { name: "drop_scale", type: "f32", value: 1 / (1 - dropout.rate) },
    );
  }
  return fields;
}

/** WGSL functions the expression of {@link finishWgsl} calls, for elements of `type` f32, vec2f or vec4f. */
export function finishFunctions({ activation, dropout }: Finish, type: string): string {
  const functions = activationWgsl(activation, type);
  if (!dropout) return functions;
  const bits = (i: number): string => `random_bits(stream, params.drop_op, element + ${i}u)`;
  const width = type === "f32" ? 1 : Number(type.charAt(3));
  const drawn = width === 1 ? bits(0) : `vec${width}u(${Array.from({ length: width }, (_, i) => bits(i)).join(", ")})`;
  return `${functions}${randomWgsl}
fn drop(x: ${type}, stream: vec2u, element: u32) -> ${type} {
  let kept = ${drawn} >= ${width === 1 ? "params.drop_threshold" : `vec${width}u(params.drop_threshold)`};
  return select(${type}(), x * params.drop_scale, kept);
}
`;
}

/** Statements that go before the first use of {@link finishWgsl} in an entry point. */
export function finishPrologue({ dropout }: Finish): string {
  return dropout ? "  let stream = random_stream(vec4u(key[0], key[1], key[2], key[3]));\n" : "";
}

/** Where an element is: WGSL expressions of its index in `bias` and in `residual` (in units of their types), and of its number in the output. */
export interface Place {
  readonly bias: string;
  readonly residual: string;
  readonly element: string;
}

/** WGSL expression of the finished `sum`. */
export function finishWgsl({ bias, activation, residual, scale, dropout }: Finish, sum: string, place: Place): string {
  const scaled = scale === 1 ? sum : `params.scale * ${sum}`;
  const shifted = bias ? `${scaled} + bias[${place.bias}]` : scaled;
  const active = activation === "none" ? `(${shifted})` : `activate(${shifted})`;
  const dropped = dropout ? `drop(${active}, stream, ${place.element})` : active;
  return residual ? `${dropped} + residual[${place.residual}]` : dropped;
}

/** Float64 epilogue: gives the finished value of a sum from its column and its number in the output. */
export function finishReference(finish: Finish, inputs: Arrays): (sum: number, column: number, element: number) => number {
  const { bias, residual, key = new Float64Array(4) } = inputs;
  const { activation, scale, dropout } = finish;
  const keep = (element: number): number => (dropout === null ? 1 : randomBits(key, dropout.opId, element) >= thresholdOf(dropout.rate) ? 1 / (1 - dropout.rate) : 0);
  return (sum, column, element) =>
    activate(activation, scale * sum + (finish.bias ? (bias?.[column] ?? 0) : 0)) * keep(element) + (finish.residual ? (residual?.[element] ?? 0) : 0);
}
