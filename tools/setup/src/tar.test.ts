import { describe, expect, it } from "vitest";
import { readTar } from "./tar.mjs";

/** A tar archive with regular files, made by hand from the ustar layout. */
function makeTar(files: Readonly<Record<string, string>>): Uint8Array {
  const blocks: Uint8Array[] = [];
  for (const [name, contents] of Object.entries(files)) {
    const header = new Uint8Array(512);
    const bytes = new TextEncoder().encode(contents);
    header.set(new TextEncoder().encode(name), 0);
    header.set(new TextEncoder().encode(bytes.length.toString(8).padStart(11, "0")), 124);
    header.set(new TextEncoder().encode("0"), 156);
    header.set(new TextEncoder().encode("ustar"), 257);
    const padded = new Uint8Array(Math.ceil(bytes.length / 512) * 512);
    padded.set(bytes);
    blocks.push(header, padded);
  }
  blocks.push(new Uint8Array(1024));
  return new Uint8Array(Buffer.concat(blocks));
}

describe("readTar", () => {
  it("returns the contents of every file", () => {
    const archive = makeTar({ "a/b.json": '{"x":1}', "long.txt": "y".repeat(513), empty: "" });
    const files = readTar(archive);
    expect([...files.keys()]).toEqual(["a/b.json", "long.txt", "empty"]);
    expect(new TextDecoder().decode(files.get("a/b.json"))).toBe('{"x":1}');
    expect(files.get("long.txt")?.length).toBe(513);
    expect(files.get("empty")?.length).toBe(0);
  });

  it("refuses an archive that is cut short", () => {
    expect(() => readTar(makeTar({ a: "z".repeat(600) }).subarray(0, 700))).toThrow("a is cut short, expected 600 bytes");
  });
});
