import { fill } from "../copy/fill.js";
import { flatGrid } from "../flat-grid.js";
import type { Binding, Kernel, KernelStep, KernelTarget, Temporary } from "../kernel.js";
import { declare } from "../wgsl.js";
import { allocateReference, countReference, placeReference, rankReference } from "./reference.js";
import type { BinSizes } from "./reference.js";

/** Steps that sort entries into bins, and the scratch they need. */
export interface BinSteps {
  readonly steps: readonly KernelStep[];
  readonly temporaries: readonly Temporary[];
}

/**
 * Sorts numbered entries into bins without float atomics, stably: the tensor `bin` u32 [entries] (a number >= bins: in none)
 * -> `counts` u32 [bins + 1], `start` u32 [bins] and `order` u32 [entries], so that the members of bin b in ascending order are
 * order[start[b]] .. order[start[b] + counts[b] - 1]. A histogram and the bins' places come from integer atomics, so where a bin
 * lies depends on the device, but not what it holds. Behind the members of all bins (their number is counts[bins]) `order` holds
 * nothing. The order of a bin costs the square of its members, spread over as many invocations.
 */
export function sortIntoBins(sizes: BinSizes, target: KernelTarget): BinSteps {
  const { entries, bins } = sizes;
  const binding = (name: string, access: Binding["access"], length: number): Binding => ({ name, access, dtype: "u32", length });
  const kernel = (name: string, items: number, bindings: readonly Binding[], body: string, reference: Kernel["reference"]): Kernel => {
    const grid = flatGrid(items, target, "heavy");
    const uniforms = [{ name: "items", type: "u32", value: items }, { name: "bins", type: "u32", value: bins }] as const;
    return {
      name: `sortIntoBins.${name}`,
      wgsl: declare(bindings, uniforms, bindings.some(({ name: own, access }) => own === "counts" && access === "readwrite") ? { counts: "atomic<u32>" } : {}) + grid.main(body),
      bindings,
      uniforms,
      grid: grid.grid,
      cost: { flops: 0, bytes: bindings.reduce((sum, { length }) => sum + 4 * length, 0) },
      reference,
    };
  };
  const kernels = [
    kernel(
      "count",
      entries,
      [binding("bin", "read", entries), binding("counts", "readwrite", bins + 1), binding("ticket", "write", entries)],
      `    var number = 0u;
    if (bin[item] < params.bins) { number = atomicAdd(&counts[bin[item]], 1u); }
    ticket[item] = number;`,
      (inputs) => countReference(sizes, inputs),
    ),
    kernel(
      "allocate",
      bins,
      [binding("counts", "readwrite", bins + 1), binding("start", "write", bins)],
      `    let count = atomicLoad(&counts[item]);
    var first = 0u;
    if (count > 0u) { first = atomicAdd(&counts[params.bins], count); }
    start[item] = first;`,
      (inputs) => allocateReference(sizes, inputs),
    ),
    kernel(
      "place",
      entries,
      [binding("bin", "read", entries), binding("start", "read", bins), binding("ticket", "read", entries), binding("members", "write", entries)],
      `    if (bin[item] < params.bins) { members[start[bin[item]] + ticket[item]] = item; }`,
      (inputs) => placeReference(sizes, inputs),
    ),
    kernel(
      "rank",
      entries,
      [binding("bin", "read", entries), binding("counts", "read", bins + 1), binding("start", "read", bins), binding("members", "read", entries), binding("order", "write", entries)],
      `    if (item < counts[params.bins]) {
      let member = members[item];
      let own = bin[member];
      let first = start[own];
      let end = first + counts[own];
      var rank = first;
      for (var other = first; other < end; other++) { rank += select(0u, 1u, members[other] < member); }
      order[rank] = member;
    }`,
      (inputs) => rankReference(sizes, inputs),
    ),
  ];
  return {
    steps: [
      { kernel: fill({ length: bins + 1, value: 0, dtype: "u32" }, target), bind: { y: "counts" } },
      ...kernels.map((step) => ({ kernel: step, bind: Object.fromEntries(step.bindings.map(({ name }) => [name, name])) })),
    ],
    temporaries: [
      { name: "bin", dtype: "u32", length: entries },
      { name: "counts", dtype: "u32", length: bins + 1 },
      { name: "start", dtype: "u32", length: bins },
      { name: "ticket", dtype: "u32", length: entries },
      { name: "members", dtype: "u32", length: entries },
      { name: "order", dtype: "u32", length: entries },
    ],
  };
}
