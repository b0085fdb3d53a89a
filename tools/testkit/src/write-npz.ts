import { zipSync } from "fflate";

/** An array to write. */
export interface WrittenArray {
  readonly shape: readonly number[];
  readonly values: ArrayLike<number>;
  /** numpy's type string; default `<f4` */
  readonly dtype?: "<f4" | "<i4" | "|u1";
}

/** A numpy archive as `numpy.savez` writes it, its arrays in C order. */
export function writeNpz(arrays: ReadonlyMap<string, WrittenArray>): Uint8Array {
  return zipSync(Object.fromEntries([...arrays].map(([name, array]) => [`${name}.npy`, writeNpy(array)])), { level: 0 });
}

/** A numpy array of format 1.0. */
function writeNpy({ shape, values, dtype = "<f4" }: WrittenArray): Uint8Array {
  const data = dtype === "<f4" ? Float32Array.from(values) : dtype === "<i4" ? Int32Array.from(values) : Uint8Array.from(values);
  const extents = shape.length === 1 ? `${shape.join()},` : shape.join(", ");
  const header = `{'descr': '${dtype}', 'fortran_order': False, 'shape': (${extents}), }`;
  // The values begin at a multiple of 64 bytes, and the header ends with a line feed.
  const start = 64 * Math.ceil((10 + header.length + 1) / 64);
  const file = new Uint8Array(start + data.byteLength).fill(0x20, 0, start);
  file.set([0x93, ...new TextEncoder().encode("NUMPY"), 1, 0, (start - 10) & 0xff, (start - 10) >> 8, ...new TextEncoder().encode(header)]);
  file[start - 1] = 0x0a;
  file.set(new Uint8Array(data.buffer), start);
  return file;
}
