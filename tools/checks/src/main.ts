// Started by `npm run check` after everything is built.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { checkCycles } from "./cycles.js";
import type { Finding } from "./finding.js";
import { checkHygiene } from "./hygiene.js";
import { checkPublished } from "./published.js";
import { checkReadmes } from "./readmes.js";
import { listFiles, listPackages, repositoryRoot } from "./repository.js";

const packages = listPackages("packages");
const tools = listPackages("tools");

const checks: readonly (readonly [name: string, run: () => Finding[] | Promise<Finding[]>])[] = [
  ["nothing that does not belong into the repository", () => checkHygiene(readTextFiles())],
  ["a README with an example in every package", () => checkReadmes([...packages, ...tools])],
  ["no import cycles", () => checkCycles(["packages", "tools", "examples"])],
  ["packages as npm would publish them", async () => (await Promise.all(packages.map(checkPublished))).flat()],
];

let failed = false;
for (const [name, run] of checks) {
  const findings = await run();
  console.log(`${findings.length === 0 ? "ok    " : "FAILED"} ${name}`);
  for (const { where, problem } of findings) console.log(`       ${where}: ${problem}`);
  failed ||= findings.length > 0;
}
process.exitCode = failed ? 1 : 0;

function readTextFiles(): Map<string, string> {
  const files = listFiles().map((path) => [path, readFileSync(join(repositoryRoot, path), "utf8")] as const);
  return new Map(files.map(([path, text]) => [path, text.includes("\0") ? "" : text]));
}
