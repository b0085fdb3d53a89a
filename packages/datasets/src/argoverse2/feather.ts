import { CompressionType, setCompressionCodec, tableFromIPC } from "@uwdata/flechette";
import { decompress as decompressZstandard } from "fzstd";
import { compress, decompress } from "lz4js";
import { DatasetError } from "../errors.js";
import { readWhole, type DatasetFiles } from "../files.js";

/** What the values of a column are read as: text, numbers, or integers of 64 bits. */
type ColumnKind = "text" | "number" | "integer";
type ColumnValues<K extends ColumnKind> = K extends "text" ? readonly string[] : K extends "number" ? Float64Array : BigInt64Array;

/** Columns of a table by name, all of one length. */
export type Columns<S extends Readonly<Record<string, ColumnKind>>> = { readonly [C in keyof S]: ColumnValues<S[C]> } & {
  /** e.g. `argoverse2: <log>/annotations.feather`, for messages. */
  readonly where: string;
  readonly rows: number;
};

/**
 * Reads columns of a feather file (Arrow IPC; plain, or with buffers compressed by LZ4 or Zstandard).
 * @param schema the columns wanted; others are ignored
 * @returns null where there is no such file
 * @throws DatasetError for a damaged file, a missing column and a value of another kind, naming file, row and column
 */
export async function readFeather<S extends Readonly<Record<string, ColumnKind>>>(files: DatasetFiles, path: string, schema: S): Promise<Columns<S> | null> {
  const bytes = await readWhole(files, path);
  if (bytes === null) return null;
  const where = `argoverse2: ${files.name}${path}`;
  const columns: Record<string, unknown> = {};
  let rows = 0;
  try {
    // The library keeps codecs for the whole page; these are the only ones of their kinds.
    setCompressionCodec(CompressionType.LZ4_FRAME, { decode: (data) => decompress(data), encode: (data) => compress(data) });
    // Copied, because a column must begin at a multiple of its elements' size.
    setCompressionCodec(CompressionType.ZSTD, { decode: (data) => new Uint8Array(decompressZstandard(data)), encode: neverWritten });
    const table = tableFromIPC(bytes, { useBigInt: true });
    rows = table.numRows;
    for (const [name, kind] of Object.entries(schema)) {
      const field = table.schema.fields.findIndex((known) => known.name === name);
      if (field < 0) {
        const names = table.schema.fields.map((known) => known.name).join(", ");
        throw new DatasetError(`${where}: column "${name}" is missing, expected it among the table's columns, got ${names || "none"}. Get the log again.`);
      }
      columns[name] = convert(Array.from(table.getChildAt(field) as Iterable<unknown>), kind, where, name);
    }
  } catch (cause) {
    if (cause instanceof DatasetError) throw cause;
    const what = cause instanceof Error ? cause.message : String(cause);
    throw new DatasetError(`${where}: no feather table, expected a whole Arrow IPC file, got ${bytes.length} bytes that cannot be read (${what}). The file is damaged or cut off: copy it again.`, { cause });
  }
  return { ...columns, where, rows } as Columns<S>;
}

function neverWritten(): never {
  throw new Error("feather: tables are read here, not written");
}

function convert(values: readonly unknown[], kind: ColumnKind, where: string, name: string): ColumnValues<ColumnKind> {
  const wrong = (row: number, expected: string): DatasetError =>
    new DatasetError(`${where}: row ${row}: column "${name}": wrong value, expected ${expected}, got ${String(values[row])}. Get the log again, or mend this row.`);
  if (kind === "text") {
    const row = values.findIndex((value) => typeof value !== "string");
    if (row >= 0) throw wrong(row, "text");
    return values as string[];
  }
  if (kind === "integer") return BigInt64Array.from(values, (value, row) => {
    if (typeof value === "bigint") return value;
    if (typeof value === "number" && Number.isInteger(value)) return BigInt(value);
    throw wrong(row, "an integer");
  });
  return Float64Array.from(values, (value, row) => {
    const number = typeof value === "bigint" ? Number(value) : value;
    if (typeof number === "number" && Number.isFinite(number)) return number;
    throw wrong(row, "a finite number");
  });
}
