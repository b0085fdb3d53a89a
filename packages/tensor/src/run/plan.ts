import { copy as copyKernel, type DType, type Kernel, type KernelSequence, type KernelTarget, sequenceOf, storeAs } from "@distilldrive/kernels";
import { GraphError } from "../errors.js";
import type { Graph, Node, Tensor } from "../graph.js";
import { expandNames } from "../op.js";
import { sizeOf } from "../shape.js";
import { fuse, type Step } from "../transform/fuse.js";
import { optimize } from "../transform/optimize.js";
import { liveNodes } from "../transform/rewrite.js";
import type { Variable } from "../variable.js";
import { elementwiseKernel } from "./elementwise-kernel.js";
import { liveBytes, type Memory, placeStorages } from "./memory.js";
import { halfTensors } from "./mixed-precision.js";

/** Where the bytes of a tensor are. */
export type Home =
  | { readonly kind: "input"; readonly name: string }
  | { readonly kind: "variable"; readonly variable: Variable }
  | { readonly kind: "constant"; readonly data: ArrayLike<number> }
  /** A buffer of its own, because the host reads it after the run. */
  | { readonly kind: "output" }
  /** A part of the arena, shared with tensors that live at other times. */
  | { readonly kind: "arena" };

/** A piece of memory a program uses; views of a tensor share one. */
export interface Storage {
  readonly id: number;
  readonly dtype: DType;
  /** f32 values in half precision. */
  readonly storedAs?: "f16";
  readonly length: number;
  home: Home;
  /** First and last launch that touches it. */
  first: number;
  last: number;
}

/** One dispatch. */
export interface Launch {
  readonly kernel: Kernel;
  /** Storage by binding, in binding order. */
  readonly storages: readonly Storage[];
  /** Op or fused ops this dispatch belongs to. */
  readonly label: string;
  readonly scope: string;
  /** The node it computes, of fused ones the last; none where it only moves a variable. */
  readonly node: Node | undefined;
}

/** Everything a run does, frozen: dispatches in order, memory, results. */
export interface Plan {
  readonly launches: readonly Launch[];
  /** Where the intermediates lie. */
  readonly memory: Memory;
  readonly inputs: readonly { readonly name: string; readonly storage: Storage }[];
  readonly storages: readonly Storage[];
  /** Storage of each named output. */
  readonly outputs: ReadonlyMap<string, Storage>;
  /** Storage of each kept tensor. */
  readonly kept: ReadonlyMap<Tensor, Storage>;
  /** Bytes of the arena. */
  readonly peakBytes: number;
  /** The most bytes of intermediates alive at one time: no plan can need less. */
  readonly lowerBoundBytes: number;
  readonly flops: number;
  toString(): string;
}

/** How to plan; all but `precision` and `recomputeAbove` serve diagnosis. */
export interface PlanOptions {
  /**
   * "mixed": activations and their gradients lie in memory as f16, where the target has it; arithmetic, variables, sums, losses (scope "loss"),
   * outputs and the optimiser (scope "optimizer") stay f32. Default "f32".
   */
  readonly precision?: "f32" | "mixed";
  /** false: every op in a kernel of its own. Default true. */
  readonly fused?: boolean;
  /** Tensors to keep readable besides the outputs. */
  readonly keep?: readonly Tensor[];
  /** false: variables stay as they are. Default true. */
  readonly assign?: boolean;
  /**
   * Bytes of intermediates above which results of cheap ops are computed again in the backward pass instead of being kept,
   * where that needs less memory; the results are the same. Default 1 GiB; 0: always, Infinity: never.
   */
  readonly recomputeAbove?: number;
}

/** Rounds of recomputation that are tried; each looks at the highest memory use that is left. */
const recomputeRounds = 6;

/** Elements from which on column sums are fused on CPU drivers: smaller ones, as in the tiny teacher, made no step faster. */
const smallestSumOnCpu = 65_536;

/** Turns a graph into dispatches and memory for a target. */
export function planProgram(graph: Graph, target: KernelTarget, options: PlanOptions = {}): Plan {
  let best = new Planner(graph, target, options).plan();
  const { fused = true, recomputeAbove = 2 ** 30 } = options;
  for (let rounds = 1; fused && best.peakBytes > recomputeAbove && rounds <= recomputeRounds; rounds++) {
    const plan = new Planner(graph, target, options, rounds).plan();
    if (plan.peakBytes < best.peakBytes) best = plan;
  }
  return best;
}

