import { flatGrid } from "../flat-grid.js";
import type { Kernel, KernelTarget } from "../kernel.js";
import { requireSizes } from "../sizes.js";
import { declare } from "../wgsl.js";
import { sineCosineOfTurns } from "../sine-embedding/sine-embedding.js";
import { boxOverlapReference } from "./overlap-reference.js";
import type { OverlapShape } from "./overlap-reference.js";

/**
 * Pairs of oriented boxes on the ground: a [batch, countA, 5], b [batch, countB, 5] = (x, y, length along the heading, width, yaw in
 * radians) -> overlap [batch, countA, countB], 1 where two boxes touch or overlap (no side of either separates them), else 0, and
 * iou [batch, countA, countB], the area they share over the area they cover (box a clipped at the sides of box b). Boxes without
 * area have iou 0. No gradients.
 * @throws ShapeError on bad sizes
 */
export function boxOverlap(shape: OverlapShape, target: KernelTarget): Kernel {
  const { batch, countA, countB } = shape;
  requireSizes("boxOverlap", { batch, countA, countB });
  const items = batch * countA * countB;
  const plan = flatGrid(items, target, "heavy");
  const bindings = [
    { name: "a", access: "read", dtype: "f32", length: batch * countA * 5 },
    { name: "b", access: "read", dtype: "f32", length: batch * countB * 5 },
    { name: "overlap", access: "write", dtype: "f32", length: items },
    { name: "iou", access: "write", dtype: "f32", length: items },
  ] as const;
  const uniforms = [
    { name: "items", type: "u32", value: items },
    { name: "count_a", type: "u32", value: countA },
    { name: "count_b", type: "u32", value: countB },
  ] as const;
  return {
    name: "boxOverlap",
    wgsl:
      declare(bindings, uniforms) +
      sineCosineOfTurns +
      clipWgsl +
      plan.main(`    let row = item / params.count_b;
    let one = row * 5u;
    let other = (row / params.count_a * params.count_b + (item - row * params.count_b)) * 5u;
    let half_a = 0.5 * vec2f(a[one + 2u], a[one + 3u]);
    let half_b = 0.5 * vec2f(b[other + 2u], b[other + 3u]);
    let turns = sine_cosine(vec2f(a[one + 4u], b[other + 4u]) * ${1 / (2 * Math.PI)});
    let away = vec2f(a[one] - b[other], a[one + 1u] - b[other + 1u]);
    // Box a as b sees it: its centre, and its axes.
    let centre = vec2f(away.x * turns.w + away.y * turns.z, away.y * turns.w - away.x * turns.z);
    let c = turns.y * turns.w + turns.x * turns.z;
    let s = turns.x * turns.w - turns.y * turns.z;
    let along = vec2f(c, s) * half_a.x;
    let across = vec2f(-s, c) * half_a.y;
    let reach_b = half_b + abs(along) + abs(across);
    let seen = vec2f(centre.x * c + centre.y * s, centre.y * c - centre.x * s);
    let reach_a = half_a + vec2f(abs(c) * half_b.x + abs(s) * half_b.y, abs(s) * half_b.x + abs(c) * half_b.y);
    let meet = all(abs(centre) <= reach_b) && all(abs(seen) <= reach_a);
    var shared_area = 0.0;
    if (meet) { shared_area = clipped_area(centre, along, across, half_b); }
    let covered = 4.0 * (half_a.x * half_a.y + half_b.x * half_b.y) - shared_area;
    overlap[item] = select(0.0, 1.0, meet);
    iou[item] = select(0.0, shared_area / max(covered, 1e-30), covered > 0.0);`),
    bindings,
    uniforms,
    grid: plan.grid,
    cost: { flops: 200 * items, bytes: 4 * (5 * batch * (countA + countB) + 2 * items) },
    reference: (inputs) => boxOverlapReference(shape, inputs),
  };
}

/** `clipped_area`: area of a box inside |x| <= half.x, |y| <= half.y, by cutting it at one side after another (Sutherland and Hodgman). */
const clipWgsl = `
fn clipped_area(centre: vec2f, along: vec2f, across: vec2f, half: vec2f) -> f32 {
  var polygon: array<vec2f, 8>;
  var count = 4u;
  polygon[0] = centre - along - across;
  polygon[1] = centre + along - across;
  polygon[2] = centre + along + across;
  polygon[3] = centre - along + across;
  for (var side = 0u; side < 4u; side++) {
    let direction = select(1.0, -1.0, (side & 1u) == 1u);
    let normal = select(vec2f(direction, 0.0), vec2f(0.0, direction), side >= 2u);
    let limit = select(half.x, half.y, side >= 2u);
    var kept: array<vec2f, 8>;
    var number = 0u;
    for (var i = 0u; i < count; i++) {
      let here = polygon[i];
      let next = polygon[select(i + 1u, 0u, i + 1u == count)];
      let inside = limit - dot(normal, here);
      let after = limit - dot(normal, next);
      if (inside >= 0.0 && number < 8u) {
        kept[number] = here;
        number++;
      }
      if ((inside >= 0.0) != (after >= 0.0) && number < 8u) {
        kept[number] = here + (next - here) * (inside / (inside - after));
        number++;
      }
    }
    polygon = kept;
    count = number;
  }
  var twice = 0.0;
  for (var i = 0u; i + 2u < count; i++) {
    let p = polygon[i + 1u] - polygon[0];
    let q = polygon[i + 2u] - polygon[0];
    twice += p.x * q.y - p.y * q.x;
  }
  return 0.5 * abs(twice);
}
`;
