import type { Arrays } from "../kernel.js";
import { arrayOf, at } from "../reference-arrays.js";
import type { OrthonormaliseShape } from "./orthonormalise.js";

/** Plain-loop Householder QR: what is orthonormal of each matrix's columns, and the reflected matrix beside the identity. */
export function orthonormaliseReference({ count, size: n }: OrthonormaliseShape, inputs: Arrays): { work: Float64Array; y: Float64Array } {
  const x = arrayOf(inputs, "x", count * n * n);
  const y = new Float64Array(count * n * n);
  const work = new Float64Array(2 * count * n * n);
  for (let matrix = 0; matrix < count; matrix++) {
    const own = work.subarray(2 * matrix * n * n, 2 * (matrix + 1) * n * n);
    for (let row = 0; row < n; row++) {
      for (let column = 0; column < n; column++) own[row * 2 * n + column] = at(x, (matrix * n + row) * n + column);
      own[row * 2 * n + n + row] = 1;
    }
    for (let k = 0; k < n; k++) reflect(own, n, k);
    for (let row = 0; row < n; row++) {
      for (let column = 0; column < n; column++) {
        y[(matrix * n + row) * n + column] = at(own, column * 2 * n + n + row) * (at(own, column * 2 * n + column) < 0 ? -1 : 1);
      }
    }
  }
  return { work, y };
}

/** Applies to [R | Q^T] the reflection that clears column k below the diagonal. */
function reflect(own: Float64Array, n: number, k: number): void {
  const reflector = Float64Array.from({ length: n }, (_, row) => (row < k ? 0 : at(own, row * 2 * n + k)));
  const head = at(reflector, k);
  const length = Math.sqrt(reflector.reduce((sum, value) => sum + value * value, 0));
  reflector[k] = head + (head < 0 ? -length : length);
  const squares = reflector.reduce((sum, value) => sum + value * value, 0);
  if (squares <= 1e-37) return;
  for (let column = 0; column < 2 * n; column++) {
    if (column < k) continue;
    let dot = 0;
    for (let row = k; row < n; row++) dot += at(reflector, row) * at(own, row * 2 * n + column);
    for (let row = k; row < n; row++) own[row * 2 * n + column] = at(own, row * 2 * n + column) - ((2 * dot) / squares) * at(reflector, row);
  }
}
