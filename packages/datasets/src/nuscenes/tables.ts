import { z } from "zod";
import { DatasetError } from "../errors.js";
import type { DatasetFiles } from "../files.js";
import { parseArray } from "./json-array.js";

const token = z.string().min(1);
const vector = (length: number): z.ZodType<number[]> => z.array(z.number()).length(length);
const rotation = vector(4).refine((q) => Math.abs(Math.hypot(...q) - 1) < 0.01, "expected a unit quaternion w, x, y, z");

/** Fields that are read of each table; others are ignored. */
const RECORDS = {
  scene: z.object({ token, name: z.string().min(1), log_token: token, first_sample_token: token }),
  log: z.object({ token, location: z.string().min(1) }),
  sample: z.object({ token, scene_token: token, timestamp: z.number(), next: z.string() }),
  sample_data: z.object({
    token,
    sample_token: token,
    ego_pose_token: token,
    calibrated_sensor_token: token,
    timestamp: z.number(),
    is_key_frame: z.boolean(),
    filename: z.string().min(1),
    width: z.number().nullish(),
    height: z.number().nullish(),
  }),
  ego_pose: z.object({ token, translation: vector(3), rotation }),
  calibrated_sensor: z.object({ token, sensor_token: token, translation: vector(3), rotation, camera_intrinsic: z.array(vector(3)) }),
  sensor: z.object({ token, channel: z.string(), modality: z.string() }),
  sample_annotation: z.object({
    token,
    sample_token: token,
    instance_token: token,
    translation: vector(3),
    size: z.array(z.number().positive()).length(3),
    rotation,
    num_lidar_pts: z.number(),
    num_radar_pts: z.number(),
  }),
  instance: z.object({ token, category_token: token }),
  category: z.object({ token, name: z.string() }),
} as const;

/** Name of a nuScenes table. */
export type TableName = keyof typeof RECORDS;
/** A record of a table. */
export type TableRecord<N extends TableName> = z.infer<(typeof RECORDS)[N]>;

/** The records of one table, by token. */
export class Table<N extends TableName> {
  private readonly byToken = new Map<string, TableRecord<N>>();

  constructor(
    /** e.g. `nuScenes: v1.0-mini/sample.json` */
    readonly where: string,
  ) {}

  add(record: TableRecord<N>): void {
    if (this.byToken.has(record.token)) {
      throw new DatasetError(`${this.where}: token ${record.token}: field "token": used twice, expected a token of its own, got that of an earlier record. Get the table again.`);
    }
    this.byToken.set(record.token, record);
  }

  /** All records, in the order of the file. */
  records(): IterableIterator<TableRecord<N>> {
    return this.byToken.values();
  }

  has(token: string): boolean {
    return this.byToken.has(token);
  }

  /**
   * The record a field of another table names.
   * @throws DatasetError naming that table, its record and its field, where there is none
   */
  get(token: string, from: { readonly table: { readonly where: string }; readonly token: string; readonly field: string }): TableRecord<N> {
    const record = this.byToken.get(token);
    if (record !== undefined) return record;
    const file = this.where.replace(/^.*\//, "");
    throw new DatasetError(`${from.table.where}: token ${from.token}: field "${from.field}": dangling, expected a token of ${file}, got "${token}". One of the two tables is incomplete: get both again.`);
  }
}

/** A record before it was checked: what {@link readTable} lets a filter look at. */
export type RawRecord = Readonly<Record<string, unknown>>;

/**
 * Reads a table of the official layout.
 * @param version folder of the tables, e.g. `v1.0-mini`
 * @param wanted records it refuses are neither checked nor kept
 * @throws DatasetError for a missing or damaged table and for a record whose field is missing or wrong, naming table,
 *   token and field
 */
export async function readTable<N extends TableName>(files: DatasetFiles, version: string, name: N, wanted?: (record: RawRecord) => boolean): Promise<Table<N>> {
  const path = `${version}/${name}.json`;
  const where = `nuScenes: ${files.name}${path}`;
  const chunks = await files.open(path);
  if (chunks === null) {
    throw new DatasetError(`${where}: the table is missing, expected the file beside the other tables of ${version}, got nothing. Unpack nuScenes' metadata archive here.`);
  }
  const table = new Table<N>(where);
  const schema = RECORDS[name];
  await parseArray(chunks, where, (entry) => {
    const raw = entry as RawRecord;
    if (wanted !== undefined && !wanted(raw)) return;
    const parsed = schema.safeParse(raw);
    if (!parsed.success) {
      const [issue] = parsed.error.issues;
      const field = issue?.path.map((key) => (typeof key === "number" ? `[${key}]` : String(key))).join("") ?? "";
      const value = issue?.path.reduce<unknown>((at, key) => (at as Record<PropertyKey, unknown> | undefined)?.[key], raw);
      const got = value === undefined ? "nothing" : JSON.stringify(value).slice(0, 60);
      const id = typeof raw["token"] === "string" ? raw["token"] : "(none)";
      throw new DatasetError(`${where}: token ${id}: field "${field}": ${issue?.message ?? "wrong"}, got ${got}. Get the table again, or mend this record.`);
    }
    table.add(parsed.data as TableRecord<N>);
  });
  return table;
}
