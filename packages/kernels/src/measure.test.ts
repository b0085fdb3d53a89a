import { openTestDevice } from "@distilldrive/testkit";
import { beforeAll, describe, expect, it } from "vitest";
import { copy } from "./copy/copy.js";
import { type Candidate, sequenceOf } from "./kernel.js";
import { measureCandidates } from "./measure.js";
import { portableTarget } from "./target.js";

describe("measureCandidates [gpu]", () => {
  let device: GPUDevice | undefined;
  beforeAll(async () => {
    device = await openTestDevice();
  });
  const kernel = copy({ length: 4096 }, portableTarget);
  const copying = (name: string, times: number): Candidate => ({
    name,
    build: () => ({ name, kernels: Array.from({ length: times }, () => ({ kernel, bind: { x: "x", y: "y" } })), temporaries: [] }),
  });

  it("times every candidate and puts the fastest first", async (context) => {
    if (device === undefined) return context.skip();
    const times = await measureCandidates(device, [copying("long", 8), copying("short", 1)], { rounds: 3, turn: 0 });
    expect(times.map(({ candidate }) => candidate).sort()).toEqual(["long", "short"]);
    expect(times[0]?.milliseconds).toBeLessThanOrEqual(times[1]?.milliseconds ?? 0);
    expect(times[0]?.milliseconds).toBeGreaterThan(0);
  });

  it("leaves out a candidate that the device refuses", async (context) => {
    if (device === undefined) return context.skip();
    const broken: Candidate = { name: "broken", build: () => sequenceOf({ ...kernel, wgsl: "nonsense" }) };
    const times = await measureCandidates(device, [broken, copying("short", 1)], { rounds: 1, turn: 0 });
    expect(times.map(({ candidate }) => candidate)).toEqual(["short"]);
  });
});
