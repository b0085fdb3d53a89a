import { describe, expect, it } from "vitest";
import { checkHygiene } from "./hygiene.js";

const check = (path: string, text: string): string[] => checkHygiene(new Map([[path, text]])).map((finding) => finding.where);

// Put together here, so that this file does not break the rules it tests.
const host = ["registry", "npmjs", "org"].join(".");
const home = ["", "home", "ann", "data.bin"].join("/");

describe("checkHygiene", () => {
  it("finds hosts, machine paths, fetched-from records and open ends, with their line", () => {
    expect(check("a.md", `fine\nhttps://${host}/x`)).toEqual(["a.md:2"]);
    expect(check("a.ts", `const path = "${home}";`)).toEqual(["a.ts:1"]);
    expect(check("package-lock.json", `{\n"resolved": "https://somewhere/x.tgz"`)).toEqual(["package-lock.json:2"]);
    expect(check("a.ts", `// ${"TO"}${"DO"} later`)).toEqual(["a.ts:1"]);
  });

  it("lets relative paths, links and workspace entries be", () => {
    const [folder, top] = ["work", "root"];
    expect(check("a.ts", `import "../${folder}/x.js"; const path = "packages/home/x/y"; const url = "https://host.example/${top}/x";`)).toEqual([]);
    expect(check("package-lock.json", '"resolved": "packages/bench",')).toEqual([]);
  });

  it("finds bad file names", () => {
    expect(check("packages/nn/src/utils.ts", "")).toEqual(["packages/nn/src/utils.ts"]);
    expect(check("packages/nn/src/MyBlock.ts", "")).toEqual(["packages/nn/src/MyBlock.ts"]);
    expect(check("docs/scene.pkl", "")).toEqual(["docs/scene.pkl"]);
    expect(check("packages/nn/src/my-block.test.ts", "")).toEqual([]);
  });
});
