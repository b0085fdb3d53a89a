import { type Device, DeviceError, type Plan } from "@distilldrive/tensor";

/** The device was lost while something ran on it; the message says what. */
export class DeviceLostError extends DeviceError {
  override readonly name = "DeviceLostError";
}

/** Tells whether and while what a device was lost. */
export class LossWatch {
  readonly #lost: Promise<never>;
  #running = "nothing ran yet";

  constructor(device: Device) {
    this.#lost = device.lost.then(({ reason, message }) => {
      const detail = [reason, message].filter((text) => text !== "").join(": ");
      throw new DeviceLostError(`device: ${device.description} was lost (${detail}) while ${this.#running}.`);
    });
    // Nobody may be waiting when it happens.
    this.#lost.catch(() => undefined);
  }

  /** Says what the device is about to do. */
  running(what: string): void {
    this.#running = what;
  }

  /** The result of work on the device. @throws DeviceLostError when the device was lost before or meanwhile */
  async guard<Result>(work: Promise<Result>): Promise<Result> {
    try {
      const result = await Promise.race([work, this.#lost]);
      // What was submitted to a lost device counts as done: only now it shows that it was not.
      await Promise.race([this.#lost, Promise.resolve()]);
      return result;
    } catch (cause) {
      // A lost device also makes its users fail, sometimes before it says so itself.
      await Promise.race([this.#lost, new Promise((resolve) => setTimeout(resolve, lossDelay))]);
      throw cause;
    }
  }
}

/** ms that a failure on the device waits for the news of its loss. */
const lossDelay = 100;

/** A program in words, for messages: how many kernels, and the most expensive, which is the first suspect when a device hangs. */
export function describePlan({ launches }: Plan): string {
  const [costliest] = [...launches].sort((a, b) => b.kernel.cost.flops + b.kernel.cost.bytes - a.kernel.cost.flops - a.kernel.cost.bytes);
  if (!costliest) return "a program without kernels";
  const where = costliest.scope === "" ? "" : ` in ${costliest.scope}`;
  return `a program of ${launches.length} kernels, the costliest ${costliest.kernel.name} (${costliest.label}${where})`;
}
