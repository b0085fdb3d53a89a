import { wrapAngle } from "./angles.js";
import { halfSecondVelocity, steeringFromPath } from "./motion.js";
import { EGO_SIZE, type AgentClass, type Scene, type Track } from "./schema.js";

/** A car driving on a circle of the given curvature. */
function drive(id: string, category: AgentClass, frames: number, start: { x: number; y: number; yaw: number; speed: number; curvature: number }, valid: (frame: number) => boolean): Track {
  const position = new Float64Array(3 * frames);
  const heading = new Float64Array(frames);
  const exists = Uint8Array.from({ length: frames }, (_, f) => (valid(f) ? 1 : 0));
  for (let f = 0; f < frames; f++) {
    if (exists[f] === 0) continue;
    const s = 0.1 * f * start.speed;
    const turned = s * start.curvature;
    const [along, across] = Math.abs(start.curvature) < 1e-9 ? [s, 0] : [Math.sin(turned) / start.curvature, (1 - Math.cos(turned)) / start.curvature];
    position[3 * f] = start.x + along * Math.cos(start.yaw) - across * Math.sin(start.yaw);
    position[3 * f + 1] = start.y + along * Math.sin(start.yaw) + across * Math.cos(start.yaw);
    position[3 * f + 2] = category === "car" && id === "ego" ? 0 : 0.8;
    heading[f] = wrapAngle(start.yaw + turned);
  }
  const velocity = halfSecondVelocity(position, exists, 0.1, []);
  return { id, category, sourceCategory: category, position, heading, velocity, valid: exists, length: 4.5, width: 1.9, height: 1.6 };
}

/**
 * A small hand-made scene for tests: 10 Hz, an ego on an arc, agents that come and go, a kilometre of divider, a closed
 * edge, a crossing.
 */
export function fixtureScene(options: { id?: string; frames?: number; speed?: number; curvature?: number; jumps?: readonly number[] } = {}): Scene {
  const { id = "fixture-0", frames = 120, speed = 6, curvature = 0.03, jumps = [] } = options;
  const ego = { ...drive("ego", "car", frames, { x: 50, y: 20, yaw: 2.8, speed, curvature }, () => true), ...EGO_SIZE };
  const agents = [
    drive("ahead", "car", frames, { x: 38, y: 25, yaw: 2.9, speed: 5, curvature: 0.02 }, () => true),
    drive("bus", "bus", frames, { x: 60, y: 25, yaw: -0.4, speed: 2, curvature: 0 }, (f) => f >= 13 && f < 77),
    drive("walker", "pedestrian", frames, { x: 45, y: 10, yaw: 1.5, speed: 1.2, curvature: 0.2 }, (f) => f < 90 && f !== 41),
    drive("cone", "traffic_cone", frames, { x: 40, y: 18, yaw: 0, speed: 0, curvature: 0 }, () => true),
    drive("far", "truck", frames, { x: 200, y: 200, yaw: 0, speed: 3, curvature: 0 }, () => true),
  ];
  const circle = (x: number, y: number, radius: number, count: number): Float64Array =>
    Float64Array.from({ length: 2 * (count + 1) }, (_, i) => {
      const angle = (2 * Math.PI * (Math.floor(i / 2) % count)) / count;
      return i % 2 === 0 ? x + radius * Math.cos(angle) : y + radius * Math.sin(angle);
    });
  const timestamps = Float64Array.from({ length: frames }, (_, f) => 0.1 * f);
  return {
    id,
    source: "synthetic",
    drivingSide: "right",
    interval: 0.1,
    timestamps,
    keyframes: Int32Array.from({ length: Math.ceil(frames / 5) }, (_, k) => 5 * k),
    ego,
    steering: steeringFromPath(ego.position, ego.heading, 0.1, jumps),
    agents,
    lines: [
      { id: "long", category: "divider", style: "broken_white", points: Float64Array.from({ length: 1200 }, (_, i) => (i % 2 === 0 ? -500 + i : 22 + 0.1 * Math.sin(i))) },
      { id: "ring", category: "boundary", style: "edge", points: circle(30, 20, 28, 64) },
      { id: "island", category: "boundary", style: "edge", points: circle(45, 25, 3, 12) },
      { id: "zebra", category: "ped_crossing", style: "crossing", points: circle(33, 27, 4, 4) },
    ],
    lanes: [
      { id: "a", centerline: Float64Array.of(0, 0, 0, 10, 0, 0), polygon: Float64Array.of(0, -2, 10, -2, 10, 2), connector: false, successors: ["b"] },
      { id: "b", centerline: Float64Array.of(10, 0, 0, 20, 1, Math.PI), polygon: null, connector: true, successors: [] },
    ],
    jumps,
  };
}
