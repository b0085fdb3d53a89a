import { countCalls, lawRuns } from "@distilldrive/testkit";
import { bindingBytes, portableTarget, type Kernel } from "@distilldrive/kernels";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { benchmarkBlock, blockInputs, blockStep, type BlockSizes } from "../testing/block.js";
import { type Device, openDevice } from "./device.js";
import { liveBytes, placeStorages } from "./memory.js";
import { type Launch, type Plan, planProgram, type Storage } from "./plan.js";
import { compile } from "./program.js";
import { createStore } from "./store.js";

/** A launch of nothing that reads and writes storages. */
function launchOf(reads: readonly Storage[], writes: readonly Storage[]): Launch {
  const binding = (access: "read" | "write") => ({ length, dtype }: Storage, i: number): Kernel["bindings"][number] => ({ name: `${access}${i}`, access, dtype, length });
  const kernel: Kernel = {
    name: "none",
    wgsl: "",
    bindings: [...reads.map(binding("read")), ...writes.map(binding("write"))],
    uniforms: [],
    grid: [1, 1, 1],
    cost: { flops: 0, bytes: 0 },
    reference: () => ({}),
  };
  return { kernel, storages: [...reads, ...writes], label: "none", scope: "", node: undefined };
}

/** Checks that nothing overlaps in space and time, and that no launch reads and writes one buffer. */
function expectSound(storages: readonly Storage[], launches: readonly Launch[], memory: Plan["memory"]): void {
  for (const a of storages) {
    const place = memory.places.get(a);
    if (!place) throw new Error(`storage ${a.id} has no place`);
    expect(place.offset % 256).toBe(0);
    expect(place.offset + bindingBytes(a)).toBeLessThanOrEqual(memory.buffers[place.buffer] ?? 0);
    for (const b of storages) {
      const other = memory.places.get(b);
      if (a.id >= b.id || !other || other.buffer !== place.buffer || a.last < b.first || b.last < a.first) continue;
      expect(place.offset + bindingBytes(a) <= other.offset || other.offset + bindingBytes(b) <= place.offset).toBe(true);
    }
  }
  for (const { kernel, storages: bound } of launches) {
    const buffers = (read: boolean): Set<number> =>
      new Set(bound.flatMap((storage, i) => ((kernel.bindings[i]?.access === "read") === read ? (memory.places.get(storage)?.buffer ?? []) : [])));
    const written = buffers(false);
    expect([...buffers(true)].filter((buffer) => written.has(buffer))).toEqual([]);
  }
}

/** A random program: every launch writes one new storage and reads some of the recent ones. */
function drawProgram(g: fc.GeneratorValue): { storages: Storage[]; launches: Launch[] } {
  const storages: Storage[] = [];
  const launches: Launch[] = [];
  const count = g(fc.integer, { min: 1, max: 40 });
  for (let position = 0; position < count; position++) {
    const reads = [...new Set(Array.from({ length: g(fc.integer, { min: 0, max: 3 }) }, () => storages[storages.length - 1 - g(fc.integer, { min: 0, max: 7 })]))].filter((storage) => storage !== undefined);
    const made: Storage = { id: position, dtype: "f32", length: g(fc.integer, { min: 1, max: 5000 }), home: { kind: "arena" }, first: position, last: position };
    for (const read of reads) read.last = position;
    storages.push(made);
    launches.push(launchOf(reads, [made]));
  }
  return { storages, launches };
}

describe("placing intermediates", () => {
  test("nothing overlaps, and no launch reads and writes one buffer", () => {
    fc.assert(fc.property(fc.gen(), (g) => {
      const { storages, launches } = drawProgram(g);
      expectSound(storages, launches, placeStorages(storages, launches, 2 ** 20));
    }), lawRuns({ runs: 200, name: "placeStorages" }));
  });

  test("no buffer is larger than a binding may be", () => {
    const storages = Array.from({ length: 8 }, (_, id): Storage => ({ id, dtype: "f32", length: 1024, home: { kind: "arena" }, first: 0, last: 1 }));
    const { buffers } = placeStorages(storages, [], 3 * 4096);
    expect(buffers.reduce((sum, bytes) => sum + bytes, 0)).toBe(8 * 4096);
    expect(Math.max(...buffers)).toBeLessThanOrEqual(3 * 4096);
    expect(liveBytes(storages, 2)).toBe(8 * 4096);
  });

  test("the benchmark's block needs at most 1.15 times what is alive at one time", () => {
    const plan = planProgram(blockStep(benchmarkBlock).graph, portableTarget);
    const intermediates = plan.storages.filter(({ home, last }) => home.kind === "arena" && last >= 0);
    expectSound(intermediates, plan.launches, plan.memory);
    expect(plan.lowerBoundBytes).toBe(liveBytes(intermediates, plan.launches.length));
    expect(plan.peakBytes).toBeLessThanOrEqual(1.15 * plan.lowerBoundBytes);
  });
});

describe("programs with an arena of a few buffers [gpu]", () => {
  let device: Device;
  beforeAll(async () => {
    device = await openDevice();
  });
  afterAll(() => {
    device.close();
  });

  test("a training step passes the device's validation, is one submit, and creates no buffer", async () => {
    const sizes: BlockSizes = { batch: 2, tokens: 6, width: 16, heads: 2, hidden: 32 };
    const { graph, variables } = blockStep(sizes);
    device.gpu.pushErrorScope("validation");
    const store = createStore(device, variables, { seed: 1 });
    const program = await compile(device, graph, { store });
    expect(program.plan.memory.buffers.length).toBeLessThan(16);
    program.run(blockInputs(sizes, 0));
    program.run(blockInputs(sizes, 1));
    const counts = countCalls(device.gpu);
    for (let step = 2; step < 6; step++) program.run(blockInputs(sizes, step));
    expect(counts).toEqual({ submits: 4, maps: 0, buffers: 0, passes: 4, writes: 4 });
    const [loss = Number.NaN] = await program.read("loss");
    expect(loss).toBeGreaterThan(0);
    expect(await device.gpu.popErrorScope()).toBeNull();
    program.destroy();
    store.destroy();
  });
});
