/** How one operand is stored, seen from the tile. */
export interface Operand {
  readonly name: string;
  /** Neighbours in memory are neighbours along k, or along the operand's other axis. */
  readonly along: "k" | "other";
  /** Whether the contiguous axis can be read as vectors: of 4 steps or rows, or of as many columns as a lane has. */
  readonly aligned: boolean;
}

/** What the text of a register tile depends on. */
export interface TileText {
  readonly rows: number;
  readonly columns: 1 | 2 | 4;
  /** 0: no subgroup operations. */
  readonly subgroup: number;
  /** The operand whose rows all lanes share. */
  readonly row: Operand;
  /** The operand whose columns are spread over the lanes. */
  readonly lane: Operand;
}

/** Lines for i = 0 .. count - 1. */
export function each(count: number, line: (i: number) => string, separator = "\n"): string {
  return Array.from({ length: count }, (_, i) => line(i)).join(separator);
}

/** WGSL vector of `size` floats. */
export function vectorOf(size: number): string {
  return size === 1 ? "f32" : `vec${size}f`;
}

const component = (i: number): string => "xyzw".charAt(i);

/** Statements and expressions that read an operand. Steps l .. l + 3 are a block; "one" is step l alone, for the tail of k. */
export interface RowText {
  /** Element type of the binding. */
  readonly element: string;
  readonly setUp: string;
  readonly load: string;
  readonly loadOne: string;
  /** Row `r` at step l + s. */
  value(r: number, s: number): string;
  valueOne(r: number): string;
}

/** A scalar of the binding, also where it is bound as vectors. */
function scalarOf({ name, aligned }: Operand, width: number): (index: string) => string {
  return (index) => (aligned && width > 1 ? `${name}[(${index}) / ${width}u][(${index}) % ${width}u]` : `${name}[${index}]`);
}

/** The operand all lanes share. */
export function rowOperand(text: TileText): RowText {
  const { rows: R, subgroup: L, row } = text;
  const vector = row.aligned;
  const scalar = scalarOf(row, 4);
  const element = vectorOf(vector ? 4 : 1);
  const position = (r: string): string => `min(row0 + ${r}, params.row_count - 1u)`;
  const { name } = row;
  if (L === 0) {
    // Every lane reads every row; neighbouring addresses are the same.
    const one = (r: number): string => (row.along === "k" ? scalar(`row_at${r} + l`) : scalar(`row_at${r} + l * params.row_count`));
    const quads = row.along === "other" && vector;
    return {
      element,
      setUp: each(R, (r) => `let row_at${r} = row_start + ${row.along === "k" ? `${position(`${r}u`)} * params.k` : position(`${r}u`)};`),
      load: quads
        ? each(R / 4, (g) => each(4, (s) => `let q${g}_${s} = ${name}[(row_start + (l + ${s}u) * params.row_count + min(row0 + ${4 * g}u, params.row_count - 4u)) / 4u];`))
        : each(R, (r) => (row.along === "k" && vector ? `let q${r} = ${name}[(row_at${r} + l) / 4u];` : `let q${r} = vec4f(${each(4, (s) => scalar(row.along === "k" ? `row_at${r} + l + ${s}u` : `row_at${r} + (l + ${s}u) * params.row_count`), ", ")});`)),
      loadOne: each(R, (r) => `let q${r} = ${one(r)};`),
      value: (r, s) => (quads ? `q${Math.floor(r / 4)}_${s}.${component(r % 4)}` : `q${r}.${component(s)}`),
      valueOne: (r) => `q${r}`,
    };
  }
  // A load of all lanes together brings L rows: each lane four steps of a row, or four rows of one of four steps.
  const loads = Math.ceil(R / L);
  const own = (g: number): string => position(`${R - g * L >= L ? "lane" : `min(lane, ${R - g * L - 1}u)`} + ${g * L}u`);
  const quad = (g: number): string => `row0 + ${g * L}u + lane / 4u * 4u`;
  const spread = (r: number, part: string, from: number): string => `subgroupBroadcast(q${Math.floor(r / L)}${part}, ${from}u)`;
  const one = {
    loadOne: each(loads, (g) => `let q${g} = ${scalar(row.along === "k" ? `row_one${g} + l` : `row_one${g} + l * params.row_count`)};`),
    valueOne: (r: number) => spread(r, "", r % L),
  };
  const setUpOne = each(loads, (g) => `let row_one${g} = row_start + ${row.along === "k" ? `${own(g)} * params.k` : own(g)};`);
  if (row.along === "k") {
    return {
      element,
      setUp: setUpOne,
      load: each(loads, (g) => `let q${g} = ${vector ? `${name}[(row_one${g} + l) / 4u]` : `vec4f(${each(4, (s) => `${name}[row_one${g} + l + ${s}u]`, ", ")})`};`),
      value: (r, s) => spread(r, `.${component(s)}`, r % L),
      ...one,
    };
  }
  return {
    element,
    setUp: `${setUpOne}
${vector ? each(loads, (g) => `let row_quad${g} = row_start + min(${quad(g)}, params.row_count - 4u) + lane % 4u * params.row_count;`) : each(loads, (g) => each(4, (i) => `let row_quad${g}_${i} = row_start + min(${quad(g)} + ${i}u, params.row_count - 1u) + lane % 4u * params.row_count;`))}`,
    load: each(loads, (g) => `let q${g} = ${vector ? `${name}[(row_quad${g} + l * params.row_count) / 4u]` : `vec4f(${each(4, (i) => `${name}[row_quad${g}_${i} + l * params.row_count]`, ", ")})`};`),
    value: (r, s) => spread(r, `.${component(r % 4)}`, Math.floor((r % L) / 4) * 4 + s),
    ...one,
  };
}

