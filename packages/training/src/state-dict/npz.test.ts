import { describe, expect, it } from "vitest";
import { decodeNpy } from "./npz.js";

describe("decodeNpy", () => {
  it("reads a file that lies in the middle of a pool, as Node's small buffers do", () => {
    const header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1), }".padEnd(117) + "\n";
    const file = Buffer.concat([Buffer.from("\x93NUMPY\x01\x00", "latin1"), Buffer.from(Uint16Array.of(118).buffer), Buffer.from(header, "latin1"), Buffer.from(Float32Array.of(1.5, -2).buffer)]);
    expect(file.byteLength).toBeLessThan(file.buffer.byteLength);
    expect(decodeNpy(file, "x.npy")).toEqual({ shape: [2, 1], integer: false, values: Float64Array.of(1.5, -2) });
  });
});
