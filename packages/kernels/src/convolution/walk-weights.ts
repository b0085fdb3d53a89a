import { component, each, type Lanes, wholeVectors } from "./tile.js";
import type { Walk } from "./walk.js";

/** Statements and expressions that read the weight of a register tile. Steps l .. l + 3 are a block; "one" is step l alone, for the tail of the depth. */
export interface WeightText {
  /** Element type of the binding, and its numbers. */
  readonly element: "f32" | "vec4f";
  readonly vector: 1 | 4;
  readonly setUp: string;
  readonly load: string;
  readonly loadOne: string;
  /** Result channel `r` of the tile at step l + i. */
  value(r: number, i: number): string;
  valueOne(r: number): string;
}

/** Whether a walk's weight can be read as vectors: of 4 steps or of 4 result channels, which then lie side by side. */
export function vectorAxis({ depth, width, weight }: Walk): "steps" | "channels" | "none" {
  if (!wholeVectors(depth, weight.group, weight.y, weight.x)) return "none";
  if (weight.depth === 1 && wholeVectors(weight.lane)) return "steps";
  return weight.lane === 1 && wholeVectors(width, weight.depth) ? "channels" : "none";
}

/**
 * The weights of `rows` result channels from `channel0` of `group`, `tap` elements or vectors into the weight. With subgroups a load of all
 * lanes brings four steps of as many channels as there are lanes, and subgroupBroadcast spreads them; else every lane loads them all.
 */
export function channelWeights(walk: Walk, { rows: R, lanes, subgroup }: Lanes & { readonly rows: number }): WeightText {
  const axis = vectorAxis(walk);
  const start = (g: number, row: string, behind: number): string => `let row${g} = group * params.weight_group + min(channel0 + ${row}, params.width - ${behind}u)`;
  const along = (i: string): string => `tap + (l + ${i}) * params.weight_depth`;
  if (axis === "channels") {
    const loads = subgroup ? Math.ceil(R / lanes) : R / 4;
    const part = (r: number): string => component(r % 4);
    return {
      element: "vec4f",
      vector: 4,
      setUp: each(loads, (g) => (subgroup ? `${start(g, `${g * lanes}u + lane / 4u * 4u`, 4)} / 4u + lane % 4u * params.weight_depth;` : `${start(g, `${4 * g}u`, 4)} / 4u;`)),
      load: each(loads, (g) => (subgroup ? `let q${g} = weight[row${g} + ${along("0u")}];` : each(4, (i) => `let q${g}_${i} = weight[row${g} + ${along(`${i}u`)}];`))),
      value: (r, i) => (subgroup ? `subgroupBroadcast(q${Math.floor(r / lanes)}.${part(r)}, ${Math.floor((r % lanes) / 4) * 4 + i}u)` : `q${Math.floor(r / 4)}_${i}.${part(r)}`),
      loadOne: "",
      valueOne: () => "",
    };
  }
  const loads = subgroup ? Math.ceil(R / lanes) : R;
  const spread = (r: number, part: string): string => (subgroup ? `subgroupBroadcast(q${Math.floor(r / lanes)}${part}, ${r % lanes}u)` : `q${r}${part}`);
  return {
    element: axis === "steps" ? "vec4f" : "f32",
    vector: axis === "steps" ? 4 : 1,
    setUp: each(loads, (g) => `${start(g, subgroup ? `${g * lanes}u + lane` : `${g}u`, 1)} * params.weight_lane;`),
    load: each(loads, (g) => `let q${g} = ${axis === "steps" ? `weight[row${g} + tap + l / 4u]` : `vec4f(${each(4, (i) => `weight[row${g} + ${along(`${i}u`)}]`, ", ")})`};`),
    loadOne: each(loads, (g) => `let q${g} = weight[row${g} + ${along("0u")}];`),
    value: (r, i) => spread(r, `.${component(i)}`),
    valueOne: (r) => spread(r, ""),
  };
}
