import { writeFileSync } from "node:fs";

/** Counts tests per package; tools/setup prints the counts after vitest's own output, as the last lines. */
export default class CountingReporter {
  /** @param {readonly import("vitest/node").TestModule[]} modules @param {readonly unknown[]} unhandled */
  onTestRunEnd(modules, unhandled) {
    const file = process.env.DISTILLDRIVE_TEST_REPORT;
    if (file === undefined) return;
    const packages = new Map();
    const skips = [];
    let errors = unhandled.length;
    for (const module of modules) {
      const name = module.project.name;
      const counts = packages.get(name) ?? { name, passed: 0, failed: 0, skipped: 0, gpu: 0 };
      packages.set(name, counts);
      errors += module.errors().length;
      for (const suite of module.children.allSuites()) errors += suite.errors().length;
      for (const test of module.children.allTests()) {
        const result = test.result();
        // A test that never ran (its file broke, the run was interrupted) is still pending.
        const state = result.state === "pending" ? "skipped" : result.state;
        counts[state] += 1;
        if (state === "passed" && test.fullName.includes("[gpu]")) counts.gpu += 1;
        if (state === "skipped") skips.push({ test: test.fullName, reason: result.note ?? "no reason given" });
      }
    }
    writeFileSync(file, JSON.stringify({ packages: [...packages.values()].sort((a, b) => (a.name < b.name ? -1 : 1)), skips, errors }));
  }
}
