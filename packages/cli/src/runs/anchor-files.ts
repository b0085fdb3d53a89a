import { type Anchors, DatasetError } from "@distilldrive/datasets";
import { decodeNpy } from "@distilldrive/training";
import { readdir, readFile, stat } from "node:fs/promises";
import path from "node:path";
import { UsageError } from "../errors.js";
import { reasonOf, writeWhole } from "./files.js";

/** A vocabulary as published files hold it: fact T12. */
interface Layout {
  readonly kind: "plan" | "motion";
  /** What our planners read, and what the axes are. */
  readonly shape: readonly [groups: number, modes: number, steps: number, coordinates: number];
  readonly axes: string;
  /** Whether x and y of the file are the other way round in {@link Anchors}. */
  readonly swapped: boolean;
}

const LAYOUTS: readonly Layout[] = [
  { kind: "plan", shape: [3, 6, 6, 2], axes: "commands right, left, straight; modes; steps of 0.5 s; x right, y forward in m", swapped: false },
  // The published teacher swaps x and y of this file when it reads it; its state dict holds them swapped, as ours do.
  { kind: "motion", shape: [10, 6, 12, 2], axes: "classes; modes; steps of 0.5 s; left of the heading, along it in m", swapped: true },
];

/** `kmeans_plan_6.npy`, the name the published configuration looks for. */
function fileName({ kind }: Layout, modes: number): string {
  return `kmeans_${kind}_${modes}.npy`;
}

/**
 * Writes both vocabularies as numpy files under the published names and layouts: `kmeans_plan_<modes>.npy` [3, modes, 6, 2]
 * and `kmeans_motion_<modes>.npy` [10, modes, 12, 2], positions in metres, f32.
 * @returns the files and their shapes
 * @throws RunError when they cannot be written
 */
export async function writeAnchors(folder: string, anchors: Anchors): Promise<{ file: string; shape: number[] }[]> {
  const written: { file: string; shape: number[] }[] = [];
  for (const layout of LAYOUTS) {
    const [groups, , steps, coordinates] = layout.shape;
    const values = anchors[layout.kind];
    const modes = values.length / (groups * steps * coordinates);
    const [file, shape] = [path.join(folder, fileName(layout, modes)), [groups, modes, steps, coordinates]];
    await writeWhole(file, encodeNpy(shape, layout.swapped ? swapped(values) : values));
    written.push({ file, shape });
  }
  return written;
}

/**
 * Reads vocabularies in the published layouts, to train with them.
 * @param place a `.npy` file, or a folder with one of each kind
 * @returns what the place holds; the other kind is left to `buildAnchors`
 * @throws UsageError when there is nothing to read; CheckpointError for files that are no numpy arrays; DatasetError for
 *   arrays of another shape and for values that are not finite
 */
export async function readAnchors(place: string): Promise<Partial<Pick<Anchors, "plan" | "motion">>> {
  const info = await stat(place).catch((cause: unknown) => {
    throw new UsageError(`--anchors: ${place} cannot be read (${reasonOf(cause)}), expected a .npy file or a folder with such files. Make them with: distilldrive data anchors`);
  });
  const files = info.isDirectory() ? (await readdir(place)).filter((name) => name.endsWith(".npy")).sort().map((name) => path.join(place, name)) : [place];
  if (files.length === 0) throw new UsageError(`--anchors: ${place} holds no .npy files, expected ${LAYOUTS.map((layout) => fileName(layout, layout.shape[1])).join(" and ")}. Make them with: distilldrive data anchors`);
  const found: Partial<Record<Layout["kind"], Float32Array>> = {};
  for (const file of files) {
    const { kind, values } = await readVocabulary(file);
    if (found[kind] !== undefined) throw new UsageError(`--anchors: ${place} holds more than one vocabulary of kind "${kind}" (${files.map((each) => path.basename(each)).join(", ")}). Give a folder with one of each.`);
    found[kind] = values;
  }
  return found;
}

async function readVocabulary(file: string): Promise<{ kind: Layout["kind"]; values: Float32Array }> {
  const { shape, values } = decodeNpy(new Uint8Array(await readFile(file)), file);
  const layout = LAYOUTS.find(({ shape: expected }) => expected.length === shape.length && expected.every((extent, i) => extent === shape[i]));
  if (layout === undefined) {
    const wanted = LAYOUTS.map(({ kind, shape: expected, axes }) => `[${expected.join(", ")}] for ${kind} (${axes})`).join(" or ");
    throw new DatasetError(`${file}: wrong shape for a vocabulary, expected ${wanted}, got [${shape.join(", ")}]. Make one with: distilldrive data anchors`);
  }
  const wrong = values.findIndex((value) => !Number.isFinite(value));
  if (wrong >= 0) throw new DatasetError(`${file}: value ${wrong} is not finite, expected metres, got ${values[wrong] ?? 0}. Make the vocabulary again.`);
  const positions = Float32Array.from(values);
  return { kind: layout.kind, values: layout.swapped ? swapped(positions) : positions };
}

/** [..., 2] with the last axis the other way round. */
function swapped(values: Float32Array): Float32Array {
  return values.map((_, i) => values[i ^ 1] ?? 0);
}

/** A numpy file of format 1.0: little-endian f32 in C order. */
function encodeNpy(shape: readonly number[], values: Float32Array): Uint8Array {
  const header = `{'descr': '<f4', 'fortran_order': False, 'shape': (${shape.join(", ")}), }`;
  // The values begin at a multiple of 64 bytes, and the header ends with a line feed.
  const start = 64 * Math.ceil((10 + header.length + 1) / 64);
  const file = Buffer.alloc(start + 4 * values.length, " ");
  file.write("\x93NUMPY\x01\x00", "latin1");
  file.writeUInt16LE(start - 10, 8);
  file.write(header, 10, "latin1");
  file.write("\n", start - 1, "latin1");
  values.forEach((value, i) => file.writeFloatLE(value, start + 4 * i));
  return file;
}
