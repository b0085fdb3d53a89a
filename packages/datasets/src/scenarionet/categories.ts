import { detectionClass } from "../nuscenes/categories.js";
import type { AgentClass } from "../schema.js";

/** ScenarioNet's coarse types, for sets whose tracks carry no nuScenes category. */
const COARSE: ReadonlyMap<string, AgentClass> = new Map<string, AgentClass>([
  ["VEHICLE", "car"],
  ["CYCLIST", "bicycle"],
  ["PEDESTRIAN", "pedestrian"],
  ["TRAFFIC_CONE", "traffic_cone"],
  ["TRAFFIC_BARRIER", "barrier"],
]);

/**
 * Agent class of a ScenarioNet track.
 * @param type coarse type, e.g. `VEHICLE`
 * @param category fine category of the source, e.g. `vehicle.bus.rigid`
 * @returns null where the class is not one of the ten; such tracks are dropped
 */
export function agentClassOf(type: string, category: string): AgentClass | null {
  const isNuScenes = /^(vehicle|human|movable_object|static_object|animal)(\.|$)/.test(category);
  return isNuScenes ? detectionClass(category) : (COARSE.get(type) ?? null);
}
