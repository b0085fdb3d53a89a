import type { AgentClass } from "../schema.js";

/**
 * nuScenes' category of each detection class, as in the devkit's `category_to_detection_name`; categories it leaves
 * out (animals, debris, pushable objects, personal mobility, strollers, wheelchairs, police cars, ambulances, bicycle
 * racks) map to null and are dropped.
 */
const NUSCENES: ReadonlyMap<string, AgentClass> = new Map<string, AgentClass>([
  ["movable_object.barrier", "barrier"],
  ["movable_object.trafficcone", "traffic_cone"],
  ["vehicle.bicycle", "bicycle"],
  ["vehicle.bus.bendy", "bus"],
  ["vehicle.bus.rigid", "bus"],
  ["vehicle.car", "car"],
  ["vehicle.construction", "construction_vehicle"],
  ["vehicle.motorcycle", "motorcycle"],
  ["vehicle.trailer", "trailer"],
  ["vehicle.truck", "truck"],
  ["human.pedestrian.adult", "pedestrian"],
  ["human.pedestrian.child", "pedestrian"],
  ["human.pedestrian.construction_worker", "pedestrian"],
  ["human.pedestrian.police_officer", "pedestrian"],
]);

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
  return (isNuScenes ? NUSCENES.get(category) : COARSE.get(type)) ?? null;
}
