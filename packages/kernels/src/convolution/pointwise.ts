import type { Candidate, KernelSequence, KernelTarget } from "../kernel.js";
import { matmulPlan } from "../matmul/matmul.js";
import type { Convolution } from "./geometry.js";

/** Whether a convolution is a matrix product over channels: one tap, every pixel once. */
function isPointwise({ groups, y, x }: Convolution): boolean {
  return groups === 1 && [y, x].every(({ taps, stride, padding }) => taps === 1 && stride === 1 && padding === 0);
}

/** The same sequence with its tensors under other names. */
function renamed(sequence: KernelSequence, names: Readonly<Record<string, string>>): KernelSequence {
  return {
    ...sequence,
    kernels: sequence.kernels.map(({ kernel, bind }) => ({ kernel, bind: Object.fromEntries(Object.entries(bind).map(([binding, tensor]) => [binding, names[tensor] ?? tensor])) })),
  };
}

const candidate = (build: () => KernelSequence): Candidate => ({ name: "matmul", build });

/**
 * A pointwise convolution as a matrix product, undefined where it is none: with channels last all pixels are rows; with channels first each
 * image is the right operand, and the product has no place for a bias, which would run along rows.
 */
export function pointwiseForward(c: Convolution, target: KernelTarget): Candidate | undefined {
  if (!isPointwise(c)) return undefined;
  const pixels = c.y.size * c.x.size;
  const { bias, activation, batch, channels: k, outChannels } = c;
  if (c.input.channel === 1) {
    return candidate(() => renamed(matmulPlan({ m: batch * pixels, n: outChannels, k, transposeB: true, epilogue: { bias, activation } }, target), { a: "x", b: "weight" }));
  }
  if (bias) return undefined;
  return candidate(() => renamed(matmulPlan({ batch, m: outChannels, n: pixels, k, batchA: false, epilogue: { activation } }, target), { a: "weight", b: "x" }));
}

/** Its gradient to the input. */
export function pointwiseBackwardInput(c: Convolution, target: KernelTarget): Candidate | undefined {
  if (!isPointwise(c)) return undefined;
  const pixels = c.y.size * c.x.size;
  const { batch, channels, outChannels: k } = c;
  if (c.input.channel === 1) return candidate(() => renamed(matmulPlan({ m: batch * pixels, n: channels, k }, target), { a: "dout", b: "weight", out: "dx" }));
  return candidate(() => renamed(matmulPlan({ batch, m: channels, n: pixels, k, transposeA: true, batchA: false }, target), { a: "weight", b: "dout", out: "dx" }));
}

/** Its gradient to the weight. */
export function pointwiseBackwardWeight(c: Convolution, target: KernelTarget): Candidate | undefined {
  if (!isPointwise(c)) return undefined;
  const pixels = c.y.size * c.x.size;
  const { batch, channels: n, outChannels: m } = c;
  if (c.input.channel === 1) return candidate(() => renamed(matmulPlan({ m, n, k: batch * pixels, transposeA: true }, target), { a: "dout", b: "x", out: "dweight" }));
  return candidate(() => renamed(matmulPlan({ batch, m, n, k: pixels, transposeB: true, reduceBatch: true }, target), { a: "dout", b: "x", out: "dweight" }));
}
