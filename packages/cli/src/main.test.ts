import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import type { Io } from "./io.js";
import { main } from "./main.js";

/** Run the command in this process and keep what it prints. */
async function run(...argv: string[]): Promise<{ status: number; out: string; err: string }> {
  const printed = { out: "", err: "" };
  const io: Io = {
    out: (text) => (printed.out += text),
    err: (text) => (printed.err += text),
    env: {},
    terminal: false,
    interrupted: new AbortController().signal,
  };
  return { status: await main(argv, io), ...printed };
}

/** Run the command in a process of its own, from the sources. */
function runProcess(argv: readonly string[], env: Readonly<Record<string, string>> = {}): { status: number | null; out: string; err: string } {
  const source = new URL("./main.ts", import.meta.url).href;
  const script = `import { main } from ${JSON.stringify(source)}; process.exit(await main(process.argv.slice(1)));`;
  const flags = ["--conditions=@distilldrive/source", "--import", "tsx", "--input-type=module", "-e", script, "--"];
  const child = spawnSync(process.execPath, [...flags, ...argv], { encoding: "utf8", env: { ...process.env, ...env } });
  return { status: child.status, out: child.stdout, err: child.stderr };
}

describe("usage", () => {
  it("prints help with examples on standard output", async () => {
    const { status, out, err } = await run("--help");
    expect([status, err]).toEqual([0, ""]);
    expect(out).toContain("doctor");
    expect(out).toMatch(/Examples:\n {2}\$ npx distilldrive/);
  });

  it("prints help on standard error when no command is given, and fails", async () => {
    const { status, out, err } = await run();
    expect([status, out]).toEqual([2, ""]);
    expect(err).toContain("Usage: distilldrive");
  });

  it("suggests the nearest command", async () => {
    const { status, err } = await run("doctr");
    expect(status).toBe(2);
    expect(err).toBe('distilldrive: unknown command "doctr". Did you mean "doctor"? See: distilldrive --help\n');
  });

  it("suggests the nearest option and names the command", async () => {
    const { status, err } = await run("doctor", "--jso");
    expect(status).toBe(2);
    expect(err).toBe('distilldrive doctor: unknown option "--jso". Did you mean "--json"? See: distilldrive doctor --help\n');
  });

  it("refuses surplus arguments", async () => {
    const { status, err } = await run("doctor", "now");
    expect(status).toBe(2);
    expect(err).toContain("too many arguments");
  });

  it("prints its version", async () => {
    expect((await run("--version")).out).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  it("says errors in JSON too when asked for JSON", async () => {
    const { status, out } = await run("doctor", "--json", "--nope");
    expect(status).toBe(2);
    expect(JSON.parse(out)).toEqual({ error: { name: "UsageError", message: expect.stringContaining('unknown option "--nope"') as string } });
  });
});

describe("as a process", () => {
  it("ends with status 2 and no stack on wrong usage", () => {
    const { status, out, err } = runProcess(["trian"]);
    expect([status, out]).toEqual([2, ""]);
    expect(err).toMatch(/^distilldrive: unknown command "trian"/);
    expect(err).not.toContain("at ");
  });

  it("shows the stack with DISTILLDRIVE_DEBUG=1", () => {
    expect(runProcess(["trian"], { DISTILLDRIVE_DEBUG: "1" }).err).toContain("at ");
  });

  it("[gpu] doctor finds the adapter and ends with status 0", () => {
    const { status, out } = runProcess(["doctor", "--json"]);
    const report = JSON.parse(out) as { ok: boolean; adapter: { computes: boolean; limits: Record<string, number> } };
    expect(status).toBe(0);
    expect(report.ok).toBe(true);
    expect(report.adapter.computes).toBe(true);
    expect(report.adapter.limits.maxBufferSize).toBeGreaterThanOrEqual(268435456);
  });

  it.runIf(process.platform === "linux")("doctor without an adapter says what to install and ends with status 1", () => {
    const nowhere = "/nonexistent/driver.json";
    const { status, out } = runProcess(["doctor"], { VK_DRIVER_FILES: nowhere, VK_ICD_FILENAMES: nowhere });
    expect(status).toBe(1);
    expect(out).toMatch(/^adapter +none/m);
    expect(out).toContain("error: No WebGPU adapter");
    expect(out).toContain("unset the variable");
  });
});

describe("the committed bin file", () => {
  it("is what npm links as distilldrive", () => {
    const bin = fileURLToPath(new URL("../bin/distilldrive.js", import.meta.url));
    const child = spawnSync(process.execPath, ["--check", bin], { encoding: "utf8" });
    expect([child.status, child.stderr]).toEqual([0, ""]);
  });
});
