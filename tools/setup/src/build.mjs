import { execFile } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { say, SetupError, tail } from "./process.mjs";
import { commandScript, repositoryRoot } from "./paths.mjs";

/**
 * Time of the youngest file below a folder, tests aside.
 * @param {string} folder
 * @returns {number} ms since 1970, 0 for an empty or missing folder
 */
function youngest(folder) {
  if (!existsSync(folder)) return 0;
  let latest = 0;
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || entry.name.endsWith(".test.ts")) continue;
    latest = Math.max(latest, statSync(join(entry.parentPath, entry.name)).mtimeMs);
  }
  return latest;
}

/**
 * Packages whose `dist` is missing or older than their sources.
 * @param {string} packagesFolder
 * @returns {string[]} folder names
 */
export function stalePackages(packagesFolder) {
  return readdirSync(packagesFolder).filter((name) => {
    const folder = join(packagesFolder, name);
    if (!existsSync(join(folder, "tsup.config.ts"))) return false;
    const built = join(folder, "dist", "index.js");
    return !existsSync(built) || statSync(built).mtimeMs < youngest(join(folder, "src"));
  });
}

/**
 * Build the JavaScript of what is not built or older than its sources. Types are left to `npm run build`: they
 * take ten times as long and nothing that runs needs them.
 * @returns {Promise<void>}
 * @throws {SetupError} when a package does not build, with the end of tsup's output
 */
export async function ensureBuilt() {
  const stale = stalePackages(join(repositoryRoot, "packages"));
  if (stale.length === 0) return;
  const tsup = commandScript("tsup");
  if (tsup === undefined) throw new SetupError("setup: the packages are not installed. Run: npm ci");
  say(`building ${stale.join(", ")}`);
  const queue = [...stale];
  const worker = async () => {
    for (let name = queue.shift(); name !== undefined; name = queue.shift()) await bundle(tsup, name);
  };
  await Promise.all(Array.from({ length: Math.min(availableParallelism(), stale.length) }, worker));
}

/**
 * @param {string} tsup tsup's script
 * @param {string} name folder name of the package
 * @returns {Promise<void>}
 */
function bundle(tsup, name) {
  const cwd = join(repositoryRoot, "packages", name);
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [tsup, "--no-dts", "--no-clean", "--silent"], { cwd, encoding: "utf8" }, (error, stdout, stderr) => {
      if (error === null) resolve();
      else reject(new SetupError(`setup: package ${name} does not build.\n${tail(`${stdout}${stderr}`)}`));
    });
  });
}
