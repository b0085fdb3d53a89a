import type { Study } from "./plan.js";
import { ALL_SPLITS, type ResultRow, type Spread, type StudyResults } from "./results.js";

const HORIZONS = ["at1s", "at2s", "at3s", "average"] as const;

/** `table.md`: one table a split, what the rows are, and how the figures came about. */
export function studyTable({ plan, splits }: Pick<Study, "plan" | "splits">, results: StudyResults): string {
  const names = [...splits.map(({ name }) => name), ...(splits.length > 1 ? [ALL_SPLITS] : [])];
  const notes = plan.rows.flatMap(({ name, note }) => (note === undefined ? [] : [`- **${name}**: ${note}`]));
  const { done, planned, command, commit, adapter, date, versions } = results;
  return [
    `# ${plan.title}`,
    ...(plan.note === undefined ? [] : [plan.note]),
    ...names.map((split) => `${titleOf(split, splits)}\n\n${tableOf(plan, results.rows.filter((row) => row.split === split))}`),
    ...(notes.length === 0 ? [] : [notes.join("\n")]),
    [
      "L2 in m, collision rate in %: means over all steps up to 1, 2, 3 s, and the mean of the three.",
      `± is the sample standard deviation over seeds. ${done} of ${planned} runs done.`,
      "A step at which the driven path itself meets an annotated box is left out of every planner's collision rate; the log's own line gives their share.",
    ].join("\n"),
    [
      `- command: \`${command}\``,
      `- commit: ${commit ?? "unknown"}`,
      `- adapter: ${adapter}`,
      `- date: ${date}`,
      `- versions: ${Object.entries(versions).map(([name, version]) => `${name} ${version}`).join(", ")}`,
    ].join("\n"),
    "",
  ].join("\n\n").replace(/\n+$/, "\n");
}

function titleOf(split: string, splits: Study["splits"]): string {
  const val = splits.find(({ name }) => name === split)?.val ?? [];
  if (split === ALL_SPLITS) return "## Average over the splits";
  return `## Held out: ${val.length > 8 ? `${val.slice(0, 3).join(", ")} ... ${val.at(-1) ?? ""} (${val.length} scenes)` : val.join(", ")}`;
}

function tableOf({ rows: planned }: Study["plan"], rows: readonly ResultRow[]): string {
  const papers = new Map(planned.flatMap(({ name, paper }) => (paper === undefined ? [] : [[name, paper] as const])));
  const header = ["planner", "L2 1 s", "2 s", "3 s", "avg", "collision 1 s", "2 s", "3 s", "avg", "seeds", "min a run", ...(papers.size > 0 ? ["paper L2 avg", "paper collision avg"] : [])];
  const body = rows.map(({ name, l2, collision, seeds, minutes }) => {
    const paper = papers.get(name);
    return [
      name,
      ...HORIZONS.map((horizon) => cell(l2[horizon], 1)),
      ...HORIZONS.map((horizon) => cell(collision[horizon], 100)),
      seeds.length === 0 ? "" : seeds.join(", "),
      minutes === null ? "" : minutes.toFixed(1),
      ...(papers.size > 0 ? [paper?.l2.toFixed(2) ?? "", paper?.collision.toFixed(3) ?? ""] : []),
    ];
  });
  const line = (cells: readonly string[]): string => `| ${cells.map((text) => text.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(header), line(header.map((_, i) => (i === 0 ? "---" : "---:"))), ...body.map(line)].join("\n");
}

function cell({ mean, deviation }: Spread, factor: number): string {
  return `${(factor * mean).toFixed(2)}${deviation === null ? "" : ` ± ${(factor * deviation).toFixed(2)}`}`;
}
