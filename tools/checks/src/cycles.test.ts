import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { checkCycles } from "./cycles.js";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "distilldrive-cycles-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

function write(files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
}

describe("checkCycles", () => {
  it("finds a circle of three files through .js endings", async () => {
    write({
      "a.ts": 'import { b } from "./b.js"; export const a = (): number => b();',
      "b.ts": 'import { c } from "./c.js"; export const b = (): number => c();',
      "c.ts": 'import { a } from "./a.js"; export const c = (): number => a();',
    });
    const findings = await checkCycles(["."], folder);
    expect(findings.length).toBeGreaterThan(0);
    expect(findings[0]?.problem).toContain("b.ts");
  });

  it("allows types to know one another", async () => {
    write({
      "a.ts": 'import type { B } from "./b.js"; export interface A { b?: B } export const a = 1;',
      "b.ts": 'import { a } from "./a.js"; export interface B { n: number } export const b = a;',
    });
    expect(await checkCycles(["."], folder)).toEqual([]);
  });
});
