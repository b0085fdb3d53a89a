import { describe, expect, it } from "vitest";
import { deviceWork } from "./wait.js";

describe("deviceWork", () => {
  it("gives what the promise gives, and throws what it throws", async () => {
    expect(await deviceWork(Promise.resolve(7))).toBe(7);
    await expect(deviceWork(Promise.reject(new RangeError("lost")))).rejects.toThrow("lost");
  });

  it("leaves the thread to others while it waits", async () => {
    let turns = 0;
    let over = false;
    const count = (): void => {
      turns++;
      if (!over) setImmediate(count);
    };
    setImmediate(count);
    const later = new Promise<string>((resolve) => setTimeout(() => { resolve("done"); }, 100));
    expect(await Promise.all([deviceWork(later), deviceWork(later)])).toEqual(["done", "done"]);
    over = true;
    // An event loop that never pauses turns tens of thousands of times.
    expect(turns).toBeLessThan(3000);
  });

  it("lets timers and other waits go on", async () => {
    const order: string[] = [];
    const slow = deviceWork(new Promise<void>((resolve) => setTimeout(resolve, 60))).then(() => order.push("slow"));
    const quick = deviceWork(new Promise<void>((resolve) => setTimeout(resolve, 5))).then(() => order.push("quick"));
    await Promise.all([slow, quick]);
    expect(order).toEqual(["quick", "slow"]);
  });
});
