import type { Reporter } from "vitest/node";

/** Writes counts per package to the file named by DISTILLDRIVE_TEST_REPORT; does nothing without it. */
export default class CountingReporter implements Reporter {
  onTestRunEnd: NonNullable<Reporter["onTestRunEnd"]>;
}
