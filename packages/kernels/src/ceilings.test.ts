import { f32Reduce, openTestDevice, uniformData } from "@distilldrive/testkit";
import { beforeAll, describe, expect, it } from "vitest";
import { ceilingKernels, measureCeilings } from "./ceilings.js";
import { expectAgreement } from "./testing/agreement.js";

describe("ceilings [gpu]", () => {
  let device: GPUDevice | undefined;
  beforeAll(async () => {
    device = await openTestDevice();
  });

  it("the kernels really do the work that is counted", async (context) => {
    if (device === undefined) return context.skip();
    for (const kernel of ceilingKernels()) {
      const inputs: Record<string, Float32Array> = {};
      for (const { name, access, length } of kernel.bindings) if (access === "read") inputs[name] = uniformData(length, 1);
      await expectAgreement(device, kernel, inputs, { out: f32Reduce(256, 48) });
    }
  });

  it("are positive numbers", async (context) => {
    if (device === undefined) return context.skip();
    const { fmaGflops, copyGBps } = await measureCeilings(device, { rounds: 1 });
    expect(fmaGflops).toBeGreaterThan(0);
    expect(copyGBps).toBeGreaterThan(0);
  });
});
