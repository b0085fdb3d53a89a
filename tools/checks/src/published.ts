import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import type { Finding } from "./finding.js";
import { type Package, repositoryRoot } from "./repository.js";

/**
 * What someone who installs the package from npm would stumble over: publint (files, exports map) and
 * "are the types wrong" (types as a modern ESM program resolves them). Needs the packages built.
 * @param entry a package that is published
 */
export async function checkPublished(entry: Package): Promise<Finding[]> {
  const folder = join(repositoryRoot, entry.folder);
  const { messages, pkg } = await publint({ pkgDir: folder, strict: true });
  const lint = messages.map((message) => ({ where: entry.folder, problem: `publint: ${formatMessage(message, pkg, { color: false }) ?? message.code}` }));
  return lint.length > 0 ? lint : checkTypes(entry, folder);
}

async function checkTypes(entry: Package, folder: string): Promise<Finding[]> {
  // The command, not the library: packing is its work, and its profile is what other projects' CI uses.
  const { status, output } = await run([attwScript(), "--pack", folder, "--profile", "esm-only", "--no-color", "--format", "ascii"]);
  if (status === 0) return [];
  const verdicts = output.split("\n").filter((line) => line.startsWith("❌"));
  return [{ where: entry.folder, problem: `attw: ${(verdicts.length > 0 ? verdicts : [output.trim()]).join("; ")}` }];
}

/** The package has no entry for importing, so its command is found through its manifest. */
function attwScript(): string {
  const manifest = createRequire(import.meta.url).resolve("@arethetypeswrong/cli/package.json");
  const { bin } = JSON.parse(readFileSync(manifest, "utf8")) as { bin: { attw: string } };
  return join(dirname(manifest), bin.attw);
}

function run(args: readonly string[]): Promise<{ status: number; output: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, args, { cwd: repositoryRoot, encoding: "utf8" }, (error, stdout, stderr) => {
      resolve({ status: error === null ? 0 : 1, output: `${stdout}${stderr}` });
    });
  });
}
