import { expect, test } from "vitest";
import type { Candidate } from "./kernel.js";
import { portableTarget } from "./target.js";
import { chooseCandidate, sizeBucket } from "./tuning.js";

const named = (name: string): Candidate => ({ name, build: () => ({ name, kernels: [], temporaries: [] }) });
const choosing = (answer: string | undefined): typeof portableTarget => ({ ...portableTarget, tuning: { choose: () => answer } });

test("the first candidate wins unless the tuning names another", () => {
  const candidates = [named("a"), named("b")] as const;
  expect(chooseCandidate(portableTarget, "key", candidates).name).toBe("a");
  expect(chooseCandidate(choosing("b"), "key", candidates).name).toBe("b");
  expect(chooseCandidate(choosing(undefined), "key", candidates).name).toBe("a");
  expect(chooseCandidate(choosing("from an older release"), "key", candidates).name).toBe("a");
});

test("sizes share a bucket up to the next power of two", () => {
  expect([0, 1, 2, 3, 4, 5, 1344].map(sizeBucket)).toEqual([0, 1, 2, 4, 4, 8, 2048]);
});
