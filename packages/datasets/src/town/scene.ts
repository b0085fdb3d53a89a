import { wrapAngle } from "../angles.js";
import { DatasetError } from "../errors.js";
import { EGO_SIZE, type Scene, type Track } from "../schema.js";
import { selectArea, type Area } from "./area.js";
import { offsetCurve } from "./curve.js";
import { drawWander, egoState, type EgoState } from "./ego.js";
import { EGO_CENTER, egoModel, KINDS } from "./fleet.js";
import { furnish } from "./furniture.js";
import { drawLanes, drawLines } from "./map-lines.js";
import { mirrorTown } from "./mirror.js";
import { Network, type RoadLane, type TownLane, type Turn } from "./network.js";
import { boxesOverlap } from "./overlap.js";
import { drawRoute, makePath, pathPoint, speedAt, type Path } from "./path.js";
import { crossingMotion, drawCrossing, drawSidewalk, sidewalkMotion } from "./pedestrians.js";
import { makeVehicle, populate, startSpeed } from "./population.js";
import { Random, STREAMS } from "./random.js";
import { TrackRecorder } from "./recorder.js";
import { isTooSharp, StreetGrid } from "./street-grid.js";
import { Traffic } from "./traffic.js";
import { motionOf, TIME_STEP } from "./vehicle.js";

/** What a synthetic scene may be asked to be. */
export interface TownOptions {
  /** Side of the road to drive on; default drawn from the seed, half and half. */
  readonly drivingSide?: "left" | "right";
  /** s, recorded time, 1 to 60, default 20; frames are 0.1 s apart, the first and the last included. */
  readonly duration?: number;
  /** Moving and parked vehicles as a multiple of the usual number, 0.1 to 2, default 1. */
  readonly traffic?: number;
  /** Pedestrians as a multiple of the usual number, 0 to 2, default 1. */
  readonly pedestrians?: number;
}

/** s simulated before the first frame, so that queues and distances have formed. */
const WARM_UP = 3;
/** m from the ego within which agents are recorded. */
const RECORDED_RANGE = 80;
/** Tries with fresh random numbers before giving up. */
const MOST_ATTEMPTS = 40;
/** What an expert may do; a try in which traffic forced more on it is thrown away. */
const COMFORT = { braking: 2.7, acceleration: 2.5, lateral: 3, steering: 0.5 } as const;

interface Settings {
  readonly frames: number;
  readonly traffic: number;
  readonly pedestrians: number;
}

/** Name of the town's scene with a seed: `town-000017`. */
export function townSceneName(seed: number): string {
  return `town-${String(seed).padStart(6, "0")}`;
}

/**
 * Makes one scene of the synthetic town: roads, traffic, people and an expert ego, a pure function of its arguments.
 * @param seed integer, 0 to 2^32 - 1; the scene's id is `town-` and the seed, padded to six digits
 * @throws DatasetError when the seed or an option is out of range
 */
export function generateScene(seed: number, options: TownOptions = {}): Scene {
  if (!Number.isInteger(seed) || seed < 0 || seed > 0xffffffff) {
    throw new DatasetError(`town: seed is not usable, expected an integer from 0 to 4294967295, got ${seed}. Pass another seed.`);
  }
  const settings: Settings = {
    frames: Math.round(inRange("duration", options.duration ?? 20, 1, 60) / TIME_STEP) + 1,
    traffic: inRange("traffic", options.traffic ?? 1, 0.1, 2),
    pedestrians: inRange("pedestrians", options.pedestrians ?? 1, 0, 2),
  };
  const drawn = new Random([seed, 0], STREAMS.scene, 0).chance(0.5) ? "left" : "right";
  for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
    const scene = attemptScene(seed, attempt, settings);
    if (scene !== null) return (options.drivingSide ?? drawn) === "right" ? scene : mirrorTown(scene);
  }
  throw new DatasetError(`town: seed ${seed} gave no scene in ${MOST_ATTEMPTS} tries, expected one. Take another seed or less traffic.`);
}

function inRange(name: string, value: number, low: number, high: number): number {
  if (value >= low && value <= high) return value;
  throw new DatasetError(`town: ${name} is out of range, expected ${low} to ${high}, got ${value}. Change the option.`);
}