/** The operand each lane reads for itself: `p0` .. `p3` for a block, `p` for one step. */
export function laneOperand(text: TileText): Omit<RowText, "value" | "valueOne"> {
  const { columns: C, lane } = text;
  const T = vectorOf(C);
  const { name, along, aligned } = lane;
  const position = (c: number): string => `min(lane0 + ${c}u, params.lane_count - 1u)`;
  const gathered = (value: (c: number) => string): string => (C === 1 ? value(0) : `${T}(${each(C, value, ", ")})`);
  const setUp = each(C, (c) => `let lane_at${c} = lane_start + ${along === "k" ? `${position(c)} * params.k` : position(c)};`);
  if (along === "k") {
    const scalar = scalarOf(lane, 4);
    return {
      element: vectorOf(aligned ? 4 : 1),
      setUp,
      load: each(C, (c) => `let v${c} = ${aligned ? `${name}[(lane_at${c} + l) / 4u]` : `vec4f(${each(4, (s) => `${name}[lane_at${c} + l + ${s}u]`, ", ")})`};`)
        + "\n" + each(4, (s) => `let p${s} = ${gathered((c) => `v${c}.${component(s)}`)};`),
      loadOne: `let p = ${gathered((c) => scalar(`lane_at${c} + l`))};`,
    };
  }
  if (!aligned || C === 1) {
    const at = (step: string): string => gathered((c) => `${name}[lane_at${c} + (${step}) * params.lane_count]`);
    return { element: "f32", setUp, load: each(4, (s) => `let p${s} = ${at(`l + ${s}u`)};`), loadOne: `let p = ${at("l")};` };
  }
  return {
    element: T,
    setUp: `let lane_at = (lane_start + min(lane0, params.lane_count - ${C}u)) / ${C}u;\nlet lane_step = params.lane_count / ${C}u;`,
    load: each(4, (s) => `let p${s} = ${name}[lane_at + (l + ${s}u) * lane_step];`),
    loadOne: `let p = ${name}[lane_at + l * lane_step];`,
  };
}
