import { cruise } from "dependency-cruiser";
import type { Finding } from "./finding.js";
import { repositoryRoot } from "./repository.js";

/**
 * Cycles of files that import one another when the program runs; cycles of types alone vanish in the build and
 * are allowed. Layers are the linter's business.
 * @param folders where to look, relative to the base
 * @param baseDir default the repository
 * @returns one finding for every cycle
 */
export async function checkCycles(folders: readonly string[], baseDir: string = repositoryRoot): Promise<Finding[]> {
  const { output } = await cruise([...folders], {
    baseDir,
    validate: true,
    ruleSet: { forbidden: [{ name: "no-cycles", severity: "error", from: {}, to: { circular: true } }] },
    exclude: { path: "(^|/)(dist|node_modules)/" },
    doNotFollow: { path: "node_modules" },
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["@distilldrive/source", "import", "node"], extensions: [".ts", ".mjs", ".js"] },
  });
  if (typeof output === "string") throw new Error(`dependency-cruiser answered with text: ${output}`);
  return output.summary.violations.map((violation) => ({
    where: violation.from,
    problem: `imports itself in a circle: ${(violation.cycle ?? []).map((step) => step.name).join(" -> ")}; move what they share into a file of its own`,
  }));
}
