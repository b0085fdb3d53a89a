import { adapterName, compare, exact } from "@distilldrive/testkit";
import type { Tolerance } from "@distilldrive/testkit";
import { sequenceOf, sequenceReference } from "../kernel.js";
import type { Kernel, KernelSequence, KernelTarget } from "../kernel.js";
import { runSequence } from "../launch.js";
import type { HostArray } from "../launch.js";
import { portableTarget, targetOf } from "../target.js";

/**
 * Runs a kernel on the device and compares everything it writes with its float64 reference on the same (float32) inputs.
 * @param tolerances by output name; integers and outputs without one must be exact
 * @returns the device's output of a name
 * @throws ComparisonError on the first output that is off
 */
export async function expectAgreement(
  device: GPUDevice,
  work: Kernel | KernelSequence,
  inputs: Readonly<Record<string, HostArray>>,
  tolerances: Readonly<Record<string, Tolerance>>,
  context: { readonly shape?: unknown; readonly seed?: number } = {},
): Promise<(name: string) => HostArray> {
  const sequence = "wgsl" in work ? sequenceOf(work) : work;
  const wide = Object.fromEntries(Object.entries(inputs).map(([name, array]) => [name, Float64Array.from(array)]));
  const expected = sequenceReference(sequence, wide);
  const actual = await runSequence(device, sequence, inputs);
  for (const [name, array] of Object.entries(expected)) {
    compare(actual[name] ?? [], array, tolerances[name] ?? exact, { op: `${sequence.name} ${name}`, adapter: adapterName(device), ...context });
  }
  return (name) => {
    const array = actual[name];
    if (array === undefined) throw new Error(`${sequence.name}: there is no output "${name}".`);
    return array;
  };
}

/** Every kind of target whose kernels a device can run: its own, a GPU's with and without its subgroups. */
export function targetsOf(device: GPUDevice): readonly KernelTarget[] {
  const own = targetOf(device);
  return [own, { ...own, class: "gpu" }, portableTarget];
}
