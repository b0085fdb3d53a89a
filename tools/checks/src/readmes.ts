import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Finding } from "./finding.js";
import { type Package, repositoryRoot } from "./repository.js";

/**
 * The first runnable example of a README: a block fenced as `ts`. A block fenced as `ts no-run` is only shown.
 * @param readme markdown
 * @returns its code, undefined when there is none
 */
export function findExample(readme: string): string | undefined {
  return /^```ts[ \t]*\n([\s\S]*?)^```/m.exec(readme)?.[1];
}

/**
 * The README of a package.
 * @returns its text, undefined when there is none
 */
export function readReadme({ folder }: Package): string | undefined {
  const file = join(repositoryRoot, folder, "README.md");
  return existsSync(file) ? readFileSync(file, "utf8") : undefined;
}

/** Packages without README or without an example in it. */
export function checkReadmes(packages: readonly Package[]): Finding[] {
  return packages.flatMap((entry) => {
    const readme = readReadme(entry);
    if (readme === undefined) return [{ where: entry.folder, problem: "has no README.md" }];
    if (findExample(readme) === undefined) return [{ where: `${entry.folder}/README.md`, problem: "has no runnable example; add a ```ts block" }];
    return [];
  });
}
