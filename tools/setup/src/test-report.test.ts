import { describe, expect, it } from "vitest";
import { formatTestReport } from "./test-report.mjs";

describe("formatTestReport", () => {
  it("ends with the plain count and names skip reasons once", () => {
    const lines = formatTestReport({
      packages: [
        { name: "@distilldrive/a", passed: 3, failed: 1, skipped: 2, gpu: 2 },
        { name: "@distilldrive/b", passed: 4, failed: 0, skipped: 0, gpu: 0 },
      ],
      skips: [{ test: "x", reason: "no data" }, { test: "y", reason: "no data" }],
      errors: 1,
    });
    expect(lines.at(-1)).toBe("7 passed, 2 failed, 2 skipped");
    expect(lines.at(-2)).toBe("GPU-backed tests that ran: 2");
    expect(lines).toContain("skipped 2: no data (x; y)");
  });
});
