import { readFileSync } from "node:fs";

/**
 * Written by tools/build/test-reporter.js at the end of a vitest run.
 * @typedef {{ name: string, passed: number, failed: number, skipped: number, gpu: number }} PackageCounts
 *   gpu: passed tests with "[gpu]" in their full name
 * @typedef {{ packages: PackageCounts[], skips: { test: string, reason: string }[], errors: number }} TestReport
 *   errors: test files that could not be loaded and errors outside any test
 */

/**
 * The report as lines of text; the last is `N passed, N failed, N skipped`.
 * @param {TestReport} report
 * @returns {string[]}
 */
export function formatTestReport(report) {
  const width = Math.max(...report.packages.map((entry) => entry.name.length), 8);
  const reasons = [...new Set(report.skips.map((skip) => skip.reason))];
  return [
    "",
    ...report.packages.map((entry) => {
      const gpu = entry.gpu > 0 ? `  (${entry.gpu} on the GPU)` : "";
      return `${entry.name.padEnd(width)}  ${entry.passed} passed  ${entry.failed} failed  ${entry.skipped} skipped${gpu}`;
    }),
    ...reasons.map((reason) => {
      const tests = report.skips.filter((skip) => skip.reason === reason).map((skip) => skip.test);
      return `skipped ${tests.length}: ${reason} (${tests.slice(0, 3).join("; ")}${tests.length > 3 ? "; ..." : ""})`;
    }),
    ...(report.errors > 0 ? [`${report.errors} test files or hooks failed outside of any test; see above`] : []),
    `GPU-backed tests that ran: ${sum(report.packages, "gpu")}`,
    `${sum(report.packages, "passed")} passed, ${sum(report.packages, "failed") + report.errors} failed, ${sum(report.packages, "skipped")} skipped`,
  ];
}

/**
 * Print the counts and decide the exit status.
 * @param {string | undefined} file the report, undefined when vitest ended before it wrote one
 * @param {number} status vitest's exit status
 * @param {{ partial: boolean }} options partial: only some tests were asked for, so none needs a GPU
 * @returns {number} 0, or 1 when anything failed or no GPU-backed test ran
 */
export function printTestReport(file, status, options) {
  if (file === undefined) {
    console.log(`vitest ended with status ${status} before it could report`);
    return status === 0 ? 1 : status;
  }
  const report = /** @type {TestReport} */ (JSON.parse(readFileSync(file, "utf8")));
  const lines = formatTestReport(report);
  const noGpu = sum(report.packages, "gpu") === 0 && !options.partial;
  if (noGpu) lines.splice(-1, 0, "FAILED: no GPU-backed test ran, so nothing was tested on an adapter");
  console.log(lines.join("\n"));
  return status !== 0 || noGpu || report.errors + sum(report.packages, "failed") > 0 ? 1 : 0;
}

/**
 * @param {readonly PackageCounts[]} packages
 * @param {"passed" | "failed" | "skipped" | "gpu"} field
 * @returns {number}
 */
function sum(packages, field) {
  return packages.reduce((total, entry) => total + entry[field], 0);
}
