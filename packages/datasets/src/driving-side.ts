import { wrapAngle } from "./angles.js";
import type { Lane } from "./schema.js";

/** Places whose traffic side is known by the start of their map names. */
const KNOWN: readonly (readonly [RegExp, "left" | "right"])[] = [
  [/^(singapore|sg-)/i, "left"],
  [/^(boston|us-|las_?vegas|pittsburgh|miami|austin|detroit|palo_?alto|washington|san_?francisco|phoenix)/i, "right"],
];

/**
 * Side of the road traffic keeps to: from the map's name where the place is known, else from the lanes.
 * @param mapName e.g. `singapore-onenorth`; empty when unknown
 */
export function drivingSideOf(mapName: string, lanes: readonly Lane[]): "left" | "right" {
  return KNOWN.find(([name]) => name.test(mapName))?.[1] ?? drivingSideFromLanes(lanes);
}

/** m; an opposite lane is looked for this far to either side. */
const REACH = 7;

/**
 * Votes over all lanes: where the nearest oncoming lane lies to the right, traffic keeps left. Lanes inside junctions
 * do not vote. Without any pair of opposite lanes the answer is "right", the side of most of the world.
 */
export function drivingSideFromLanes(lanes: readonly Lane[]): "left" | "right" {
  const roads = lanes.filter((lane) => !lane.connector).map((lane) => middle(lane.centerline));
  let leftHand = 0;
  let rightHand = 0;
  for (const road of roads) {
    for (const other of roads) {
      if (Math.abs(wrapAngle(other.yaw - road.yaw)) < Math.PI - 0.2) continue;
      const [dx, dy] = [other.x - road.x, other.y - road.y];
      const along = dx * Math.cos(road.yaw) + dy * Math.sin(road.yaw);
      const left = dy * Math.cos(road.yaw) - dx * Math.sin(road.yaw);
      if (Math.abs(along) > REACH || Math.abs(left) > REACH || Math.abs(left) < 1) continue;
      if (left > 0) rightHand++;
      else leftHand++;
    }
  }
  return leftHand > rightHand ? "left" : "right";
}

function middle(centerline: Float64Array): { x: number; y: number; yaw: number } {
  const at = 3 * Math.floor(centerline.length / 6);
  return { x: centerline[at] ?? 0, y: centerline[at + 1] ?? 0, yaw: centerline[at + 2] ?? 0 };
}