/** One try: a scene for driving on the right, or null where it does not meet the standards. */
function attemptScene(seed: number, attempt: number, settings: Settings): Scene | null {
  const key = [seed, attempt] as const;
  const grid = new StreetGrid(key);
  const network = new Network(grid, key);
  const random = new Random(key, STREAMS.route);
  const seconds = (settings.frames - 1) * TIME_STEP + WARM_UP;
  // The manoeuvre is drawn from the seed alone: tries must not shift the mix towards what is easy. Some turns are never
  // reached within the scene, so more are wished for than the half, quarter, quarter that should be seen.
  const turns = ["straight", "left", "right"] as const;
  const wish = turns[new Random([seed, 0], STREAMS.route, 1).weighted([0.36, 0.32, 0.32])] ?? "straight";
  const first = firstLane(grid, network, random, wish);
  if (first === null) return null;

  const model = egoModel(random);
  // Some scenes begin at the stop line, where the ego has waited.
  const waits = random.chance(0.15);
  const away = waits ? random.range(0.5, 3) : random.range(3, 45) + 0.8 * WARM_UP * first.speedLimit;
  const s = Math.max(model.size[0] + 1, first.stopLine - away);
  // A junction that is passed before the recording starts does not count.
  const early = !waits && (first.stopLine - s) / first.speedLimit < WARM_UP + 1;
  const route = drawRoute(network, first, seconds + 12, random, early ? [wish, wish] : [wish], 0, () => true);
  const path = makePath(route, model.driver);
  const speed = waits ? 0 : startSpeed(path, first, s, Infinity, 0) * random.range(0.5, 1);
  const departure = waits ? Math.round((WARM_UP + random.range(-0.5, 4)) / TIME_STEP) : 0;
  const ego = { ...makeVehicle(0, model, path, s, speed), departure };
  const area = selectArea(network, route.filter(isRoadLane), wayPoints(path, s, seconds));
  if (area.roads.some(isTooSharp)) return null;
  const vehicles = populate(key, network, area, ego, seconds + 10, settings.traffic);
  const wander = drawWander(random, model.offset);

  const warmSteps = Math.round(WARM_UP / TIME_STEP);
  const crossings = area.crossings.map((crossing, index) => drawCrossing(
    new Random(key, STREAMS.pedestrian, index, 0),
    crossing,
    warmSteps + settings.frames,
    settings.pedestrians,
  ));
  const traffic = new Traffic(network, vehicles, crossings);
  let frame = 0;
  const recorders = vehicles.slice(1).map((vehicle) => new TrackRecorder(
    `vehicle-${vehicle.id}`, vehicle.model, vehicle.model.size, settings.frames,
    (out) => (vehicle.gone ? null : motionOf(vehicle, out)),
  ));
  for (const state of crossings) {
    for (const [index, person] of state.people.entries()) {
      const id = `${state.crossing.id}-${index}`;
      recorders.push(new TrackRecorder(id, KINDS.pedestrian, person.size, settings.frames, (out) => crossingMotion(state, person, out)));
    }
  }
  recorders.push(...fixedRecorders(key, network, area, settings, () => frame * TIME_STEP));

  const egoStates: EgoState[] = [];
  for (let step = 0; step < warmSteps; step++) traffic.advance();
  for (frame = 0; frame < settings.frames; frame++) {
    if (frame > 0) traffic.advance();
    if (ego.gone) return null;
    egoStates.push(egoState(ego, wander));
    for (const recorder of recorders) recorder.record(frame);
  }
  if (!comfortable(egoStates)) return null;
  const egoTrack = makeEgoTrack(egoStates);
  const agents = recorders.flatMap((recorder) => recorder.finish(egoTrack.position, RECORDED_RANGE) ?? []);
  if (anyOverlap(egoTrack, agents)) return null;
  return {
    id: townSceneName(seed),
    source: "synthetic",
    drivingSide: "right",
    interval: TIME_STEP,
    timestamps: Float64Array.from({ length: settings.frames }, (_, f) => f / 10),
    keyframes: Int32Array.from({ length: Math.floor((settings.frames - 1) / 5) + 1 }, (_, k) => 5 * k),
    ego: egoTrack,
    steering: Float64Array.from(egoStates, (state) => state.steering),
    agents,
    lines: drawLines(network, area),
    lanes: drawLanes(network, area),
    jumps: [],
  };
}

function isRoadLane(lane: TownLane): lane is RoadLane {
  return lane.kind === "road";
}

/** A lane near the middle of the grid from which the wished turn is possible. */
function firstLane(grid: StreetGrid, network: Network, random: Random, wish: Turn): RoadLane | null {
  const lanes: RoadLane[] = [];
  for (let i = 0; i < 2; i++) {
    for (let j = 0; j < 2; j++) {
      if (grid.arms({ i, j }).length < 3) continue;
      for (const connector of network.pathsOf(network.junction({ i, j })).connectors) {
        if (connector.turn === wish && connector.from.curve.length > 35) lanes.push(connector.from);
      }
    }
  }
  return lanes[random.integer(lanes.length)] ?? null;
}

