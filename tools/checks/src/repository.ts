import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** Root folder of the clone. */
export const repositoryRoot = fileURLToPath(new URL("../../..", import.meta.url));

/** A workspace package. */
export interface Package {
  /** e.g. "@distilldrive/tensor" */
  readonly name: string;
  /** Relative to the repository, e.g. "packages/tensor". */
  readonly folder: string;
}

/**
 * Packages below a folder, in alphabetical order.
 * @param parent "packages" or "tools"
 */
export function listPackages(parent: "packages" | "tools"): Package[] {
  return readdirSync(join(repositoryRoot, parent)).sort().flatMap((entry) => {
    const folder = `${parent}/${entry}`;
    const manifest = join(repositoryRoot, folder, "package.json");
    if (!existsSync(manifest)) return [];
    const { name } = JSON.parse(readFileSync(manifest, "utf8")) as { name: string };
    return [{ name, folder }];
  });
}

/** Paths of all files that git tracks or would add, relative to the repository. */
export function listFiles(): string[] {
  const listed = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], { cwd: repositoryRoot, encoding: "utf8" });
  return listed.split("\0").filter((file) => file !== "" && existsSync(join(repositoryRoot, file)));
}
