import {
  abs,
  add,
  boxOverlap,
  broadcastTo,
  concat,
  cos,
  cumsum,
  div,
  expandDims,
  greater,
  less,
  max,
  maximum,
  minimum,
  mul,
  permute,
  reshape,
  sin,
  slice,
  sqrt,
  square,
  sub,
  sum,
  type Tensor,
  where,
} from "@distilldrive/tensor";
import type { RewardScene } from "./reward-scene.js";

/** m: the ego vehicle, and how far its centre lies ahead of the model frame's origin. */
const EGO = { length: 4.084, width: 1.85, centreAhead: 0.5 } as const;
/** m; a path that ends closer to its start keeps the present heading. */
const STANDING = 0.5;

/**
 * 1 where the ego vehicle, driven along the predicted path, meets no agent, 0 where it does (paper). Both are oriented
 * boxes at every step; the agents move along their true futures and do not count from their first unknown step on.
 *
 * @returns [B]; ones without agents
 */
export function collisionReward({ path, agents }: RewardScene): Tensor {
  const { graph } = path;
  const [lanes, steps] = [path.at(0), path.at(1)];
  if (!agents) return graph.constant(new Float32Array(lanes).fill(1), [lanes]);
  const count = agents.box.at(1);
  const ego = { positions: cumsum(path, 1), start: graph.constant([0, 0], [1, 1, 2]) };
  const egoYaw = yawAlong(ego.positions, ego.start, graph.constant([Math.PI / 2], [1, 1, 1]));
  const ahead = mul(concat([cos(egoYaw), sin(egoYaw)], -1), EGO.centreAhead);
  const size = broadcastTo(graph.constant([EGO.length, EGO.width], [1, 1, 2]), [lanes, steps, 2]);
  const egoBoxes = concat([add(ego.positions, ahead), size, egoYaw], -1);

  const rows = lanes * count;
  const column = (from: number, to: number): Tensor => reshape(slice(agents.box, -1, from, to), [rows, 1, to - from]);
  const known = cumsum(sub(1, slice(agents.mask, 2, 0, steps)), 2);
  const visible = less(known, 0.5);
  const displacement = mul(slice(agents.displacement, 2, 0, steps), expandDims(visible, -1));
  const positions = add(column(0, 2), cumsum(reshape(displacement, [rows, steps, 2]), 1));
  const yaw = yawAlong(positions, column(0, 2), column(6, 7));
  const boxes = concat([positions, broadcastTo(column(3, 5), [rows, steps, 2]), yaw], -1);

  // A step of the plan meets the agents of that step only: steps become rows.
  const ofStep = permute(reshape(boxes, [lanes, count, steps, 5]), [0, 2, 1, 3]);
  const { overlap } = boxOverlap(reshape(egoBoxes, [lanes * steps, 1, 5]), reshape(ofStep, [lanes * steps, count, 5]));
  const met = mul(reshape(overlap, [lanes, steps, count]), permute(visible, [0, 2, 1]));
  return sub(1, max(reshape(met, [lanes, steps * count]), { axis: 1 }));
}

/**
 * Headings along paths: central differences, the last by a backward difference; a path that hardly moves keeps its
 * first heading.
 *
 * @param positions [R, T, 2] m
 * @param start [R or 1, 1, 2] m, before the first step
 * @param yaw [R or 1, 1, 1] rad, at the start
 * @returns [R, T, 1] rad
 */
function yawAlong(positions: Tensor, start: Tensor, yaw: Tensor): Tensor {
  const [rows, steps] = [positions.at(0), positions.at(1)];
  const last = slice(positions, 1, steps - 1, steps);
  const before = concat([broadcastTo(start, [rows, 1, 2]), slice(positions, 1, 0, steps - 1)], 1);
  const after = concat([slice(positions, 1, 1, steps), last], 1);
  const way = sub(after, before);
  const far = sqrt(sum(square(sub(last, start)), { axes: [2], keepDims: true }));
  return where(less(far, STANDING), yaw, arcTangent(slice(way, 2, 1, 2), slice(way, 2, 0, 1)));
}

/** Of (arctan x) / x in powers of x^2 on [0, 1], to 2e-8 (Abramowitz and Stegun, 4.4.49). */
const ARC_TANGENT = [1, -0.3333314528, 0.1999355085, -0.1420889944, 0.1065626393, -0.07528964, 0.0429096138, -0.0161657367, 0.0028662257] as const;

/** Angle of (x, y) in [-pi, pi], to 1e-7 rad; 0 for the origin. */
function arcTangent(y: Tensor, x: Tensor): Tensor {
  const [across, along] = [abs(y), abs(x)];
  const ratio = div(minimum(across, along), maximum(maximum(across, along), 1e-12));
  const squared = square(ratio);
  const series = ARC_TANGENT.slice(0, -1).reduceRight<Tensor>((sumSoFar, factor) => add(mul(sumSoFar, squared), factor), squared.graph.literal(ARC_TANGENT[8]));
  const angle = mul(ratio, series);
  const steep = where(greater(across, along), sub(Math.PI / 2, angle), angle);
  const facing = where(less(x, 0), sub(Math.PI, steep), steep);
  return where(less(y, 0), mul(facing, -1), facing);
}
