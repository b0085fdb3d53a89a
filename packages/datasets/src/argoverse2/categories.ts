import type { AgentClass } from "../schema.js";

/**
 * Argoverse 2's categories as the ten classes. Riders (BICYCLIST, MOTORCYCLIST, WHEELED_RIDER) are left out because the
 * bicycle they sit on has a box of its own; animals, strollers, wheelchairs, signs, bollards and trams have no class.
 */
const CLASSES: ReadonlyMap<string, AgentClass> = new Map<string, AgentClass>([
  ["REGULAR_VEHICLE", "car"],
  ["LARGE_VEHICLE", "truck"],
  ["BOX_TRUCK", "truck"],
  ["TRUCK", "truck"],
  ["TRUCK_CAB", "truck"],
  ["VEHICULAR_TRAILER", "trailer"],
  ["MESSAGE_BOARD_TRAILER", "trailer"],
  ["TRAFFIC_LIGHT_TRAILER", "trailer"],
  ["BUS", "bus"],
  ["SCHOOL_BUS", "bus"],
  ["ARTICULATED_BUS", "bus"],
  ["MOTORCYCLE", "motorcycle"],
  ["BICYCLE", "bicycle"],
  ["PEDESTRIAN", "pedestrian"],
  ["OFFICIAL_SIGNALER", "pedestrian"],
  ["CONSTRUCTION_CONE", "traffic_cone"],
  ["CONSTRUCTION_BARREL", "traffic_cone"],
]);

/** Agent class of an Argoverse 2 category; null for those without one. */
export function argoverseClass(category: string): AgentClass | null {
  return CLASSES.get(category) ?? null;
}
