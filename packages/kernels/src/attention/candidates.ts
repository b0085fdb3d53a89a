import { sequenceOf, type Candidate, type Kernel, type KernelSequence, type KernelTarget } from "../kernel.js";
import { sizeBucket } from "../tuning.js";
import { type HeldBlock, heldFor, heldName, heldSizes } from "./held.js";
import { heldBackward } from "./held-backward.js";
import { heldForward } from "./held-forward.js";
import { rowStatistics } from "./row-statistics.js";
import { mostKeysAtOnce, rowsBackward, rowsForward } from "./rows.js";
import { attentionTensors, type AttentionShape } from "./shape.js";
import { mostShortKeys, shortKeysBackward } from "./short-keys.js";
import { tileKeyGradient, tileQueryGradient } from "./tile-backward.js";
import { tileForward } from "./tile-forward.js";
import { hasSubgroups, tileLanes, tileName, type TileSize } from "./tile.js";
import { workgroupForward, workgroupKeyGradient, workgroupQueryGradient } from "./workgroup.js";

/** Ordered so that the rules' choice comes first; never empty. */
type Candidates = readonly [Candidate, ...Candidate[]];

/** Queries below which no lane can share what it loads: every lane then takes rows of its own. */
const fewQueries = 4;
/** Tiles worth trying where the sides are long. */
const tiles: readonly TileSize[] = [
  { own: 3, other: 24 },
  { own: 3, other: 16 },
  { own: 4, other: 16 },
  { own: 1, other: 8 },
];

/** Floating point operations below which a kernel for few keys gains less than a shader of its own takes to compile. */
const sharedShader = 3e6;

/** How rows of attention are walked where there are {@link fewQueries}. */
function rowsFor(shape: AttentionShape): "rows" | "rows at once" {
  return shape.keys <= mostKeysAtOnce && operations(shape) >= sharedShader ? "rows at once" : "rows";
}

/** Floating point operations of a forward pass. */
function operations({ batch, heads, queries, keys, dim, valueDim }: AttentionShape): number {
  return 2 * batch * heads * queries * keys * (dim + valueDim);
}

/** The ways to walk along rows, by what is offered for a shape. */
function rowsCandidates({ keys }: AttentionShape, build: (form: { readonly once: boolean }) => Kernel): readonly Candidate[] {
  const candidate = (name: ReturnType<typeof rowsFor>, once: boolean): Candidate => ({ name, build: () => sequenceOf(build({ once })) });
  return [candidate("rows", false), ...(keys <= mostKeysAtOnce ? [candidate("rows at once", true)] : [])];
}

/** Floating point operations below which a large tile gains less in a run than its compiler takes; small ones compile in a tenth of the time. */
const smallAttention = 3e7;

/** The tile of the kernel whose lanes own queries or keys. It wastes little: rows that do not exist are computed all the same. */
function tileFor(shape: AttentionShape, side: "queries" | "keys", target: KernelTarget): TileSize {
  const [own, other] = side === "queries" ? [shape.queries, shape.keys] : [shape.keys, shape.queries];
  const additive = shape.additive !== "none";
  // Few keys make a small kernel whatever the tile, and blocks of eight would be half empty.
  const few = other <= 4 && side === "queries";
  if (!few && operations(shape) < smallAttention) return { own: 1, other: 8 };
  const padded = (size: number): number => Math.ceil(other / size) * size;
  // An additive mask is loaded pair by pair, unrolled: a small block keeps the kernel small.
  const long = additive ? 8 : padded(16) < 0.95 * padded(24) ? 16 : 24;
  return { own: own <= 2 * tileLanes(target) ? 1 : 3, other: other <= 4 ? 4 : other <= 8 ? 8 : long };
}

/** Heads of the whole batch from which on a workgroup for each keeps the cores of a CPU busy. */
const manyHeads = 4;

/**
 * The block of held rows that the rules take, or undefined where tiles do better: the form takes a while to compile, an additive mask
 * (loaded pair by pair, unrolled) longer still, and few rows leave most of a block or most lanes idle.
 */
function heldRule(shape: AttentionShape, held: number, inLanes: number, sizes: readonly HeldBlock[]): string | undefined {
  const fits = shape.additive === "none" && operations(shape) >= smallAttention && Math.min(held, inLanes) > 8;
  const size = fits ? heldFor(held, sizes) : undefined;
  return size && heldName(size);
}

const withFirst = (first: Candidate, others: readonly Candidate[]): Candidates => [first, ...others.filter(({ name }) => name !== first.name)];

