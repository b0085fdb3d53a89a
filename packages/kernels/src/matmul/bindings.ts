import type { Binding, Cost } from "../kernel.js";
import { finishBindings } from "./epilogue.js";
import type { MatmulShape } from "./shape.js";

/** Bindings of every matrix product kernel: a, b, bias, residual and key where asked for, out. */
export function matmulBindings(shape: MatmulShape): Binding[] {
  const { batch, m, n, k, batchA, batchB, slices } = shape;
  const f32 = (name: string, length: number): Binding => ({ name, access: "read", dtype: "f32", length });
  const bindings = [f32("a", (batchA ? batch : 1) * m * k), f32("b", (batchB ? batch : 1) * k * n)];
  return [...bindings, ...finishBindings(shape, n, batch * m * n), { name: "out", access: "write", dtype: "f32", length: batch * slices * m * n }];
}

/** Two operations per product term; every element moved once. */
export function matmulCost(shape: MatmulShape): Cost {
  const { batch, m, n, k } = shape;
  const elements = matmulBindings(shape).reduce((sum, { length }) => sum + length, 0);
  return { flops: 2 * batch * m * n * k, bytes: 4 * elements };
}
