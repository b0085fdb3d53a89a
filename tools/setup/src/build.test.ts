import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { stalePackages } from "./build.mjs";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "distilldrive-build-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

function writeAt(path: string, seconds: number): void {
  const file = join(folder, path);
  mkdirSync(join(file, ".."), { recursive: true });
  writeFileSync(file, "");
  utimesSync(file, seconds, seconds);
}

describe("stalePackages", () => {
  it("lists packages never built or built before their sources changed", () => {
    for (const name of ["never", "old", "fresh"]) writeAt(`${name}/tsup.config.ts`, 1000);
    writeAt("never/src/index.ts", 1000);
    writeAt("old/dist/index.js", 1000);
    writeAt("old/src/deep/er.ts", 2000);
    writeAt("fresh/src/index.ts", 1000);
    writeAt("fresh/dist/index.js", 2000);
    writeAt("fresh/src/index.test.ts", 3000);
    mkdirSync(join(folder, "not-a-package"));
    expect(stalePackages(folder).sort()).toEqual(["never", "old"]);
  });
});
