/** A cell of a text table; null prints as a dash. */
export type TextCell = string | number | null;

/** How a text table is printed. */
export interface TextTableOptions {
  /** Decimals of numbers, default 2. */
  readonly decimals?: number;
  /** Spaces between columns, default 2. */
  readonly gap?: number;
}

/**
 * A table for terminals: the first row is the header, text is aligned left, columns with numbers (or texts like "12 %") right.
 *
 * @param rows header first; shorter rows are filled up with empty cells
 * @returns lines joined by newlines, without a final one
 */
export function textTable(rows: readonly (readonly TextCell[])[], options: TextTableOptions = {}): string {
  const { decimals = 2, gap = 2 } = options;
  const columns = Math.max(0, ...rows.map((row) => row.length));
  const body = rows.slice(1);
  const numeric = Array.from({ length: columns }, (_, column) => body.some((row) => isNumeric(row[column] ?? null)));
  const texts = rows.map((row) => Array.from({ length: columns }, (_, column) => cellText(row[column] ?? (column < row.length ? null : ""), decimals)));
  const widths = Array.from({ length: columns }, (_, column) => Math.max(...texts.map((row) => row[column]?.length ?? 0)));
  const lines = texts.map((row) =>
    row
      .map((text, column) => (numeric[column] === true ? text.padStart(widths[column] ?? 0) : text.padEnd(widths[column] ?? 0)))
      .join(" ".repeat(gap))
      .trimEnd(),
  );
  const rule = widths.map((width) => "─".repeat(width)).join(" ".repeat(gap));
  return lines.length === 0 ? "" : [lines[0], rule, ...lines.slice(1)].join("\n");
}

function isNumeric(cell: TextCell): boolean {
  return typeof cell === "number" || (typeof cell === "string" && /^[-+]?\d[\d.]*\s?%?$/.test(cell));
}

function cellText(cell: TextCell, decimals: number): string {
  if (cell === null) return "–";
  if (typeof cell === "string") return cell.replace(/[\r\n\t]+/g, " ");
  return Number.isFinite(cell) ? cell.toFixed(decimals) : "–";
}
