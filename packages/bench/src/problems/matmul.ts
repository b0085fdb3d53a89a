import type { Definition, MatmulProblem } from "./problem.js";

/** A matrix in memory: element (row, column) is at row * rowStride + column * columnStride. */
export interface MatrixView {
  readonly data: ArrayLike<number>;
  readonly offset?: number;
  readonly rowStride: number;
  readonly columnStride: number;
}

/** out[m, n] += a[m, k] b[k, n] in float64; `out` is dense from `offset` with rows of `outStride`. */
export function accumulateProduct(out: Float64Array, offset: number, outStride: number, m: number, n: number, k: number, a: MatrixView, b: MatrixView): void {
  const row = new Float64Array(n);
  // b as rows of doubles: the inner loop then runs over neighbours whatever the form.
  const dense = new Float64Array(k * n);
  const [a0, b0] = [a.offset ?? 0, b.offset ?? 0];
  for (let p = 0; p < k; p++) for (let j = 0; j < n; j++) dense[p * n + j] = b.data[b0 + p * b.rowStride + j * b.columnStride] ?? 0;
  for (let i = 0; i < m; i++) {
    row.fill(0);
    for (let p = 0; p < k; p++) {
      const factor = a.data[a0 + i * a.rowStride + p * a.columnStride] ?? 0;
      const from = p * n;
      for (let j = 0; j < n; j++) row[j] = (row[j] ?? 0) + factor * (dense[from + j] ?? 0);
    }
    const to = offset + i * outStride;
    for (let j = 0; j < n; j++) out[to + j] = (out[to + j] ?? 0) + (row[j] ?? 0);
  }
}

/** Rows of a dense matrix with `columns` columns. */
export function denseView(data: ArrayLike<number>, columns: number, offset = 0): MatrixView {
  return { data, offset, rowStride: columns, columnStride: 1 };
}

/** The same memory read as its transpose. */
export function transposed({ data, offset = 0, rowStride, columnStride }: MatrixView): MatrixView {
  return { data, offset, rowStride: columnStride, columnStride: rowStride };
}

/** Definition of a matrix product. */
export function matmulDefinition({ form, m, n, k }: MatmulProblem): Definition {
  const aShape = form === "TN" ? [k, m] : [m, k];
  const bShape = form === "NT" ? [n, k] : [k, n];
  const views = (a: ArrayLike<number>, b: ArrayLike<number>): { a: MatrixView; b: MatrixView } => ({
    a: form === "TN" ? transposed(denseView(a, m)) : denseView(a, k),
    b: form === "NT" ? transposed(denseView(b, k)) : denseView(b, n),
  });
  return {
    inputs: [
      { name: "a", shape: aShape, fill: "uniform", differentiable: true },
      { name: "b", shape: bShape, fill: "uniform", differentiable: true },
    ],
    outShape: [m, n],
    flops: { forward: 2 * m * n * k, backward: 4 * m * n * k },
    forward: ({ a = new Float32Array(0), b = new Float32Array(0) }) => {
      const out = new Float64Array(m * n);
      const view = views(a, b);
      accumulateProduct(out, 0, n, m, n, k, view.a, view.b);
      return out;
    },
    backward: ({ a = new Float32Array(0), b = new Float32Array(0) }, dout) => {
      const view = views(a, b);
      const [da, db] = [new Float64Array(m * k), new Float64Array(k * n)];
      const d = denseView(dout, n);
      if (form === "TN") accumulateProduct(da, 0, m, k, m, n, view.b, transposed(d));
      else accumulateProduct(da, 0, k, m, k, n, d, transposed(view.b));
      if (form === "NT") accumulateProduct(db, 0, k, n, k, m, transposed(d), view.a);
      else accumulateProduct(db, 0, n, k, n, m, transposed(view.a), d);
      return { da, db };
    },
  };
}
