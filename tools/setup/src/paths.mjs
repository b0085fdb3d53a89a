import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** Root folder of the clone. */
export const repositoryRoot = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "..");

/** Folder for what set-up unpacks and remembers; ignored by git, safe to delete. */
export const cacheFolder = join(repositoryRoot, ".cache");

/**
 * The script behind an installed package's command, to be started with node itself.
 * @param {string} name package and command, e.g. "nx"
 * @returns {string | undefined} undefined when the package is not installed
 */
export function commandScript(name) {
  const folder = join(repositoryRoot, "node_modules", name);
  const manifest = join(folder, "package.json");
  if (!existsSync(manifest)) return undefined;
  const { bin } = /** @type {{ bin: string | Record<string, string> }} */ (JSON.parse(readFileSync(manifest, "utf8")));
  const script = typeof bin === "string" ? bin : bin[name];
  return script === undefined ? undefined : join(folder, script);
}
