import { DatasetError } from "../errors.js";
import type { DatasetFiles } from "../files.js";
import { rigidMotion } from "../geometry/rigid.js";
import { readFeather, type Columns } from "./feather.js";

/** Columns of a pose: a quaternion and a translation in metres. */
export const POSE_COLUMNS = { qw: "number", qx: "number", qy: "number", qz: "number", tx_m: "number", ty_m: "number", tz_m: "number" } as const;

/** The pose in a row of a table, [4, 4] row-major. @throws DatasetError for a rotation that is none */
export function motionAt(table: Columns<typeof POSE_COLUMNS>, row: number): Float64Array {
  const value = (column: keyof typeof POSE_COLUMNS): number => table[column][row] ?? 0;
  const q = [value("qw"), value("qx"), value("qy"), value("qz")];
  if (Math.abs(Math.hypot(...q) - 1) > 0.01) {
    throw new DatasetError(`${table.where}: row ${row}: columns "qw" to "qz": no rotation, expected a unit quaternion, got [${q.join(", ")}]. Get the log again, or mend this row.`);
  }
  return rigidMotion(q, [value("tx_m"), value("ty_m"), value("tz_m")]);
}

/** The car's poses in the city. */
export interface Poses {
  /** One a row, [4, 4] row-major each. */
  readonly motions: readonly Float64Array[];
  /**
   * The pose at a time of the log.
   * @param from the table that names the time, for the message
   * @throws DatasetError where there is none
   */
  at(time: bigint, from: string): Float64Array;
}

/** Reads `city_SE3_egovehicle.feather`. @throws DatasetError where it is missing or wrong */
export async function readPoses(files: DatasetFiles): Promise<Poses> {
  const path = "city_SE3_egovehicle.feather";
  const table = await readFeather(files, path, { timestamp_ns: "integer", ...POSE_COLUMNS });
  if (table === null) throw new DatasetError(`argoverse2: ${files.name}${path}: the table is missing, expected it in the log's folder, got nothing. Get the log again.`);
  const motions = Array.from({ length: table.rows }, (_, row) => motionAt(table, row));
  const rowOf = new Map(Array.from(table.timestamp_ns, (time, row) => [time, row]));
  return {
    motions,
    at: (time, from) => {
      const motion = motions[rowOf.get(time) ?? -1];
      if (motion !== undefined) return motion;
      throw new DatasetError(`${from}: timestamp_ns ${time}: no pose, expected that time in ${path}, got ${table.rows} other times. One of the two tables is incomplete: get the log again.`);
    },
  };
}
