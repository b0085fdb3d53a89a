import { compile, type Device, type Graph, type Program, type Store } from "@distilldrive/tensor";
import type { Slots, StepProgram } from "./fit.js";
import type { TrainingGraph } from "./training-graph.js";

/** How step programs are compiled. */
export interface StepProgramOptions {
  readonly precision: "f32" | "mixed";
  /** Told before a program is compiled while others have run already. */
  readonly note?: ((text: string) => void) | undefined;
}

/** Programs of a training's steps: one for every combination of slots that batches come with, over one store and one arena. */
export class StepPrograms {
  readonly #programs = new Map<string, { readonly slots: Slots; readonly program: Program; batches: number }>();

  constructor(
    readonly device: Device,
    readonly training: TrainingGraph,
    readonly store: Store,
    readonly options: StepProgramOptions,
  ) {}

  /** The program of a combination, compiled when it comes for the first time. */
  async prepare(slots: Slots = {}): Promise<void> {
    const key = keyOf(slots);
    if (this.#programs.has(key)) return;
    if (this.#programs.size > 0) this.options.note?.(`compiling the step for batches with ${describeSlots(slots)}`);
    const program = await compile(this.device, this.graph(slots), { store: this.store, precision: this.options.precision });
    this.#programs.set(key, { slots, program, batches: 0 });
  }

  /** The graph of a combination. */
  graph(slots: Slots = {}): Graph {
    return Object.keys(slots).length === 0 ? this.training.graph : this.training.graphFor(slots);
  }

  /** A prepared program, for one more batch. */
  take(slots: Slots = {}): Program {
    const found = this.#programs.get(keyOf(slots));
    if (!found) throw new RangeError(`train: no program for batches with ${describeSlots(slots)} is prepared.`);
    found.batches++;
    return found.program;
  }

  /** All programs so far. */
  get all(): readonly Program[] {
    return [...this.#programs.values()].map(({ program }) => program);
  }

  /** What ran, in the order it came. */
  get used(): readonly StepProgram[] {
    return [...this.#programs.values()].filter(({ batches }) => batches > 0).map(({ slots, program, batches }) => ({ slots, batches, flops: program.plan.flops }));
  }
}

/** "agents 48, lines 32"; "all slots" where none are cut. */
export function describeSlots(slots: Slots): string {
  const sizes = Object.entries(slots);
  return sizes.length === 0 ? "all slots" : sizes.map(([name, size]) => `${name} ${size}`).join(", ");
}

function keyOf(slots: Slots): string {
  return JSON.stringify(Object.entries(slots).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Bytes of programs on one device: what each has of its own, and the arena they share. */
export function bytesOf(programs: readonly Program[]): number {
  const arena: number[] = [];
  let own = 0;
  for (const { bytes, plan } of programs) {
    own += bytes - plan.peakBytes;
    plan.memory.buffers.forEach((size, index) => (arena[index] = Math.max(arena[index] ?? 0, size)));
  }
  return arena.reduce((sum, size) => sum + size, own);
}
