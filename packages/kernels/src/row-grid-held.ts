import { laneFor, laneName, laneWidth } from "./lanes.js";
import type { Lane } from "./lanes.js";
import { sequenceOf } from "./kernel.js";
import type { Kernel, KernelTarget, UniformField } from "./kernel.js";
import { rowGrid } from "./row-grid.js";
import { chooseCandidate, sizeBucket } from "./tuning.js";
import { foldedGrid, foldedWidth } from "./wgsl.js";

/** WGSL expressions by name. An expression sees `row`, `origin`, the lane's number in its row `i`, and names defined before it. */
export type RowValues = Readonly<Record<string, string>>;

/** Writes the parts of a row kernel whose form (loops, or a row held in registers) is not its business. */
export interface RowText {
  /** Defines values of a lane that are the same in every row, e.g. `{ w: "weight[i]" }`: once per invocation where it keeps them. */
  readonly fixed: (values: RowValues) => string;
  /** Defines values of a lane, e.g. `{ v: "x[origin + i]" }`: computed once per row where they are kept, else whenever they are used. */
  readonly hold: (values: RowValues) => string;
  /** A statement for every lane of the row; it sees all names defined before it. */
  readonly each: (step: string) => string;
  /** {@link each} for statements that write to memory. */
  readonly store: (step: string) => string;
}

/** A row kernel that holds its rows also sums over them. */
export interface HeldText extends RowText {
  /** Defines variables of a lane that live through all rows of an invocation, e.g. `{ total: "vec4f()" }`. */
  readonly carry: (values: RowValues) => string;
  /** A statement for every lane once all rows are done; it sees carried values, `i` and `group`, the number below {@link HeldPlan.groups}. */
  readonly after: (step: string) => string;
}

/** How rows are spread over invocations when a kernel wants to read each row only once. */
export interface HeldRows<Text extends RowText = RowText> {
  /** Part of the kernel's name. */
  readonly variant: string;
  readonly lane: Lane;
  readonly grid: readonly [number, number, number];
  readonly uniforms: readonly UniformField[];
  /** Enable directives, which open the module. */
  readonly head: string;
  /** Whether values are computed once; else every statement computes what it uses again. */
  readonly held: boolean;
  /**
   * Functions and entry point. The text it returns is a row's body: it sees `row`, `origin` (the row's first lane), `leader: bool`
   * (one per row, for writes) and the reductions `row_sum` and `row_max` over values that {@link RowText.each} accumulated.
   */
  main(body: (text: Text) => string): string;
}

/** Rows held by subgroups. */
export interface HeldPlan extends HeldRows<HeldText> {
  /** Subgroups with rows to do. */
  readonly groups: number;
  /** Rows each of them takes. */
  readonly turns: number;
}

/** Chunks of a row an invocation can hold: one pipeline each, so not every number. */
const chunkCounts = [1, 2, 4, 8] as const;
/** Guarded chunks take CPU drivers seconds to compile when there are more. */
const mostGuarded = 4;

/** A way to spread rows, and the function that writes a kernel with it. */
type RowForm = "subgroup" | "loop";

/**
 * Chooses the form of a kernel over rows that are reduced: a subgroup per row, which it holds in registers and reads once
 * , or the loops of {@link rowGrid}, an invocation or a workgroup per row, where there are no subgroups of a known
 * size, or rows are too long to hold or too short to be worth it.
 * @param key operation, for the tuning key
 * @param lane what may move at a time, default the widest that fits `width`
 */
