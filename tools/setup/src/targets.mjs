import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { ensureAdapter } from "./adapter.mjs";
import { ensureChromium } from "./browser.mjs";
import { ensureBuilt } from "./build.mjs";
import { ensureInstalled } from "./install.mjs";
import { commandScript, repositoryRoot } from "./paths.mjs";
import { runInForeground, SetupError } from "./process.mjs";
import { printTestReport } from "./test-report.mjs";

/**
 * What each target does after the packages are installed.
 * @type {Record<string, (args: readonly string[]) => Promise<number>>}
 */
const targets = { setup, demo, test, check };

/**
 * Make the clone ready and run one target.
 * @param {string} name setup, demo, test or check
 * @param {readonly string[]} args handed to the target
 * @returns {Promise<number>} exit status: 0 ok, 1 failed, 2 no such target, or the target's own
 */
export async function runTarget(name, args) {
  const target = Object.hasOwn(targets, name) ? targets[name] : undefined;
  if (target === undefined) {
    console.error(`setup: unknown target "${name}", expected one of ${Object.keys(targets).join(", ")}`);
    return 2;
  }
  try {
    ensureInstalled();
    return await target(args);
  } catch (error) {
    const userFacing = error instanceof Error && "userFacing" in error && error.userFacing === true;
    console.error(userFacing ? error.message : error);
    return 1;
  }
}

/** @returns {Promise<number>} */
async function setup() {
  ensureAdapter();
  await ensureBuilt();
  return 0;
}

/**
 * The demo runs inside this process, so that interrupts and its exit status need no passing on.
 * @param {readonly string[]} args
 * @returns {Promise<number>}
 */
async function demo(args) {
  ensureAdapter();
  await ensureBuilt();
  const cli = join(repositoryRoot, "packages", "cli", "dist", "index.js");
  const { main } = /** @type {{ main: (argv: readonly string[]) => Promise<number> }} */ (await import(pathToFileURL(cli).href));
  return main(["demo", ...args]);
}

/**
 * All tests of all packages in one vitest run, then the counts.
 * @param {readonly string[]} args handed to vitest, e.g. names of test files
 * @returns {Promise<number>}
 */
async function test(args) {
  ensureAdapter();
  ensureChromium();
  const work = mkdtempSync(join(tmpdir(), "distilldrive-test-"));
  const report = join(work, "report.json");
  try {
    const status = await runInForeground(process.execPath, [script("vitest"), "run", ...args], {
      cwd: repositoryRoot,
      env: { DISTILLDRIVE_TEST_REPORT: report },
    });
    return printTestReport(existsSync(report) ? report : undefined, status, { partial: args.length > 0 });
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/**
 * Build, typecheck and lint every package, then the repository checks.
 * @returns {Promise<number>}
 */
async function check() {
  const targetsStatus = await runInForeground(process.execPath, [script("nx"), "run-many", "-t", "build", "typecheck", "lint", "--outputStyle=static"], {
    cwd: repositoryRoot,
    env: { NX_DAEMON: "false", NX_TUI: "false" },
  });
  const checks = join(repositoryRoot, "tools", "checks", "src", "main.ts");
  const checksStatus = await runInForeground(process.execPath, ["--import", "tsx", checks], { cwd: repositoryRoot });
  return Math.max(targetsStatus, checksStatus);
}

/**
 * @param {string} name package and command
 * @returns {string}
 */
function script(name) {
  const found = commandScript(name);
  if (found === undefined) throw new SetupError(`setup: ${name} is not installed. Run: npm ci`);
  return found;
}
