import fc from "fast-check";
import type { AnyOp, OpDefinition } from "../op.js";
import type { Device } from "../run/device.js";
import { checkForward, checkGradient, drawCase } from "./laws.js";

/** How many random cases of each law, and where they begin. */
export interface OpLawOptions {
  readonly runs: number;
  readonly seed: number;
}

/**
 * Holds one op to every law on random samples: the device computes the float64 reference, a second run gives the same bits, the
 * gradient is that of central differences, the device computes the same gradient.
 * @throws Error with seed and counterexample
 */
export async function opLaws<Attributes extends object>(device: Device, op: OpDefinition<Attributes>, { runs, seed }: OpLawOptions): Promise<void> {
  const any = op as unknown as AnyOp;
  for (const law of [checkForward, checkGradient]) {
    await fc.assert(fc.asyncProperty(fc.gen(), (g) => law(device, any, drawCase(any, g))), { numRuns: runs, seed });
  }
}
