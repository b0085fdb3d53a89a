import { expect, test } from "vitest";
import type { Candidate } from "./kernel.js";
import { portableTarget } from "./target.js";
import { chooseCandidate, recordTuning, sizeBucket, tuningFrom } from "./tuning.js";

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

test("a table of winners decides the keys it names", () => {
  const tuning = tuningFrom({ "matmul.nn 64x64x64": "b" });
  const target = { ...portableTarget, tuning };
  expect(chooseCandidate(target, "matmul.nn 64x64x64", [named("a"), named("b")]).name).toBe("b");
  expect(chooseCandidate(target, "toString", [named("a"), named("b")]).name).toBe("a");
});

test("a recorder remembers each choice once and decides nothing", () => {
  const recorder = recordTuning();
  const target = { ...portableTarget, tuning: recorder };
  for (const key of ["x", "y", "x"]) expect(chooseCandidate(target, key, [named("a"), named("b")]).name).toBe("a");
  expect([...recorder.choices].map(([key, candidates]) => [key, candidates.map(({ name }) => name)])).toEqual([["x", ["a", "b"]], ["y", ["a", "b"]]]);
});
