import { DatasetError } from "./errors.js";

/** The files of a dataset, wherever they lie: a folder on disk, a web server, memory. Paths use forward slashes. */
export interface DatasetFiles {
  /** Start of every message, e.g. `nuscenes/`. */
  readonly name: string;
  /** The file's bytes in order, in chunks of any size; null where there is no such file. */
  open(path: string): Promise<AsyncIterable<Uint8Array> | null>;
  /** Names in a folder, sorted; empty where there is no such folder. */
  list(folder: string): Promise<readonly string[]>;
  /** Path or address under which others find the file. */
  locate(path: string): string;
}

/** A whole file; null where there is none. */
export async function readWhole(files: DatasetFiles, path: string): Promise<Uint8Array | null> {
  const chunks = await files.open(path);
  if (chunks === null) return null;
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/**
 * A whole JSON file.
 * @param where start of the message
 * @returns null where there is no such file
 * @throws DatasetError when it is no JSON
 */
export async function readJson(files: DatasetFiles, path: string, where: string): Promise<unknown> {
  const bytes = await readWhole(files, path);
  if (bytes === null) return null;
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    const what = cause instanceof Error ? cause.message : String(cause);
    throw new DatasetError(`${where}: no JSON, expected a whole file, got ${bytes.length} bytes that cannot be read (${what}). The file is damaged or cut off: copy it again.`, { cause });
  }
}

/** Files held in memory, by path. */
export function memoryFiles(name: string, contents: ReadonlyMap<string, Uint8Array>): DatasetFiles {
  return {
    name,
    open: (path) => {
      const bytes = contents.get(path);
      return Promise.resolve(bytes === undefined ? null : chunked(bytes));
    },
    list: (folder) => {
      const prefix = folder === "" ? "" : `${folder}/`;
      const names = [...contents.keys()].filter((path) => path.startsWith(prefix)).map((path) => path.slice(prefix.length).split("/")[0] ?? "");
      return Promise.resolve([...new Set(names)].sort());
    },
    locate: (path) => path,
  };
}

/** Bytes of a chunk. */
const CHUNK = 1 << 16;

// eslint-disable-next-line @typescript-eslint/require-await -- an async iterable of what is there already
async function* chunked(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += CHUNK) yield bytes.subarray(at, at + CHUNK);
}