/** The key of an attention's tuning: form and size buckets. */
export function attentionKey(form: "forward" | "backward", { batch, queries, keys, heads, dim, valueDim, mask, additive, dropout }: AttentionShape): string {
  const flags = `${mask ? " mask" : ""}${additive === "none" ? "" : " additive"}${dropout > 0 ? " dropout" : ""}`;
  return `attention.${form} ${sizeBucket(batch * heads)}x${sizeBucket(queries)}x${sizeBucket(keys)} d${sizeBucket(dim)}/${sizeBucket(valueDim)}${flags}`;
}

/** Ways to compute attention on a target, the one the rules prefer first. */
export function forwardCandidates(shape: AttentionShape, target: KernelTarget): Candidates {
  const workgroup: Candidate = { name: "workgroup", build: () => sequenceOf(workgroupForward(shape, target)) };
  if (target.class === "gpu") return [workgroup];
  const rows = rowsCandidates(shape, (form) => rowsForward(shape, form));
  const tile = (size: TileSize): Candidate => ({ name: tileName(size), build: () => sequenceOf(tileForward(shape, size, target)) });
  const ownRows = shape.queries < fewQueries ? rows.find(({ name }) => name === rowsFor(shape)) : undefined;
  const sizes = heldSizes(shape, "forward", target);
  const held = sizes.map((size): Candidate => ({ name: heldName(size), build: () => sequenceOf(heldForward(shape, size, target)) }));
  const heldRuled = heldRule(shape, shape.queries, shape.keys, sizes);
  const ruled = held.find(({ name }) => name === heldRuled) ?? tile(tileFor(shape, "queries", target));
  return withFirst(ownRows ?? ruled, [...held, ...tiles.map(tile), ...rows]);
}

/** Ways to compute the gradient of attention on a target, the one the rules prefer first. */
export function backwardCandidates(shape: AttentionShape, target: KernelTarget): Candidates {
  if (target.class === "gpu") return [{ name: "workgroup", build: () => workgroupBackward(shape, target) }];
  const tile = (name: string, query: TileSize, key: TileSize): Candidate => ({
    name,
    build: () => gradientSequence(shape, target, [tileQueryGradient(shape, query, target), tileKeyGradient(shape, key, target)]),
  });
  const ruled = tile("tiles", tileFor(shape, "queries", target), tileFor(shape, "keys", target));
  const short: Candidate = { name: "short", build: () => shortKeysBackward(shape, target) };
  const { maxStorageBuffersPerShaderStage: most } = target.limits;
  const sizes = most >= 10 ? heldSizes(shape, "backward", target) : [];
  const held = sizes.map((size): Candidate => ({ name: heldName(size), build: () => gradientSequence(shape, target, [heldBackward(shape, size, target)]) }));
  const heldRuled = shape.batch * shape.heads >= manyHeads ? heldRule(shape, shape.keys, shape.queries, sizes) : undefined;
  // At most 13 buffers: with fewer to be had, three kernels that bind less.
  const others = [
    ...(most >= 13 && shape.keys <= mostShortKeys && hasSubgroups(target) ? [short] : []),
    ...held,
    ...tiles.map((size) => tile(tileName(size), size, size)),
    ...(most >= 13 ? rowsCandidates(shape, (form) => rowsBackward(shape, form)) : []),
  ];
  const preferred = others.find(({ name }) => name === (shape.queries < fewQueries ? rowsFor(shape) : shape.keys <= mostShortKeys ? "short" : heldRuled)) ?? ruled;
  return withFirst(preferred, [ruled, ...others]);
}

function workgroupBackward(shape: AttentionShape, target: KernelTarget): KernelSequence {
  const fused = workgroupKeyGradient(shape, target, ["dk", "dv"]);
  const fits = fused.bindings.length <= target.limits.maxStorageBuffersPerShaderStage;
  const keyKernels = fits ? [fused] : [workgroupKeyGradient(shape, target, ["dk"]), workgroupKeyGradient(shape, target, ["dv"])];
  return gradientSequence(shape, target, [workgroupQueryGradient(shape, target), ...keyKernels]);
}

/** Row statistics, then the kernels that read them. */
function gradientSequence(shape: AttentionShape, target: KernelTarget, kernels: readonly ReturnType<typeof rowStatistics>[]): KernelSequence {
  return {
    name: "attention.backward",
    kernels: [rowStatistics(shape, target), ...kernels].map((kernel) => ({
      kernel,
      bind: Object.fromEntries(kernel.bindings.map(({ name }) => [name, name])),
    })),
    temporaries: [{ name: "rowStatistics", dtype: "f32", length: attentionTensors(shape).rowStatistics.length }],
  };
}
