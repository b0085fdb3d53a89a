import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";

describe("README", () => {
  it("has an example that runs", async () => {
    const readme = await readFile(new URL("../README.md", import.meta.url), "utf8");
    const code = /```ts\n([\s\S]*?)```/.exec(readme)?.[1] ?? "";
    expect(code.split("\n").length).toBeGreaterThan(8);
    // In the package's folder its own name resolves to its sources.
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ["--conditions=@distilldrive/source", "--import", "tsx", "--input-type=module", "-e", code],
      { cwd: fileURLToPath(new URL("..", import.meta.url)) },
    );
    const [, sizes] = stdout.trim().split(/\n(?=\d)/);
    expect(sizes).toMatch(/^1152 Float32Array\(4\) \[ 1, 1, 1, 1 \] \[/);
    expect(stdout).toContain('{"seed":0,"streams":20,');
  });
});
