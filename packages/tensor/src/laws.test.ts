import { lawRuns } from "@distilldrive/testkit";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { AnyOp } from "./op.js";
import { allOps } from "./ops/index.js";
import { type Device, openDevice } from "./run/device.js";
import { checkAlong } from "./testing/along-law.js";
import { checkForward, checkGradient, drawCase } from "./testing/laws.js";

/** Random cases of every law; the nightly run raises it. */
const runs = Number(process.env["DISTILLDRIVE_LAW_RUNS"] ?? 100);
/** Cases whose gradient the device computes too: each needs pipelines of its own for the whole backward pass. */
const deviceGradients = Math.ceil(runs / 8);

describe("op laws [gpu]", () => {
  let device: Device;
  beforeAll(async () => {
    device = await openDevice();
  });
  afterAll(() => {
    device.close();
  });
  const cases = (op: AnyOp, count: number, check: (g: fc.GeneratorValue) => Promise<void>): Promise<void> =>
    fc.assert(fc.asyncProperty(fc.gen(), check), lawRuns({ runs: count, name: op.name }));

  for (const op of allOps) {
    test(`${op.name}: the device computes the reference, twice the same`, () => cases(op, runs, (g) => checkForward(device, op, drawCase(op, g))));
    if (!("none" in op.vjp)) {
      test(`${op.name}: its gradient is right`, () => cases(op, runs, (g) => checkGradient(undefined, op, drawCase(op, g))));
      test(`${op.name}: the device computes its gradient`, () => cases(op, deviceGradients, (g) => checkGradient(device, op, drawCase(op, g))));
    }
  }
});

describe("independence laws", () => {
  for (const op of allOps.filter(({ along }) => along !== undefined)) {
    test(`${op.name}: parts of its inputs give parts of its result`, () => {
      let axes = 0;
      fc.assert(fc.property(fc.gen(), (g) => {
        axes += checkAlong(op, drawCase(op, g));
      }), lawRuns({ runs: 100, name: op.name }));
      expect(axes).toBeGreaterThan(0);
    });
  }
});
