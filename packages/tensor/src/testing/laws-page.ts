import { allOps } from "../ops/index.js";
import { type Device, openDevice } from "../run/device.js";
import { opLaws } from "./op-laws.js";

let device: Device | undefined;

/** What a browser test calls in the page; see tools/browser. */
const page = {
  /** Opens the page's own WebGPU device. @returns its description */
  async openAdapter(): Promise<string> {
    device = await openDevice();
    return device.description;
  },
  opNames: (): string[] => allOps.map(({ name }) => name),
  /** Runs the laws of one op. @returns what failed with seed and counterexample, or "" */
  async runLaws(name: string, seed: number, runs: number): Promise<string> {
    const op = allOps.find((candidate) => candidate.name === name);
    if (!op || !device) return "no such op, or no device";
    try {
      await opLaws(device, op, { runs, seed });
      return "";
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  },
};

Object.assign(globalThis, page);
