import { findChromium, repositoryRoot } from "@distilldrive/setup";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openPage } from "./page.js";

const browser = findChromium();

describe.skipIf(browser === undefined)(`README examples in Chromium${browser === undefined ? " (skipped: no Chromium in PATH; set CHROMIUM_PATH)" : ""} [gpu]`, () => {
  it.each(["kernels", "tensor"])("%s", async (name) => {
    const folder = join(repositoryRoot, "packages", name);
    const code = /^```ts page\n([\s\S]*?)^```/m.exec(readFileSync(join(folder, "README.md"), "utf8"))?.[1] ?? "";
    expect(code).not.toBe("");
    const page = await openPage({ browser: browser ?? "", entry: { code, folder } });
    try {
      const text = await page.text();
      expect(page.messages.filter((message) => message.includes("Error"))).toEqual([]);
      // Both print rows of probabilities; the first two numbers of softmax(0 1 2 3).
      expect(text.split(": ")[1]?.split(" ").slice(0, 2).map((number) => Number(number).toFixed(4))).toEqual(["0.0321", "0.0871"]);
    } finally {
      await page.close();
    }
  });
});