/** Points along the way that the ego can cover in the given time at most, 5 m apart. */
function wayPoints(path: Path, start: number, seconds: number): (readonly [number, number])[] {
  const points: (readonly [number, number])[] = [];
  let next = 0;
  for (let s = start, time = 0; time < seconds; s += 1) {
    if (s >= next) {
      const { x, y } = pathPoint(path, s, 0);
      points.push([x, y]);
      next = s + 5;
    }
    time += 1 / speedAt(path, s);
  }
  return points;
}

/** Recorders of everything that moves on its own or not at all: people on sidewalks, parked vehicles, road works. */
function fixedRecorders(
  key: readonly [number, number],
  network: Network,
  area: Area,
  settings: Settings,
  time: () => number,
): TrackRecorder[] {
  const recorders: TrackRecorder[] = [];
  const duration = (settings.frames - 1) * TIME_STEP;
  area.roads.forEach((road, index) => {
    const from = network.armAt(road, 0).cut;
    const to = road.curve.length - network.armAt(road, 1).cut;
    const between = offsetCurve(road.curve, 0, from, to);
    for (const side of [0, 1] as const) {
      const random = new Random(key, STREAMS.pedestrian, index, 1 + side);
      const distance = side === 0 ? road.halfWidths[0] : -road.halfWidths[1];
      for (const person of drawSidewalk(random, between, distance, duration, settings.pedestrians)) {
        const id = `walker-${index}-${side}-${recorders.length}`;
        recorders.push(new TrackRecorder(id, KINDS.pedestrian, person.size, settings.frames, (out) => sidewalkMotion(person, time(), out)));
      }
    }
    for (const object of furnish(new Random(key, STREAMS.parking, index), network, road, settings.traffic)) {
      const { x, y, yaw } = object;
      recorders.push(new TrackRecorder(`fixed-${index}-${recorders.length}`, object.kind, object.size, settings.frames, (out) => {
        return Object.assign(out, { x, y, yaw, vx: 0, vy: 0 });
      }));
    }
  });
  return recorders;
}

function makeEgoTrack(states: readonly EgoState[]): Track {
  return {
    id: "ego",
    category: "car",
    sourceCategory: "vehicle.car",
    position: Float64Array.from(states.flatMap(({ x, y }) => [x, y, 0])),
    heading: Float64Array.from(states, ({ yaw }) => wrapAngle(yaw)),
    velocity: Float64Array.from(states.flatMap(({ yaw, speed }) => [speed * Math.cos(yaw), speed * Math.sin(yaw)])),
    valid: new Uint8Array(states.length).fill(1),
    length: EGO_SIZE.length,
    width: EGO_SIZE.width,
    height: EGO_SIZE.height,
  };
}

function comfortable(states: readonly EgoState[]): boolean {
  return states.every((state, index) => {
    const next = states[index + 1];
    if (next === undefined) return true;
    const along = (next.speed - state.speed) / TIME_STEP;
    const across = Math.abs(wrapAngle(next.yaw - state.yaw) / TIME_STEP) * state.speed;
    return along > -COMFORT.braking && along < COMFORT.acceleration && across < COMFORT.lateral && Math.abs(state.steering) < COMFORT.steering;
  });
}

/** Whether any two recorded boxes overlap in any frame. */
function anyOverlap(ego: Track, agents: readonly Track[]): boolean {
  const box = (track: Track, frame: number): { x: number; y: number; yaw: number; length: number; width: number } => {
    const yaw = track.heading[frame] as number;
    const forward = track === ego ? EGO_CENTER : 0;
    const x = (track.position[3 * frame] as number) + forward * Math.cos(yaw);
    const y = (track.position[3 * frame + 1] as number) + forward * Math.sin(yaw);
    return { x, y, yaw, length: track.length, width: track.width };
  };
  const tracks = [ego, ...agents];
  for (let frame = 0; frame < ego.valid.length; frame++) {
    const boxes = tracks.filter((track) => track.valid[frame] === 1).map((track) => box(track, frame));
    boxes.sort((a, b) => a.x - b.x);
    for (let i = 0; i < boxes.length; i++) {
      const a = boxes[i];
      for (let j = i + 1; j < boxes.length; j++) {
        const b = boxes[j];
        if (a === undefined || b === undefined || b.x - a.x > 13) break;
        if (boxesOverlap(a, b)) return true;
      }
    }
  }
  return false;
}
