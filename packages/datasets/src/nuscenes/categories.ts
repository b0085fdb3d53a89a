import type { AgentClass } from "../schema.js";

/** The devkit's `category_to_detection_name`. */
const DETECTION: ReadonlyMap<string, AgentClass> = new Map<string, AgentClass>([
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

/**
 * Detection class of a nuScenes category; null for those the ten classes leave out (animals, debris, pushable objects,
 * personal mobility, strollers, wheelchairs, police cars, ambulances, bicycle racks).
 * @param category e.g. `vehicle.bus.rigid`
 */
export function detectionClass(category: string): AgentClass | null {
  return DETECTION.get(category) ?? null;
}
