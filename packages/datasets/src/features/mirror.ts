import { wrapAngle } from "../angles.js";
import type { Scene, Track } from "../schema.js";
import type { Sample } from "./sample.js";

/** Entries of egoStatus that change sign: lateral acceleration, roll and yaw rate, lateral velocity, steering. */
const LATERAL_STATUS = [1, 3, 5, 7, 9];

/**
 * The sample a mirrored world would give (x negated in the model frame): right becomes left everywhere, in positions,
 * yaw, motion, status, steering, command and driving side. Mirroring twice gives the sample back.
 */
export function mirrorSample(sample: Sample): Sample {
  return {
    ...sample,
    boxes: mirrorYaw(negate(sample.boxes, 9, [0, 7]), sample.agentMask, 9, 6),
    futureDisplacement: negate(sample.futureDisplacement, 2, [0]),
    pastDisplacement: negate(sample.pastDisplacement, 2, [0]),
    lines: negate(sample.lines, 2, [0]),
    egoStatus: negate(sample.egoStatus, 10, LATERAL_STATUS),
    command: sample.command === 2 ? 2 : 1 - sample.command,
    egoFuture: negate(sample.egoFuture, 2, [0]),
    egoPast: negate(sample.egoPast, 2, [0]),
    // Mirrored world x world-from-model x mirrored model: entries change sign where exactly one of the two does.
    worldFromModel: sample.worldFromModel.map((v, i) => ((i >> 2 === 1) !== (i % 4 === 0) ? 0 - v : v)),
    futureObstacles: sample.futureObstacles.map((boxes) => mirrorYaw(negate(boxes, 5, [0]), null, 5, 4)),
    drivingSide: otherSide(sample.drivingSide),
    mirrored: !sample.mirrored,
  };
}

/**
 * The scene a mirrored world would give (world y negated). Its features equal the mirrored features of the scene; the
 * renderer needs it for mirrored cameras. Mirroring twice gives the scene back, without photographs.
 */
export function mirrorScene(scene: Scene): Scene {
  const track = (source: Track): Track => ({
    ...source,
    position: negate(source.position, 3, [1]),
    heading: source.heading.map(mirrorHeading),
    velocity: negate(source.velocity, 2, [1]),
  });
  // Photographs cannot be mirrored here: a mirrored scene has none.
  const { cameras: _, egoStatus, ...rest } = scene;
  return {
    ...rest,
    ...(egoStatus === undefined ? {} : { egoStatus: negate(egoStatus, 10, LATERAL_STATUS) }),
    drivingSide: otherSide(scene.drivingSide),
    ego: track(scene.ego),
    steering: negate(scene.steering, 1, [0]),
    agents: scene.agents.map(track),
    lines: scene.lines.map((line) => ({ ...line, points: negate(line.points, 2, [1]) })),
    lanes: scene.lanes.map((lane) => ({
      ...lane,
      centerline: lane.centerline.map((v, i) => (i % 3 === 0 ? v : i % 3 === 1 ? 0 - v : mirrorHeading(v))),
      polygon: lane.polygon === null ? null : negate(lane.polygon, 2, [1]),
    })),
  };
}

const otherSide = (side: Scene["drivingSide"]): Scene["drivingSide"] => (side === "left" ? "right" : "left");

/** -pi is written as pi. */
const mirrorHeading = (heading: number): number => (heading === Math.PI ? heading : 0 - heading);

/** A copy with the given columns of each row negated (0 - v, so that zeros stay positive). */
function negate<A extends Float32Array | Float64Array>(values: A, width: number, columns: readonly number[]): A {
  const out = values.slice() as A;
  for (let row = 0; row < out.length; row += width) {
    for (const column of columns) out[row + column] = 0 - (out[row + column] ?? 0);
  }
  return out;
}

/** Mirrors the yaw column about the forward axis in place, in the rows the mask marks (all without a mask). */
function mirrorYaw<A extends Float32Array | Float64Array>(boxes: A, mask: Float32Array | null, width: number, column: number): A {
  for (let row = 0; row < boxes.length / width; row++) {
    if (mask !== null && mask[row] === 0) continue;
    boxes[row * width + column] = wrapAngle(Math.PI - (boxes[row * width + column] ?? 0));
  }
  return boxes;
}
