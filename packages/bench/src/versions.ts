import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

/** Version of an installed package, undefined when it is not installed. */
export function versionOf(name: string): string | undefined {
  // Not every package exports its package.json, so it is looked for above the package's entry.
  let folder: string;
  try {
    folder = path.dirname(createRequire(import.meta.url).resolve(name));
  } catch {
    return undefined;
  }
  for (; path.dirname(folder) !== folder; folder = path.dirname(folder)) {
    const file = path.join(folder, "package.json");
    if (!existsSync(file)) continue;
    const content = JSON.parse(readFileSync(file, "utf8")) as { readonly name?: string; readonly version?: string };
    if (content.name === name) return content.version;
  }
  return undefined;
}

/** Version of this package. */
export function ownVersion(): string {
  const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as { readonly version: string };
  return version;
}
