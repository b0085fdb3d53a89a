import type { Command } from "@distilldrive/datasets";
import type { ConventionScores, PlanningTable } from "@distilldrive/metrics";
import { element, type Content, type Markup } from "./markup.js";
import { textTable, type TextCell } from "./text-table.js";

/** A planner and what the metric says about it. */
export interface PlannerResult {
  /** e.g. "constant velocity" or "student". */
  readonly name: string;
  readonly table: PlanningTable;
  /** Emphasised in the report: the planners this run is about. Default false. */
  readonly emphasis?: boolean;
}

/** The two ways of reading an open-loop table. */
export const CONVENTIONS = {
  cumulative: { title: "Cumulative mean", note: "Mean over all steps up to 1, 2 and 3 s, the convention of the paper's table." },
  atStep: { title: "At the step", note: "Error at exactly 1, 2 and 3 s." },
} as const;

/** Which of the two. */
export type Convention = keyof typeof CONVENTIONS;

const HORIZONS = [
  ["at1s", "1 s"],
  ["at2s", "2 s"],
  ["at3s", "3 s"],
  ["average", "avg"],
] as const;

/**
 * The comparison of planners for a terminal: L2 (m) and collision rate (%) at 1, 2, 3 s and on average.
 *
 * @param results one row each; a planner without samples prints dashes
 * @param convention default cumulative, as in the paper
 */
export function plannerTextTable(results: readonly PlannerResult[], convention: Convention = "cumulative"): string {
  const header = ["planner", ...HORIZONS.map(([, label]) => `L2 ${label}`), ...HORIZONS.map(([, label]) => `col ${label}`), "samples"];
  const rows = results.map(({ name, table }): TextCell[] => [
    name,
    ...valuesOf(table.overall?.[convention]).map((value, column) => (value === null ? null : column < 4 ? value : `${(100 * value).toFixed(2)}%`)),
    table.overall === null ? "0" : String(table.overall.samples),
  ]);
  return `${CONVENTIONS[convention].title}: L2 in m, collision rate in %\n${textTable([header, ...rows])}`;
}

/** [8] L2 (m) and collision rate (0 .. 1) at 1, 2, 3 s and average; nulls without samples. */
function valuesOf(scores: ConventionScores | undefined): (number | null)[] {
  return [scores?.l2, scores?.collision].flatMap((values) => HORIZONS.map(([key]) => values?.[key] ?? null));
}

/** HTML table of one convention; the best value of every column is marked. */
export function plannerTable(results: readonly PlannerResult[], convention: Convention): Markup {
  const { title, note } = CONVENTIONS[convention];
  const rows = results.map(({ table }) => valuesOf(table.overall?.[convention]));
  const head = element(
    "thead",
    {},
    element(
      "tr",
      {},
      element("th", { scope: "col", rowspan: 2 }, "Planner"),
      element("th", { scope: "colgroup", colspan: 4 }, "L2 (m) ↓"),
      element("th", { scope: "colgroup", colspan: 4, class: "group" }, "Collision (%) ↓"),
      element("th", { scope: "col", rowspan: 2, class: "group" }, "Samples"),
    ),
    element("tr", {}, ["", "group"].flatMap((group) => HORIZONS.map(([, label], i) => element("th", { scope: "col", class: i === 0 && group !== "" ? group : null }, label)))),
  );
  const body = results.map(({ name, table, emphasis }, row) =>
    plannerRow(name, emphasis === true, [
      ...(rows[row] ?? []).map((value, column) => ({
        text: formatValue(value, column < 4 ? 1 : 100),
        best: isBest(value, rows.map((values) => values[column] ?? null)),
        group: column === 4,
      })),
      { text: String(table.overall?.samples ?? 0), best: false, group: true },
    ]),
  );
  return tableFigure(title, note, head, body);
}

/** HTML table of the average cumulative L2 and collision rate per command. */
export function commandTable(results: readonly PlannerResult[]): Markup {
  const order: readonly Command[] = ["left", "straight", "right"];
  const values = (table: PlanningTable): (number | null)[] =>
    order.flatMap((command) => {
      const scores = table.byCommand[command]?.cumulative;
      return [scores?.l2.average ?? null, scores?.collision.average ?? null];
    });
  const rows = results.map(({ table }) => values(table));
  const counts = order.map((command) => Math.max(0, ...results.map(({ table }) => table.byCommand[command]?.samples ?? 0)));
  const head = element(
    "thead",
    {},
    element(
      "tr",
      {},
      element("th", { scope: "col", rowspan: 2 }, "Planner"),
      order.map((command, i) => element("th", { scope: "colgroup", colspan: 2, class: i > 0 ? "group" : null }, `${command} (${counts[i] ?? 0} samples)`)),
    ),
    element("tr", {}, order.map((_, i) => [element("th", { scope: "col", class: i > 0 ? "group" : null }, "L2 (m)"), element("th", { scope: "col" }, "Collision (%)")])),
  );
  const body = results.map(({ name, emphasis }, row) =>
    plannerRow(
      name,
      emphasis === true,
      (rows[row] ?? []).map((value, column) => ({
        text: formatValue(value, column % 2 === 0 ? 1 : 100),
        best: isBest(value, rows.map((others) => others[column] ?? null)),
        group: column > 0 && column % 2 === 0,
      })),
    ),
  );
  return tableFigure("Per command", "Averages of the cumulative means.", head, body);
}

interface Cell {
  readonly text: string;
  readonly best: boolean;
  readonly group: boolean;
}

function plannerRow(name: string, emphasis: boolean, cells: readonly Cell[]): Markup {
  const drawn = cells.map(({ text, best, group }) =>
    element("td", { class: [best ? "best" : "", group ? "group" : ""].join(" ").trim() || null }, best ? element("strong", {}, text) : text),
  );
  return element("tr", { class: emphasis ? "emphasis" : null }, element("th", { scope: "row" }, name), drawn);
}

function tableFigure(title: string, note: string, head: Markup, body: Content): Markup {
  const words = [element("span", { class: "caption-title" }, title), " ", element("span", { class: "caption-note" }, note)];
  const caption = element("caption", {}, element("span", { class: "caption-text" }, words));
  return element("div", { class: "table-scroll", tabindex: 0, role: "region", "aria-label": title }, element("table", {}, caption, head, element("tbody", {}, body)));
}

function formatValue(value: number | null, factor: number): string {
  return value === null || !Number.isFinite(value) ? "–" : (value * factor).toFixed(2);
}

/** Whether a value is the smallest of its column and better than at least one other. */
function isBest(value: number | null, column: readonly (number | null)[]): boolean {
  const known = column.filter((other): other is number => other !== null && Number.isFinite(other));
  return value !== null && known.length > 1 && value === Math.min(...known) && value < Math.max(...known);
}
