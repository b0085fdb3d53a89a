import { z } from "zod";
import { DatasetError } from "./errors.js";
import { AGENT_CLASSES, MAP_CLASSES, type Scene, type Track } from "./schema.js";
import { validateScene } from "./validate.js";

/** End of a scene file's name: `<id>.scene.json`. */
export const SCENE_FILE_SUFFIX = ".scene.json";

/** Version of the format, the first field of every file. */
const FORMAT = "distilldrive-scene-1";

/** Steps numbers are rounded to: metres (and m/s), radians, seconds. Far below what sensors resolve; halves the files. */
const RESOLUTION = { metre: 1e4, radian: 1e5, second: 1e6 } as const;

const numbers = z.array(z.number());
const count = z.int().min(0);
const flags = z.array(z.union([z.literal(0), z.literal(1)]));
const TrackFile = z.strictObject({
  id: z.string(),
  category: z.enum(AGENT_CLASSES),
  sourceCategory: z.string(),
  length: z.number(),
  width: z.number(),
  height: z.number(),
  position: numbers,
  heading: numbers,
  velocity: numbers,
  valid: flags,
  observed: flags.optional(),
});
const SceneFile = z.strictObject({
  format: z.literal(FORMAT),
  id: z.string().regex(/^[\w.-]+$/, "expected letters, digits, dots, dashes and underscores"),
  source: z.enum(["scenarionet", "nuscenes", "av2", "synthetic"]),
  drivingSide: z.enum(["left", "right"]),
  interval: z.number(),
  timestamps: numbers,
  keyframes: z.array(count),
  jumps: z.array(count),
  steering: numbers,
  egoStatus: numbers.optional(),
  cameras: z
    .array(z.strictObject({ camera: z.string(), frame: count, file: z.string(), width: z.number(), height: z.number(), intrinsics: numbers, cameraFromWorld: numbers }))
    .optional(),
  ego: TrackFile,
  agents: z.array(TrackFile),
  lines: z.array(
    z.strictObject({
      id: z.string(),
      category: z.enum(MAP_CLASSES),
      style: z.enum(["solid_white", "broken_white", "solid_yellow", "edge", "crossing"]),
      points: numbers,
    }),
  ),
  lanes: z.array(
    z.strictObject({ id: z.string(), centerline: numbers, polygon: numbers.nullable(), connector: z.boolean(), successors: z.array(z.string()) }),
  ),
});
type SceneFile = z.infer<typeof SceneFile>;

/**
 * Writes a scene as versioned JSON, one line a track, line or lane. Metres and m/s are rounded to 1e-4, radians to
 * 1e-5, seconds to 1e-6 (calibrations and measurements are not); everything else is exact, and a decoded scene encodes to the same bytes again.
 * @returns bytes for a file named `<id>.scene.json`
 * @throws DatasetError when the scene breaks a promise of the schema, such as a pose that is not finite
 */
export function encodeScene(scene: Scene): Uint8Array {
  validateScene(scene, `encodeScene: ${scene.id}`);
  const { agents, lines, lanes, ...rest } = scene;
  const head = {
    format: FORMAT,
    id: rest.id,
    source: rest.source,
    drivingSide: rest.drivingSide,
    interval: rest.interval,
    timestamps: rounded(rest.timestamps, RESOLUTION.second),
    keyframes: Array.from(rest.keyframes),
    jumps: rest.jumps,
    steering: rounded(rest.steering, RESOLUTION.radian),
    ...(rest.egoStatus === undefined ? {} : { egoStatus: Array.from(rest.egoStatus) }),
    ...(rest.cameras === undefined ? {} : { cameras: rest.cameras.map((image) => ({ ...image, intrinsics: Array.from(image.intrinsics), cameraFromWorld: Array.from(image.cameraFromWorld) })) }),
    ego: encodeTrack(rest.ego),
  };
  const list = (name: string, items: readonly object[]): string =>
    `"${name}": [${items.map((item) => `\n${JSON.stringify(item)}`).join(",")}${items.length > 0 ? "\n" : ""}]`;
  const text = [
    JSON.stringify(head).slice(0, -1),
    list("agents", agents.map(encodeTrack)),
    list("lines", lines.map(({ id, category, style, points }) => ({ id, category, style, points: rounded(points, RESOLUTION.metre) }))),
    list(
      "lanes",
      lanes.map(({ id, centerline, polygon, connector, successors }) => ({
        id,
        centerline: Array.from(centerline, (value, i) => round(value, i % 3 === 2 ? RESOLUTION.radian : RESOLUTION.metre)),
        polygon: polygon === null ? null : rounded(polygon, RESOLUTION.metre),
        connector,
        successors,
      })),
    ),
  ].join(",\n");
  return new TextEncoder().encode(`${text}}\n`);
}

