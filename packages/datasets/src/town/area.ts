import type { Crossing, Junction, Network, RoadLane } from "./network.js";
import type { NodeKey, RoadShape } from "./street-grid.js";

/** m around the ego's way within which junctions are built; every road of such a junction comes with it. */
const AREA_MARGIN = 100;

/** The part of a town that a scene needs. */
export interface Area {
  readonly junctions: readonly Junction[];
  readonly roads: readonly RoadShape[];
  readonly crossings: readonly Crossing[];
}

/**
 * Collects the junctions near a way, and all roads that touch them.
 * @param lanes the lanes of the way
 * @param points [x, y] along the way, m
 */
export function selectArea(
  network: Network,
  lanes: readonly RoadLane[],
  points: readonly (readonly [number, number])[],
): Area {
  const junctions = new Map<string, Junction>();
  const roads = new Map<string, RoadShape>();
  const seen = new Set<string>();
  const queue: NodeKey[] = lanes.flatMap((lane) => lane.road.ends.map(({ i, j }) => ({ i, j })));
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const name = `${next.i}_${next.j}`;
    if (seen.has(name)) continue;
    seen.add(name);
    const [x, y] = network.grid.position(next);
    if (!points.some((point) => Math.hypot(point[0] - x, point[1] - y) < AREA_MARGIN)) continue;
    const junction = network.junction(next);
    junctions.set(name, junction);
    for (const arm of junction.arms) {
      roads.set(arm.road.key, arm.road);
      queue.push(...arm.road.ends);
    }
  }
  const crossings = [...roads.values()].flatMap((road) => {
    return ([0, 1] as const).flatMap((end) => network.armAt(road, end).crossing ?? []);
  });
  return { junctions: [...junctions.values()], roads: [...roads.values()], crossings };
}
