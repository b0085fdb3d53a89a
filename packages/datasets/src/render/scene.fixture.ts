import type { AgentClass, Lane, MapLine, Scene, Track } from "../schema.js";

/** A box that stands still. */
export interface StillBox {
  readonly category: AgentClass;
  /** m, world frame. */
  readonly x: number;
  readonly y: number;
  /** m, height of its underside; default the ego's ground. */
  readonly bottom?: number;
  /** rad; default 0. */
  readonly yaw?: number;
  /** m: length, width, height; default a car's. */
  readonly size?: readonly [number, number, number];
}

/** A hand-made scene for tests: everything stands still for a few frames. */
export function stillScene(options: {
  readonly ego: { readonly x: number; readonly y: number; readonly z?: number; readonly yaw: number };
  readonly boxes?: readonly StillBox[];
  readonly lanes?: readonly Lane[];
  readonly lines?: readonly MapLine[];
  readonly frames?: number;
}): Scene {
  const { ego, boxes = [], lanes = [], lines = [], frames = 2 } = options;
  const ground = ego.z ?? 0;
  const track = (id: string, category: AgentClass, x: number, y: number, z: number, yaw: number, size: readonly [number, number, number]): Track => ({
    id,
    category,
    sourceCategory: category,
    position: Float64Array.from({ length: frames * 3 }, (_, i) => [x, y, z][i % 3] ?? 0),
    heading: new Float64Array(frames).fill(yaw),
    velocity: new Float64Array(frames * 2),
    valid: new Uint8Array(frames).fill(1),
    length: size[0],
    width: size[1],
    height: size[2],
  });
  return {
    id: "scene-by-hand",
    source: "synthetic",
    drivingSide: "right",
    interval: 0.1,
    timestamps: Float64Array.from({ length: frames }, (_, i) => i * 0.1),
    keyframes: Int32Array.of(0),
    ego: track("ego", "car", ego.x, ego.y, ground, ego.yaw, [4.084, 1.85, 1.56]),
    steering: new Float64Array(frames),
    agents: boxes.map(({ category, x, y, bottom = ground, yaw = 0, size = [4.5, 1.9, 1.6] }, i) =>
      track(`box-${i}`, category, x, y, bottom + size[2] / 2, yaw, size),
    ),
    lines,
    lanes,
    jumps: [],
  };
}

/** A straight lane with a rectangular surface, m; `connector` lanes have no surface of their own. */
export function straightLane(from: readonly [number, number], yaw: number, length: number, width: number, connector = false): Lane {
  const [c, s] = [Math.cos(yaw), Math.sin(yaw)];
  const at = (along: number, left: number): [number, number] => [from[0] + along * c - left * s, from[1] + along * s + left * c];
  const half = width / 2;
  return {
    id: `lane ${from.join(",")}`,
    centerline: Float64Array.of(...at(0, 0), yaw, ...at(length, 0), yaw),
    polygon: connector ? null : Float64Array.of(...at(0, -half), ...at(length, -half), ...at(length, half), ...at(0, half)),
    connector,
    successors: [],
  };
}

/** A map line of a style. */
export function lineOf(style: MapLine["style"], ...points: readonly (readonly [number, number])[]): MapLine {
  const category = style === "crossing" ? "ped_crossing" : style === "edge" ? "boundary" : "divider";
  return { id: style, category, style, points: Float64Array.from(points.flat()) };
}
