/** Which part of the work is timed. */
export type Direction = "forward" | "forward+backward";

/** A matrix product [m, k] x [k, n]; NT: b is stored [n, k], TN: a is stored [k, m]. */
export interface MatmulProblem {
  readonly op: "matmul";
  readonly form: "NN" | "NT" | "TN";
  readonly m: number;
  readonly n: number;
  readonly k: number;
}

/** Multi-head attention: q [batch, queries, heads * dim], k and v [batch, keys, heads * dim]. */
export interface AttentionProblem {
  readonly op: "attention";
  readonly batch: number;
  readonly queries: number;
  readonly keys: number;
  readonly heads: number;
  readonly dim: number;
}

/** Convolution, stride 1, zero padding that keeps the size: x [batch, channels, length], weight [outChannels, channels, kernel]. */
export interface Conv1dProblem {
  readonly op: "conv1d";
  readonly batch: number;
  readonly channels: number;
  readonly length: number;
  readonly outChannels: number;
  readonly kernel: number;
}

/** Convolution, stride 1, zero padding that keeps the size: x [batch, height, width, channels], weight [outChannels, kernel, kernel, channels]. */
export interface Conv2dProblem {
  readonly op: "conv2d";
  readonly batch: number;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  readonly outChannels: number;
  readonly kernel: number;
}

/** An operation on the rows of x [rows, width]. `chain`: relu(x * scale + shift) + residual, scale and shift [width]. */
export interface RowsProblem {
  readonly op: "softmax" | "layerNorm" | "klDivergence" | "chain";
  readonly rows: number;
  readonly width: number;
}

/** What one kernel row of the table computes. */
export type Problem = MatmulProblem | AttentionProblem | Conv1dProblem | Conv2dProblem | RowsProblem;

/** Names of the kernels of the suite `kernels`. */
export type KernelName = Problem["op"];

/** A tensor that every library is given. */
export interface InputSpec {
  readonly name: string;
  readonly shape: readonly number[];
  /** "uniform": offset + scale * [-1, 1); "probabilities": each row of the last axis sums to 1. */
  readonly fill: "uniform" | "probabilities";
  /** Default 1. */
  readonly scale?: number;
  /** Default 0. */
  readonly offset?: number;
  /** Whether forward+backward asks for its gradient. */
  readonly differentiable: boolean;
}

/** Arrays by tensor name, in the layouts of {@link Problem}. */
export type Values = Readonly<Record<string, Float32Array>>;
/** Results by tensor name: `out`, and `d<input>` for gradients. */
export type Reference = Readonly<Record<string, Float64Array>>;

/** Useful work: what the mathematics needs, the same for every library, however it computes. */
export interface Work {
  /** Floating point operations. */
  readonly flops: number;
  /** Bytes of inputs and results, each moved once. */
  readonly bytes: number;
}

/** Everything about a problem that is not a library's business. */
export interface Definition {
  readonly inputs: readonly InputSpec[];
  /** Shape of the result `out`; the cotangent of forward+backward has it too. */
  readonly outShape: readonly number[];
  /** Floating point operations of the forward pass and of the backward pass. */
  readonly flops: { readonly forward: number; readonly backward: number };
  /** Float64 plain loops. @returns `out` */
  forward(values: Values): Float64Array;
  /** Float64 plain loops. @returns the gradients `d<input>` of sum(out * dout) */
  backward(values: Values, dout: Float32Array): Reference;
}

/** Elements of a shape. */
export function elements(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}
