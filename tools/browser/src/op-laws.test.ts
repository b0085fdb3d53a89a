import { findChromium, repositoryRoot } from "@distilldrive/setup";
import { lawSeed } from "@distilldrive/testkit";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openPage, type Page } from "./page.js";

const browser = findChromium();
/** Random cases an op and law; sources are the same as in Node, so a few find what a browser does differently. */
const runs = Number(process.env["DISTILLDRIVE_BROWSER_LAW_RUNS"] ?? 3);

describe.skipIf(browser === undefined)(`op laws in Chromium${browser === undefined ? " (skipped: no Chromium in PATH; set CHROMIUM_PATH)" : ""} [gpu]`, () => {
  let page: Page | undefined;
  beforeAll(async () => {
    const opened = await openPage({ browser: browser ?? "", entry: join(repositoryRoot, "packages", "tensor", "src", "testing", "laws-page.ts") });
    page = opened;
    expect(await opened.call("openAdapter"), opened.messages.join("\n")).not.toBe("");
  });
  afterAll(() => page?.close());

  it("every op computes its reference, and its gradient, in a page", async () => {
    const names = (await page?.call("opNames")) as string[];
    // Files of ops/ hold at least one op each, but for what they share.
    expect(names.length).toBeGreaterThan(readdirSync(join(repositoryRoot, "packages", "tensor", "src", "ops")).length - 8);
    const failures: string[] = [];
    for (const name of names) {
      const failure = (await page?.call("runLaws", name, lawSeed(), runs)) as string;
      if (failure !== "") failures.push(`${name}: ${failure}`);
    }
    expect(failures, failures.join("\n\n")).toEqual([]);
  }, 600_000);
});
