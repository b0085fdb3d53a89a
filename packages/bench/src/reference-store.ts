import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { createHash } from "node:crypto";
import type { Reference } from "./problems/problem.js";

/** Float64 references in a folder, so that the processes of one run compute each of them once. */
export interface ReferenceStore {
  readonly folder: string;
  /** @param key what the reference is of */
  get(key: string, compute: () => Reference): Promise<Reference>;
}

/** A store in a new temporary folder. */
export async function createReferenceStore(): Promise<ReferenceStore & { remove(): Promise<void> }> {
  const folder = await mkdtemp(path.join(tmpdir(), "distilldrive-bench-"));
  return { ...openReferenceStore(folder), remove: () => rm(folder, { recursive: true, force: true }) };
}

/** The store in a folder that another process made. */
export function openReferenceStore(folder: string): ReferenceStore {
  return {
    folder,
    async get(key, compute) {
      const base = path.join(folder, createHash("sha256").update(key).digest("hex"));
      try {
        const names = JSON.parse(await readFile(`${base}.json`, "utf8")) as readonly string[];
        const tensors = names.map(async (name, index) => {
          const bytes = await readFile(`${base}.${index}`);
          return [name, new Float64Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength))] as const;
        });
        return Object.fromEntries(await Promise.all(tensors));
      } catch (cause) {
        if (!(cause instanceof Error && "code" in cause && cause.code === "ENOENT")) throw cause;
      }
      const reference = compute();
      await Promise.all(Object.values(reference).map((data, index) => writeFile(`${base}.${index}`, data)));
      // Written last: whoever finds the list finds the tensors.
      await writeFile(`${base}.json`, JSON.stringify(Object.keys(reference)));
      return reference;
    },
  };
}