class Planner {
  readonly graph: Graph;
  /** Kept tensors of the traced graph, and what stands for them. */
  readonly keep: ReadonlyMap<Tensor, Tensor>;
  readonly assignments: Graph["assignments"];
  readonly #storages: Storage[] = [];
  readonly #storageOf = new Map<Tensor, Storage>();
  readonly #launches: Launch[] = [];
  readonly #inputs: { name: string; storage: Storage }[] = [];
  readonly #nodes: readonly Node[];
  readonly #steps: readonly Step[];
  readonly #saved = new Map<Tensor, Storage>();
  readonly #lastReader = new Map<Tensor, number>();
  readonly #half: ReadonlySet<Tensor>;

  constructor(
    traced: Graph,
    readonly target: KernelTarget,
    { fused = true, keep = [], assign = true, precision = "f32" }: PlanOptions,
    recomputations = 0,
  ) {
    const smallestSum = target.class === "software" ? smallestSumOnCpu : 0;
    const { graph, resolve } = optimize(traced, { keep, assign, transform: fused, recomputations, maxBuffers: target.limits.maxStorageBuffersPerShaderStage, smallestSum });
    this.graph = graph;
    this.assignments = graph.assignments;
    this.keep = new Map(
      keep.flatMap((tensor) => {
        const now = resolve(tensor);
        return now ? [[tensor, now] as const] : [];
      }),
    );
    const roots = [...graph.outputs.values(), ...this.assignments.map(({ value }) => value), ...this.keep.values()];
    this.#nodes = liveNodes(graph, roots);
    this.#half = precision === "mixed" && target.f16 ? halfTensors(graph, this.#nodes) : new Set();
    const kept = new Set(fused ? roots : this.#nodes.flatMap((node) => node.outputs));
    const steps = fuse(this.#nodes, kept, target.limits.maxStorageBuffersPerShaderStage - 1);
    this.#steps = overwritingLast(steps);
  }

  plan(): Plan {
    this.#placeSources();
    this.#findLastReaders();
    this.#saveOldValues();
    this.#steps.forEach((step, position) => {
      if (step.kind === "view") this.#view(step.node);
      else if (step.kind === "op") this.#op(step.node, position);
      else this.#launch(sequenceOf(elementwiseKernel(step, this.target)), step.nodes.at(-1), {
        ...Object.fromEntries(step.inputs.map((input, i) => [`x${i}`, this.#storage(input)])),
        y: this.#create(step.output),
      });
    });
    this.#assign();
    return this.#finish(
      new Map([...this.graph.outputs].map(([name, tensor]) => [name, this.#output(tensor)])),
      new Map([...this.keep].map(([tensor, now]) => [tensor, this.#output(now)])),
    );
  }

  #newStorage(length: number, dtype: DType, home: Home, half = false): Storage {
    const storage: Storage = { id: this.#storages.length, dtype, ...(half ? { storedAs: "f16" } : {}), length, home, first: Number.POSITIVE_INFINITY, last: -1 };
    this.#storages.push(storage);
    return storage;
  }

  #create(tensor: Tensor): Storage {
    const storage = this.#newStorage(sizeOf(tensor.shape), tensor.dtype, { kind: "arena" }, this.#half.has(tensor));
    this.#storageOf.set(tensor, storage);
    return storage;
  }

  #storage(tensor: Tensor): Storage {
    const known = this.#storageOf.get(tensor);
    if (known) return known;
    const { source } = tensor.node;
    if (source?.kind !== "literal") throw new GraphError(`plan: ${tensor.toString()} is used before it is computed.`);
    const storage = this.#newStorage(1, "f32", { kind: "constant", data: [source.value] });
    this.#storageOf.set(tensor, storage);
    return storage;
  }

  #placeSources(): void {
    for (const node of this.#nodes) {
      const [tensor] = node.outputs;
      const { source } = node;
      if (!tensor || !source || source.kind === "literal") continue;
      const storage = this.#newStorage(sizeOf(tensor.shape), tensor.dtype, source);
      this.#storageOf.set(tensor, storage);
      if (source.kind === "input") this.#inputs.push({ name: source.name, storage });
    }
    // Variables that are only written have no live source node.
    for (const { target } of this.assignments) {
      const { source } = target.node;
      if (!this.#storageOf.has(target) && source) this.#storageOf.set(target, this.#newStorage(sizeOf(target.shape), target.dtype, source as Home));
    }
  }

  /** Last step that reads each tensor, counting reads through views. */
  #findLastReaders(): void {
    const base = new Map<Tensor, Tensor>();
    const baseOf = (tensor: Tensor): Tensor => base.get(tensor) ?? tensor;
    this.#steps.forEach((step, position) => {
      const inputs = step.kind === "fused" ? step.inputs : step.node.inputs;
      if (step.kind === "view") {
        const [output] = step.node.outputs;
        const [input] = inputs;
        if (output && input) base.set(output, baseOf(input));
      }
      for (const input of inputs) this.#lastReader.set(baseOf(input), position);
    });
    // Assigned values that are variables themselves are copied at the very end.
    const copied = this.assignments.map(({ value }) => baseOf(value)).filter(({ node }) => node.source?.kind === "variable");
    const forever = [...this.graph.outputs.values(), ...this.keep.values()];
    for (const tensor of [...forever, ...copied]) this.#lastReader.set(baseOf(tensor), Number.POSITIVE_INFINITY);
    this.#shareReadersWithPacks();
  }

  /** Whoever reads a part of a packed variable reads the whole, and the other way round. */
  #shareReadersWithPacks(): void {
    for (const node of this.graph.nodes) {
      const [tensor] = node.outputs;
      if (!tensor || node.source?.kind !== "variable") continue;
      const parts = partsOf(tensor);
      if (parts.length === 0) continue;
      const last = Math.max(...[tensor, ...parts].map((each) => this.#lastReader.get(each) ?? -1));
      for (const each of [tensor, ...parts]) this.#lastReader.set(each, last);
    }
  }

  #view(node: Node): void {
    const [input] = node.inputs;
    const [output] = node.outputs;
    if (input && output) this.#storageOf.set(output, this.#storage(input));
  }

  #op(node: Node, position: number): void {
    const { op } = node;
    if (op?.lower.kind !== "kernels") return;
    const lowered = op.lower.lower({
      target: this.target,
      inputs: node.inputs.map((input) => input.type),
      outputs: node.outputs.map((output) => output.type),
      attributes: node.attributes as never,
    });
    const sequence: KernelSequence = "kernels" in lowered ? lowered : sequenceOf(lowered);
    const named: Record<string, Storage> = {};
    const names = expandNames(op.inputs, node.inputs.length);
    const results = expandNames(op.outputs, node.outputs.length);
    node.inputs.forEach((input, i) => (named[names[i] ?? ""] = this.#storage(input)));
    const { inPlace = {} } = op.lower;
    node.outputs.forEach((output, i) => {
      const name = results[i] ?? "";
      const overwritten = inPlace[name];
      const input = overwritten === undefined ? undefined : node.inputs[names.indexOf(overwritten)];
      if (overwritten === undefined || !input) {
        named[name] = this.#create(output);
        return;
      }
      const source = this.#storage(input);
      if (this.#mayOverwrite(input, source, output, position)) this.#storageOf.set(output, source);
      else {
        const copy = this.#create(output);
        this.#launch(sequenceOf(copyKernel(copy, this.target)), node, { x: source, y: copy });
        named[overwritten] = copy;
      }
    });
    this.#launch(sequence, node, named);
  }

  /** A tensor may be overwritten by its last reader: an intermediate, or a variable that takes the very result. */
  #mayOverwrite(input: Tensor, storage: Storage, output: Tensor, position: number): boolean {
    if ((this.#lastReader.get(input) ?? position) > position) return false;
    if (storage.home.kind === "arena") return true;
    if (storage.home.kind !== "variable") return false;
    return this.assignments.some(({ target, value }) => this.#storageOf.get(target) === storage && value === output);
  }

  #launch(sequence: KernelSequence, node: Node | undefined, named: Readonly<Record<string, Storage>>): void {
    const temporaries = new Map(
      sequence.temporaries.map(({ name, dtype, length }) => [name, this.#newStorage(length, dtype, { kind: "arena" })]),
    );
    for (const { kernel, bind } of sequence.kernels) {
      if (kernel.grid.includes(0)) continue;
      const position = this.#launches.length;
      const storages = kernel.bindings.map((binding) => {
        const name = bind[binding.name] ?? binding.name;
        const storage = temporaries.get(name) ?? named[name];
        if (!storage) throw new GraphError(`${kernel.name}: binding "${binding.name}" names the tensor "${name}", which is neither an input, an output nor a temporary of ${node?.op?.name ?? "the op"}.`);
        storage.first = Math.min(storage.first, position);
        storage.last = Math.max(storage.last, position);
        return storage;
      });
      const half = kernel.bindings.filter((_, index) => storages[index]?.storedAs === "f16").map(({ name }) => name);
      this.#launches.push({ kernel: storeAs(kernel, half), storages, label: node?.op?.name ?? kernel.name, scope: node?.scope ?? "", node });
    }
  }

  /** Writes assigned variables at the end of the run; values that another assignment overwrites are saved first. */
  #assign(): void {
    const pending = this.assignments.flatMap(({ target, value }) => {
      const to = this.#storageOf.get(target);
      const from = this.#storage(value);
      return to && to !== from ? [{ to, from }] : [];
    });
    const overwritten = new Set(pending.map(({ to }) => to));
    const copy = (from: Storage, to: Storage): void => this.#launch(sequenceOf(copyKernel(to, this.target)), undefined, { x: from, y: to });
    const safe = pending.map(({ to, from }) => {
      // Variables may share a buffer, which no dispatch may both read and write.
      if (!overwritten.has(from) && from.home.kind !== "variable") return { to, from };
      const saved = this.#newStorage(from.length, from.dtype, { kind: "arena" });
      copy(from, saved);
      return { to, from: saved };
    });
    for (const { to, from } of safe) copy(from, to);
  }

  /** Outputs that are variables as they were before the run are copied before anything overwrites them. */
  #saveOldValues(): void {
    const assigned = new Set(this.assignments.flatMap(({ target }) => [target, ...partsOf(target)]));
    for (const tensor of [...this.graph.outputs.values(), ...this.keep.values()]) {
      if (!assigned.has(tensor) || this.#saved.has(tensor)) continue;
      const saved = this.#newStorage(sizeOf(tensor.shape), tensor.dtype, { kind: "output" });
      this.#saved.set(tensor, saved);
      this.#launch(sequenceOf(copyKernel(saved, this.target)), undefined, { x: this.#storage(tensor), y: saved });
    }
  }

  #output(tensor: Tensor): Storage {
    const storage = this.#saved.get(tensor) ?? this.#storage(tensor);
    if (storage.home.kind === "arena") storage.home = { kind: "output" };
    return storage;
  }

  #finish(outputs: ReadonlyMap<string, Storage>, kept: ReadonlyMap<Tensor, Storage>): Plan {
    const intermediates = this.#storages.filter((storage) => storage.home.kind === "arena" && storage.last >= 0);
    const memory = placeStorages(intermediates, this.#launches, this.target.limits.maxStorageBufferBindingSize);
    const peakBytes = memory.buffers.reduce((sum, bytes) => sum + bytes, 0);
    const lowerBoundBytes = liveBytes(intermediates, this.#launches.length);
    const flops = this.#launches.reduce((sum, { kernel }) => sum + kernel.cost.flops, 0);
    const launches = this.#launches;
    return {
      launches,
      memory,
      inputs: this.#inputs,
      storages: this.#storages,
      outputs,
      kept,
      peakBytes,
      lowerBoundBytes,
      flops,
      toString: () =>
        [
          `${launches.length} kernels, 1 submit, ${mebibytes(peakBytes)} MiB (lower bound ${mebibytes(lowerBoundBytes)})`,
          ...launches.map(({ kernel, storages }, i) => `${i} ${kernel.name} [${kernel.grid.join(", ")}] ${storages.map(({ id }) => `#${id}`).join(" ")}`),
        ].join("\n"),
    };
  }
}

/** Tensors of the parts of a packed variable, as far as its graph uses them. */
function partsOf({ graph, node }: Tensor): Tensor[] {
  if (node.source?.kind !== "variable") return [];
  return node.source.variable.parts.flatMap((part) => graph.variableTensor(part) ?? []);
}

function mebibytes(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(1);
}

/** Moves steps that overwrite an input behind all other steps, keeping dependencies: nobody may still want the old value. */
function overwritingLast(steps: readonly Step[]): Step[] {
  const late = new Set<Node>();
  const first: Step[] = [];
  const last: Step[] = [];
  for (const step of steps) {
    const nodes = step.kind === "fused" ? step.nodes : [step.node];
    const overwrites = nodes.some((node) => node.op?.lower.kind === "kernels" && node.op.lower.inPlace !== undefined);
    const depends = nodes.some((node) => node.inputs.some((input) => late.has(input.node)));
    if (overwrites || depends) {
      for (const node of nodes) late.add(node);
      last.push(step);
    } else first.push(step);
  }
  return [...first, ...last];
}