/**
 * Reads a scene written by {@link encodeScene}.
 * @param name the file's name, for messages
 * @throws DatasetError for bytes that are no scene file, naming the first wrong field, or for a scene that breaks a
 *   promise of the schema, naming field and frame
 */
export function decodeScene(bytes: Uint8Array, name: string): Scene {
  const where = `sceneFile: ${name}`;
  const parsed = SceneFile.safeParse(parseJson(bytes, where));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new DatasetError(`${where}: ${describePath(issue?.path ?? [])}: ${issue?.message ?? "invalid"}, expected a ${FORMAT} file. Fix the source of the scene, or leave this scene out.`);
  }
  const file = parsed.data;
  const scene: Scene = {
    id: file.id,
    source: file.source,
    drivingSide: file.drivingSide,
    interval: file.interval,
    timestamps: Float64Array.from(file.timestamps),
    keyframes: Int32Array.from(file.keyframes),
    ego: decodeTrack(file.ego),
    steering: Float64Array.from(file.steering),
    ...(file.egoStatus === undefined ? {} : { egoStatus: Float64Array.from(file.egoStatus) }),
    ...(file.cameras === undefined ? {} : { cameras: file.cameras.map((image) => ({ ...image, intrinsics: Float64Array.from(image.intrinsics), cameraFromWorld: Float64Array.from(image.cameraFromWorld) })) }),
    agents: file.agents.map(decodeTrack),
    lines: file.lines.map((line) => ({ ...line, points: Float64Array.from(line.points) })),
    lanes: file.lanes.map((lane) => ({ ...lane, centerline: Float64Array.from(lane.centerline), polygon: lane.polygon === null ? null : Float64Array.from(lane.polygon) })),
    jumps: file.jumps,
  };
  validateScene(scene, where);
  return scene;
}

/** JSON of the bytes. NaN and Infinity, which some writers let slip in, become null, so that the schema can name their place. */
function parseJson(bytes: Uint8Array, where: string): unknown {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return JSON.parse(/[:,[]\s*-?(NaN|Infinity)/.test(text) ? text.replace(/([:,[]\s*)-?(NaN|Infinity)/g, "$1null") : text);
  } catch (cause) {
    const what = cause instanceof Error ? cause.message : String(cause);
    throw new DatasetError(`${where}: no JSON, expected a whole ${FORMAT} file, got ${bytes.length} bytes that cannot be read (${what}). The file is damaged or cut off: make or copy it again.`, { cause });
  }
}

/** Numbers a frame has in each array over time. */
const FRAME_WIDTHS: Readonly<Record<string, number>> = { position: 3, heading: 1, velocity: 2, valid: 1, timestamps: 1, steering: 1 };

/** `ego.position[30] (frame 10)`. */
function describePath(path: readonly PropertyKey[]): string {
  const name = path.map((key) => (typeof key === "number" ? `[${key}]` : `.${String(key)}`)).join("").replace(/^\./, "");
  const [array, index] = path.slice(-2);
  const width = FRAME_WIDTHS[String(array)];
  return width === undefined || typeof index !== "number" ? name || "file" : `${name} (frame ${Math.floor(index / width)})`;
}

function encodeTrack(track: Track): SceneFile["ego"] {
  const { id, category, sourceCategory, length, width, height, position, heading, velocity, valid, observed } = track;
  return {
    id,
    category,
    sourceCategory,
    length: round(length, RESOLUTION.metre),
    width: round(width, RESOLUTION.metre),
    height: round(height, RESOLUTION.metre),
    position: rounded(position, RESOLUTION.metre),
    heading: rounded(heading, RESOLUTION.radian),
    velocity: rounded(velocity, RESOLUTION.metre),
    valid: Array.from(valid, (value) => (value === 1 ? 1 : 0)),
    ...(observed === undefined ? {} : { observed: Array.from(observed, (value) => (value === 1 ? 1 : 0)) }),
  };
}

function decodeTrack(track: SceneFile["ego"]): Track {
  const { observed, ...rest } = track;
  return {
    ...rest,
    ...(observed === undefined ? {} : { observed: Uint8Array.from(observed) }),
    position: Float64Array.from(track.position),
    heading: Float64Array.from(track.heading),
    velocity: Float64Array.from(track.velocity),
    valid: Uint8Array.from(track.valid),
  };
}

const rounded = (values: Float64Array, perUnit: number): number[] => Array.from(values, (value) => round(value, perUnit));

/** Adding 0 turns -0 into 0, which JSON would lose. */
const round = (value: number, perUnit: number): number => Math.round(value * perUnit) / perUnit + 0;
