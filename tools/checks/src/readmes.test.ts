import { spawnSync } from "node:child_process";
import { join } from "node:path";
import ts from "typescript";
import { describe, expect, it } from "vitest";
import { findExample, readReadme } from "./readmes.js";
import { listPackages, repositoryRoot } from "./repository.js";

describe("findExample", () => {
  it("takes the first block fenced as ts and leaves others alone", () => {
    expect(findExample("x\n```sh\nnpm i\n```\n```ts no-run\nno\n```\n```ts\nyes();\n```\n```ts\nlater\n```\n")).toBe("yes();\n");
    expect(findExample("nothing")).toBeUndefined();
  });
});

describe("README examples run", () => {
  for (const entry of listPackages("packages")) {
    const example = findExample(readReadme(entry) ?? "");
    it(entry.name, ({ skip }) => {
      if (example === undefined) return skip("its README has no runnable example (a check of its own reports that)");
      const compilerOptions = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022, verbatimModuleSyntax: true };
      const script = ts.transpileModule(example, { compilerOptions }).outputText;
      // Started in the package's folder, so that the example finds the package by its name, from its sources.
      const flags = ["--conditions=@distilldrive/source", "--import", "tsx", "--input-type=module", "-e", `${script}\nprocess.exit(0);`];
      const child = spawnSync(process.execPath, flags, { cwd: join(repositoryRoot, entry.folder), encoding: "utf8", timeout: 100_000 });
      expect(child.status, `${child.stdout}${child.stderr}`).toBe(0);
    });
  }
});
