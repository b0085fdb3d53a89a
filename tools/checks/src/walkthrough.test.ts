import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { beforeAll, describe, expect, it } from "vitest";
import { repositoryRoot } from "./repository.js";

const folder = join(repositoryRoot, "packages", "tensor");
const file = join(folder, "walkthrough.ts");

describe("docs/adding-an-op.md", () => {
  let code = "";
  beforeAll(() => {
    const page = readFileSync(join(repositoryRoot, "docs", "adding-an-op.md"), "utf8");
    const blocks = [...page.matchAll(/^```ts\n([\s\S]*?)^```/gm)].map(([, block]) => block ?? "");
    expect(blocks.length).toBe(6);
    code = blocks.join("\n");
  });

  it("typechecks", () => {
    const config = ts.getParsedCommandLineOfConfigFile(join(folder, "tsconfig.json"), { noEmit: true }, { ...ts.sys, onUnRecoverableConfigFileDiagnostic: () => undefined });
    const options = config?.options ?? {};
    const host = ts.createCompilerHost(options);
    const read = host.getSourceFile.bind(host);
    host.fileExists = (name) => name === file || ts.sys.fileExists(name);
    host.getSourceFile = (name, ...rest) => (name === file ? ts.createSourceFile(name, code, ts.ScriptTarget.ES2022, true) : read(name, ...rest));
    const program = ts.createProgram([file], options, host);
    const problems = program.getSemanticDiagnostics(program.getSourceFile(file)).map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, "\n"));
    expect(problems).toEqual([]);
  });

  it("works as it stands [gpu]", () => {
    const script = ts.transpileModule(code, { compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 } }).outputText;
    const flags = ["--conditions=@distilldrive/source", "--import", "tsx", "--input-type=module", "-e", `${script}\nprocess.exit(0);`];
    const child = spawnSync(process.execPath, flags, { cwd: folder, encoding: "utf8", timeout: 100_000 });
    expect(child.status, `${child.stdout}${child.stderr}`).toBe(0);
    expect(child.stdout).toContain("0.6");
  });
});
