import { existsSync, readdirSync, statSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { runQuietly, say, SetupError, tail } from "./process.mjs";
import { repositoryRoot } from "./paths.mjs";

/**
 * Time of the youngest file below a folder.
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
 * Build what is not built or older than its sources; nx takes unchanged packages from its cache.
 * @returns {void}
 * @throws {SetupError} when the build fails, with the end of its output
 */
export function ensureBuilt() {
  const stale = stalePackages(join(repositoryRoot, "packages"));
  if (stale.length === 0) return;
  say(`building ${stale.length === 1 ? "package" : "packages"} ${stale.join(", ")}`);
  const nx = join(repositoryRoot, "node_modules", "nx", "bin", "nx.js");
  if (!existsSync(nx)) throw new SetupError("setup: the packages are not installed. Run: npm ci");
  const projects = stale.map((name) => `@distilldrive/${name}`).join(",");
  const result = runQuietly(process.execPath, [nx, "run-many", "-t", "build", "-p", projects], {
    cwd: repositoryRoot,
    env: { NX_DAEMON: "false", NX_TUI: "false", NO_COLOR: "1" },
  });
  if (!result.ok) throw new SetupError(`setup: the build failed. Run "npm run build" to see all of it.\n${tail(result.output, 60)}`);
  // nx leaves a dist alone that already matches its cache; mark it as looked at.
  const now = new Date();
  for (const name of stale) utimesSync(join(repositoryRoot, "packages", name, "dist", "index.js"), now, now);
}
