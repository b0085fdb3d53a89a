import { egoCommand } from "./ego.js";
import { usableFrames } from "./features/build.js";
import { AGENT_CLASSES, COMMANDS, MAP_CLASSES, type AgentClass, type Command, type MapClass, type Scene } from "./schema.js";

/** What is in a scene, for people. */
export interface SceneSummary {
  readonly id: string;
  readonly source: Scene["source"];
  readonly drivingSide: Scene["drivingSide"];
  readonly frames: number;
  /** Frames with original annotations. */
  readonly keyframes: number;
  /** Frames with a whole 3 s future. */
  readonly usableFrames: number;
  /** s */
  readonly duration: number;
  /** Tracks per class; classes without one are left out. */
  readonly agents: Readonly<Partial<Record<AgentClass, number>>>;
  /** m driven by the ego, without jumps. */
  readonly distance: number;
  /** m/s: distance over duration. */
  readonly meanSpeed: number;
  /** m/s over 0.5 s. */
  readonly topSpeed: number;
  /** Usable frames per command. */
  readonly commands: Readonly<Record<Command, number>>;
  /** Frames at which the recorded ego pose jumps. */
  readonly jumps: readonly number[];
  /** Map lines per class; classes without one are left out. */
  readonly lines: Readonly<Partial<Record<MapClass, number>>>;
  readonly lanes: number;
}

/** Summarises a scene. @throws DatasetError when 0.5 s is no whole number of the scene's frames */
export function describeScene(scene: Scene): SceneSummary {
  const frames = scene.timestamps.length;
  const { position, velocity } = scene.ego;
  let distance = 0;
  let topSpeed = 0;
  for (let f = 0; f < frames; f++) {
    topSpeed = Math.max(topSpeed, Math.hypot(velocity[2 * f] ?? 0, velocity[2 * f + 1] ?? 0));
    if (f === 0 || scene.jumps.includes(f)) continue;
    distance += Math.hypot((position[3 * f] ?? 0) - (position[3 * f - 3] ?? 0), (position[3 * f + 1] ?? 0) - (position[3 * f - 2] ?? 0));
  }
  const usable = usableFrames(scene);
  const commands = usable.map((frame) => egoCommand(scene, frame));
  const duration = (scene.timestamps[frames - 1] ?? 0) - (scene.timestamps[0] ?? 0);
  return {
    id: scene.id,
    source: scene.source,
    drivingSide: scene.drivingSide,
    frames,
    keyframes: scene.keyframes.length,
    usableFrames: usable.length,
    duration,
    agents: countBy(AGENT_CLASSES, scene.agents.map((agent) => agent.category)),
    distance,
    meanSpeed: duration > 0 ? distance / duration : 0,
    topSpeed,
    commands: { right: 0, left: 0, straight: 0, ...countBy(COMMANDS, commands) },
    jumps: scene.jumps,
    lines: countBy(MAP_CLASSES, scene.lines.map((line) => line.category)),
    lanes: scene.lanes.length,
  };
}

/** How often each key occurs, in the order of `keys`; absent keys are left out. */
function countBy<K extends string>(keys: readonly K[], found: readonly K[]): Partial<Record<K, number>> {
  const counts: Partial<Record<K, number>> = {};
  for (const key of keys) {
    const count = found.filter((item) => item === key).length;
    if (count > 0) counts[key] = count;
  }
  return counts;
}