export function heldRowKernel(key: string, rows: number, width: number, target: KernelTarget, build: (plan: HeldRows) => Kernel, lane: Lane = laneFor(width)): Kernel {
  const lanes = width / laneWidth(lane);
  const held = heldRows(rows, width, target, lane);
  const candidate = (form: RowForm, plan: () => HeldRows): { name: string; build: () => ReturnType<typeof sequenceOf> } => ({ name: form, build: () => sequenceOf(build(plan())) });
  const loop = candidate("loop", () => loopPlan(rows, width, target, lane));
  const subgroup = held === undefined ? undefined : candidate("subgroup", () => held);
  // On CPU drivers a short row is cheaper to read again than to reduce across lanes; GPUs want neighbours to read neighbours.
  const worthwhile = target.class === "software" ? lanes >= 4 * target.subgroupSize : 2 * lanes > target.subgroupSize;
  const candidates = subgroup === undefined ? ([loop] as const) : worthwhile ? ([subgroup, loop] as const) : ([loop, subgroup] as const);
  const [step] = chooseCandidate(target, `${key} ${sizeBucket(rows)}x${sizeBucket(width)}`, candidates).kernels;
  if (step === undefined) throw new RangeError(`${key}: a row kernel is one kernel.`);
  return step.kernel;
}

/** Name followed by the number of a chunk; swizzles and members stay. */
function numbered(text: string, names: readonly string[], chunk: number): string {
  return text.replace(new RegExp(`(?<![.\\w])(${names.join("|")})\\b`, "g"), (name) => `${name}${chunk}`);
}

/** Subgroups in a workgroup. */
const mostTeams = 8;
/** Workgroups that keep the cores of a CPU about equally busy. */
const workgroupsWanted = 12;

/** Rows a subgroup takes in turn: on CPU drivers enough to pay for its workgroup and for what all rows share, few enough to balance cores. */
function rowsInTurn(rows: number, target: KernelTarget): number {
  return target.class === "software" ? Math.max(1, Math.min(16, Math.ceil(rows / (mostTeams * workgroupsWanted)))) : 1;
}

/**
 * A subgroup per row, which it holds in registers; undefined when the target has no subgroups of a known size, or rows are too long.
 * @param turns rows a subgroup takes, one after the other
 */
export function heldRows(rows: number, width: number, target: KernelTarget, lane: Lane = laneFor(width), turns: number = rowsInTurn(rows, target)): HeldPlan | undefined {
  const size = target.subgroupSize;
  const lanes = width / laneWidth(lane);
  if (size < 4) return undefined;
  const wanted = Math.max(1, Math.ceil(lanes / size));
  const chunks = chunkCounts.find((count) => count >= wanted);
  if (chunks === undefined) return undefined;
  const whole = lanes === chunks * size;
  if (!whole && chunks > mostGuarded) return undefined;
  // Chunks that every row of this pipeline fills need no bounds.
  const sure = whole ? chunks : (chunkCounts[chunkCounts.indexOf(chunks) - 1] ?? 0);
  const teams = Math.max(1, Math.min(mostTeams, Math.floor(target.limits.maxComputeInvocationsPerWorkgroup / size)));
  const uniforms: UniformField[] = [
    { name: "rows", type: "u32", value: rows },
    { name: "width", type: "u32", value: lanes },
    { name: "turns", type: "u32", value: turns },
  ];
  return {
    variant: `held${chunks}${whole ? "" : "edge"}.${laneName(lane)}`,
    lane,
    grid: foldedGrid(Math.ceil(rows / (teams * turns))),
    uniforms,
    head: "enable subgroups;\n",
    held: true,
    groups: Math.ceil(rows / turns),
    turns,
    main: (body) => {
      const names = ["i"];
      const before: string[] = [];
      const after: string[] = [];
      const numbers = Array.from({ length: chunks }, (_, chunk) => chunk);
      const define = (values: RowValues, keyword = "let"): string =>
        Object.entries(values)
          .map(([name, value]) => {
            const text = numbers.map((chunk) => `${keyword} ${name}${chunk} = ${numbered(value, names, chunk)};`).join("\n    ");
            names.push(name);
            return text;
          })
          .join("\n    ");
      const guarded = (step: string): string =>
        numbers.map((chunk) => (chunk < sure ? numbered(step, names, chunk) : `if (lane + ${chunk * size}u < params.width) { ${numbered(step, names, chunk)} }`)).join("\n    ");
      const text = body({
        fixed: (values) => {
          before.push(define(values));
          return "";
        },
        hold: (values) => define(values),
        carry: (values) => {
          before.push(define(values, "var"));
          return "";
        },
        after: (step) => {
          after.push(guarded(step));
          return "";
        },
        each: guarded,
        store: (step) => `if (live) {\n    ${guarded(step)}\n    }`,
      });
      const indices = numbers.map((chunk) => `let i${chunk} = ${chunk < sure ? `lane + ${chunk * size}u` : `min(lane + ${chunk * size}u, params.width - 1u)`};`).join("\n  ");
      return `${reductionsOf(text, lane, target)}
@compute @workgroup_size(${teams * size})
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32, @builtin(subgroup_invocation_id) lane: u32) {
  let team = subgroupBroadcastFirst(local / ${size}u);
  let first = ((workgroup.x + workgroup.y * ${foldedWidth}u) * ${teams}u + team) * params.turns;
  ${indices}
  ${before.join("\n  ")}
  for (var turn = 0u; turn < params.turns; turn++) {
    // Past the last row the work is done again and not written: subgroup operations need all lanes.
    let live = first + turn < params.rows;
    let row = min(first + turn, params.rows - 1u);
    let origin = row * params.width;
    let leader = live && lane == 0u;
    ${text}
  }${after.length === 0 ? "" : `\n  if (first < params.rows) {\n    let group = first / params.turns;\n    ${after.join("\n    ")}\n  }`}
}
`;
    },
  };
}

