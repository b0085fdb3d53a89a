import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { npmProgram, runQuietly, say, SetupError } from "./process.mjs";
import { repositoryRoot } from "./paths.mjs";

/**
 * @typedef {{ version?: string, integrity?: string, link?: boolean, optional?: boolean, devOptional?: boolean, peer?: boolean }} LockedPackage
 * @typedef {{ packages: Record<string, LockedPackage> }} Lock
 */

/**
 * Packages that package-lock.json asks for and node_modules does not have in that version.
 * npm writes node_modules/.package-lock.json at the end of every successful install, so an interrupted
 * install counts as missing everything. Packages for other platforms are never installed and do not count.
 * @param {Lock} wanted contents of package-lock.json
 * @param {Lock | undefined} installed contents of node_modules/.package-lock.json
 * @returns {string[]} names of the folders that are missing or of another version
 */
export function missingPackages(wanted, installed) {
  return Object.entries(wanted.packages)
    .filter(([folder, entry]) => {
      if (!folder.includes("node_modules/") || entry.optional === true || entry.devOptional === true) return false;
      const found = installed?.packages[folder];
      if (entry.link === true) return found?.link !== true;
      return found === undefined || found.version !== entry.version || found.integrity !== entry.integrity;
    })
    .map(([folder]) => folder);
}

/**
 * @param {string} file
 * @returns {Lock | undefined}
 */
function readLock(file) {
  if (!existsSync(file)) return undefined;
  const lock = /** @type {Lock} */ (JSON.parse(readFileSync(file, "utf8")));
  return lock;
}

/**
 * `npm ci` when node_modules is missing or differs from the lock file; otherwise nothing.
 * @returns {void}
 * @throws {SetupError} when npm fails, with the end of its output
 */
export function ensureInstalled() {
  const wanted = readLock(join(repositoryRoot, "package-lock.json"));
  if (wanted === undefined) throw new SetupError("setup: package-lock.json is missing. Restore it: git checkout package-lock.json");
  const missing = missingPackages(wanted, readLock(join(repositoryRoot, "node_modules", ".package-lock.json")));
  if (missing.length === 0) return;
  say(`installing npm packages (${missing.length} missing or changed), about a minute`);
  const npm = npmProgram();
  const result = runQuietly(npm.command, [...npm.args, "ci", "--include=dev", "--no-audit", "--no-fund"], { cwd: repositoryRoot });
  if (!result.ok) {
    throw new SetupError(`setup: npm ci failed. Mend what it says and run the same command again.\n${complaint(result.output)}`);
  }
}

/**
 * What npm says went wrong: it states the cause first and ends with a page of help.
 * @param {string} output
 * @returns {string}
 */
function complaint(output) {
  const errors = output.split("\n").filter((line) => /^npm (error|ERR!) ./.test(line));
  return (errors.length > 0 ? errors : output.split("\n")).slice(0, 20).join("\n");
}
