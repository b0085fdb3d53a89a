import { DatasetError } from "../errors.js";
import { quaternionYaw } from "../geometry/rigid.js";
import type { Track } from "../schema.js";
import { detectionClass } from "./categories.js";
import type { Table, TableRecord } from "./tables.js";

type Annotation = TableRecord<"sample_annotation">;

/** s; the devkit gives no velocity over longer spans between two annotations. */
const LONGEST_SPAN = 1.5;

/** Tables that say what an annotation is. */
export interface CategoryTables {
  readonly sample_annotation: Table<"sample_annotation">;
  readonly instance: Table<"instance">;
  readonly category: Table<"category">;
}

/**
 * Agents of a scene.
 * @param annotations of each frame
 * @param timestamps [F] s
 * @returns one track an instance of the ten classes, in the order of first appearance
 * @throws DatasetError for an annotation of an unknown instance or category, and for two of one instance at a time
 */
export function readAgents(tables: CategoryTables, annotations: readonly (readonly Annotation[])[], timestamps: Float64Array): Track[] {
  const instances = new Map<string, { frame: number; annotation: Annotation }[]>();
  annotations.forEach((list, frame) => {
    for (const annotation of list) {
      const of = instances.get(annotation.instance_token);
      if (of === undefined) instances.set(annotation.instance_token, [{ frame, annotation }]);
      else if (of.at(-1)?.frame !== frame) of.push({ frame, annotation });
      else throw new DatasetError(`${tables.sample_annotation.where}: token ${annotation.token}: field "instance_token": annotated twice in sample ${annotation.sample_token}, expected one box of instance ${annotation.instance_token}, got another in ${of.at(-1)?.annotation.token ?? ""}. Get the table again, or remove one.`);
    }
  });
  return [...instances].flatMap(([id, seen]): Track[] => {
    const first = seen[0]?.annotation;
    if (first === undefined) return [];
    const instance = tables.instance.get(id, { table: tables.sample_annotation, token: first.token, field: "instance_token" });
    const { name } = tables.category.get(instance.category_token, { table: tables.instance, token: id, field: "category_token" });
    const category = detectionClass(name);
    return category === null ? [] : [{ id, category, sourceCategory: name, ...trackArrays(seen, timestamps) }];
  });
}

function trackArrays(seen: readonly { frame: number; annotation: Annotation }[], timestamps: Float64Array): Omit<Track, "id" | "category" | "sourceCategory"> {
  const frames = timestamps.length;
  const position = new Float64Array(3 * frames);
  const heading = new Float64Array(frames);
  const valid = new Uint8Array(frames);
  const observed = new Uint8Array(frames);
  for (const { frame, annotation } of seen) {
    position.set(annotation.translation, 3 * frame);
    heading[frame] = quaternionYaw(annotation.rotation);
    valid[frame] = 1;
    observed[frame] = annotation.num_lidar_pts + annotation.num_radar_pts > 0 ? 1 : 0;
  }
  const velocity = new Float64Array(2 * frames);
  seen.forEach(({ frame }, i) => {
    const [from, to] = [seen[i - 1]?.frame ?? frame, seen[i + 1]?.frame ?? frame];
    const span = (timestamps[to] ?? 0) - (timestamps[from] ?? 0);
    if (span <= 0 || span > LONGEST_SPAN * (from < frame && frame < to ? 2 : 1)) return;
    for (let c = 0; c < 2; c++) velocity[2 * frame + c] = ((position[3 * to + c] ?? 0) - (position[3 * from + c] ?? 0)) / span;
  });
  const median = (axis: number): number => seen.map(({ annotation }) => annotation.size[axis] ?? 0).sort((a, b) => a - b)[seen.length >> 1] ?? 0;
  // nuScenes lists width, length, height.
  return { position, heading, velocity, valid, observed, width: median(0), length: median(1), height: median(2) };
}