/**
 * Sum and maximum over a subgroup. CPU drivers walk through all lanes for `subgroupAdd`, while an exchange of lanes is one instruction:
 * there lanes meet in pairs, then pairs of pairs, and all of them end with the same bits.
 */
function reductionsOf(text: string, lane: Lane, { class: kind, subgroupSize }: KernelTarget): string {
  const reduction = (name: string, builtin: string, combine: (a: string, b: string) => string): string => {
    const own = lane === "f32" ? "v" : combine(combine("v.x", "v.y"), combine("v.z", "v.w"));
    if (kind !== "software") return `fn ${name}(v: ${lane}) -> f32 { return ${builtin}(${own}); }\n`;
    const steps = Array.from({ length: Math.log2(subgroupSize) }, (_, step) => `value = ${combine("value", `subgroupShuffleXor(value, ${2 ** step}u)`)};`);
    return `fn ${name}(v: ${lane}) -> f32 { var value = ${own}; ${steps.join(" ")} return value; }\n`;
  };
  const sum = reduction("row_sum", "subgroupAdd", (a, b) => `(${a} + ${b})`);
  const max = reduction("row_max", "subgroupMax", (a, b) => `max(${a}, ${b})`);
  return (text.includes("row_sum(") ? sum : "") + (text.includes("row_max(") ? max : "");
}

/** The loops of {@link rowGrid}: every use of a value computes it. */
function loopPlan(rows: number, width: number, target: KernelTarget, lane: Lane): HeldRows {
  const plan = rowGrid(rows, width, target, lane);
  return {
    variant: plan.variant,
    lane: plan.lane,
    grid: plan.grid,
    uniforms: plan.uniforms,
    head: "",
    held: false,
    main: (body) => {
      const defined = new Map<string, string>();
      const define = (values: RowValues): string => {
        for (const [name, value] of Object.entries(values)) defined.set(name, value);
        return "";
      };
      const loop = (step: string): string => {
        const used = new Set<string>();
        const visit = (text: string): void => {
          for (const [name, value] of defined) {
            if (used.has(name) || !new RegExp(`(?<![.\\w])${name}\\b`).test(text)) continue;
            visit(value);
            used.add(name);
          }
        };
        visit(step);
        const lines = [...used].map((name) => `let ${name} = ${defined.get(name) ?? ""};`);
        return `for (var i = begin; i < end; i += stride) { ${[...lines, step].join(" ")} }`;
      };
      const text = body({ fixed: define, hold: define, each: loop, store: loop });
      return plan.main(`  let origin = row * params.width;\n  ${text}`);
    },
  };
}
