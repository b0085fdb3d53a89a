import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { strToU8, zipSync } from "fflate";
import { describe, expect, it } from "vitest";
import { readNpy, readNpz } from "./npz.js";

function npy(descr: string, shape: string, data: Uint8Array): Uint8Array {
  const text = `{'descr': '${descr}', 'fortran_order': False, 'shape': ${shape}, }\n`;
  const header = strToU8(text);
  return new Uint8Array([0x93, ...strToU8("NUMPY"), 1, 0, header.length, 0, ...header, ...data]);
}
const bytesOf = (data: Float32Array | Int32Array): Uint8Array => new Uint8Array(data.buffer);

describe("readNpz", () => {
  it("reads arrays, scalars and empty axes from a deflated archive", () => {
    const folder = mkdtempSync(join(tmpdir(), "npz-"));
    try {
      const path = join(folder, "a.npz");
      writeFileSync(
        path,
        zipSync({
          "x.y.npy": npy("<f4", "(2, 3)", bytesOf(new Float32Array([1, 2, 3, 4, 5, 6.5]))),
          "scalar.npy": npy("<i4", "()", bytesOf(new Int32Array([7]))),
          "empty.npy": npy("|u1", "(0, 4)", new Uint8Array()),
          "row.npy": npy("|b1", "(3,)", new Uint8Array([1, 0, 1])),
        }),
      );
      const archive = readNpz(path);
      expect(archive.names).toEqual(["x.y", "scalar", "empty", "row"]);
      expect(archive.get("x.y").shape).toEqual([2, 3]);
      expect([...archive.get("x.y").numbers()]).toEqual([1, 2, 3, 4, 5, 6.5]);
      expect(archive.get("scalar").shape).toEqual([]);
      expect([...archive.get("scalar").numbers()]).toEqual([7]);
      expect(archive.get("empty").data.length).toBe(0);
      expect([...archive.get("row").numbers()]).toEqual([1, 0, 1]);
      expect(() => archive.get("z")).toThrow('no array "z"');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("refuses what it cannot read", () => {
    expect(() => readNpy(new Uint8Array(16))).toThrow("not a numpy array");
    expect(() => readNpy(npy("|O", "(1,)", new Uint8Array(8)))).toThrow("unsupported array");
    expect(() => readNpy(npy("<f4", "(3,)", new Uint8Array(8)))).toThrow("expected 3 values, got 2");
  });
});
