import { wrapAngle } from "../angles.js";
import type { Lane, MapLine, Scene, Track } from "../schema.js";

/** The scene seen in a mirror along the x axis: y, headings and steering change sign, left and right change places. */
export function mirrorTown(scene: Scene): Scene {
  return {
    ...scene,
    drivingSide: scene.drivingSide === "left" ? "right" : "left",
    ego: mirrorTrack(scene.ego),
    steering: scene.steering.map(negate),
    agents: scene.agents.map(mirrorTrack),
    lines: scene.lines.map((line): MapLine => ({ ...line, points: mirrorPoints(line.points, 2) })),
    lanes: scene.lanes.map((lane): Lane => ({
      ...lane,
      centerline: mirrorPoints(lane.centerline, 3),
      polygon: lane.polygon === null ? null : mirrorPoints(lane.polygon, 2),
    })),
  };
}

/** Minus the value, but never minus zero. */
function negate(value: number): number {
  return 0 - value;
}

function mirrorTrack(track: Track): Track {
  return {
    ...track,
    position: track.position.map((value, index) => (index % 3 === 1 ? negate(value) : value)),
    heading: track.heading.map((value) => wrapAngle(negate(value))),
    velocity: track.velocity.map((value, index) => (index % 2 === 1 ? negate(value) : value)),
  };
}

/** @param points [P, width] with x, y first and, where width is 3, yaw last */
function mirrorPoints(points: Float64Array, width: 2 | 3): Float64Array {
  return points.map((value, index) => (index % width === 0 ? value : wrapOrNegate(value, index % width)));
}

function wrapOrNegate(value: number, column: number): number {
  return column === 2 ? wrapAngle(negate(value)) : negate(value);
}
