import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runCommand } from "../testing/run-command.js";

describe("distilldrive bench", () => {
  let folder = "";
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "distilldrive-bench-test-"));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it("prints a table and writes JSON and a page, with a registered kernel in them [gpu]", async () => {
    const kernel = path.join(folder, "kernel.mjs");
    await writeFile(kernel, `export default { name: "nothing", kernel: "klDivergence", build: () => undefined };\n`);
    const [json, html] = [path.join(folder, "out.json"), path.join(folder, "out.html")];
    const { status, out, err } = await runCommand(["bench", "--suite", "klDivergence", "--only", "18] forward", "--runs", "1", "--register", kernel, "--json", json, "--html", html]);
    expect(status, err).toBe(0);
    expect(out).toMatch(/klDivergence rows \[64,18\] forward +distilldrive +[\d.]+ ms/);
    expect(Object.keys(JSON.parse(await readFile(json, "utf8")) as object).slice(0, 4)).toEqual(["adapter", "versions", "ceilings", "rows"]);
    expect(await readFile(html, "utf8")).toContain("<!doctype html>");
  });

  it("refuses unknown suites, peers and modules", async () => {
    expect(await runCommand(["bench", "--suite", "kernel", "--no-html"])).toMatchObject({ status: 1, err: expect.stringContaining('unknown suite "kernel"') as string });
    expect(await runCommand(["bench", "--peers", "torch"])).toMatchObject({ status: 2, err: expect.stringContaining('Unknown library "torch"') as string });
    expect(await runCommand(["bench", "--no-html", "--register", path.join(folder, "missing.mjs")])).toMatchObject({ status: 2, err: expect.stringContaining("cannot be imported") as string });
  });
});
