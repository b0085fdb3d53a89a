import { flatGrid } from "../flat-grid.js";
import type { Kernel, KernelTarget } from "../kernel.js";
import { requireSizes } from "../sizes.js";
import { declare } from "../wgsl.js";
import { projectPointsBackwardReference, projectPointsReference } from "./reference.js";
import type { ProjectShape } from "./reference.js";

const pieces = ({ batch, points, cameras, minDepth = 1e-5 }: ProjectShape, items: number) => ({
  cameraBindings: [
    { name: "points", access: "read", dtype: "f32", length: batch * points * 3 },
    { name: "projection", access: "read", dtype: "f32", length: batch * cameras * 16 },
    { name: "size", access: "read", dtype: "f32", length: batch * cameras * 2 },
  ] as const,
  uniforms: [
    { name: "items", type: "u32", value: items },
    { name: "points_each", type: "u32", value: points },
    { name: "cameras", type: "u32", value: cameras },
    { name: "min_depth", type: "f32", value: minDepth },
  ] as const,
});

/**
 * Projects points into cameras: points [batch, points, 3] (m), projection [batch, cameras, 4, 4] (points to pixels times depth),
 * size [batch, cameras, 2] = image width and height (pixels) -> location [batch, points, cameras, 2] = (x, y) in an image of width and
 * height 1, as deformable aggregation takes them. A depth below `minDepth` (a point behind the camera) counts as `minDepth`.
 * @throws ShapeError on bad sizes
 */
export function projectPoints(shape: ProjectShape, target: KernelTarget): Kernel {
  const { batch, points, cameras } = shape;
  requireSizes("projectPoints", { batch, points, cameras });
  const items = batch * points * cameras;
  const plan = flatGrid(items, target, "light");
  const { cameraBindings, uniforms } = pieces(shape, items);
  const bindings = [...cameraBindings, { name: "location", access: "write", dtype: "f32", length: items * 2 }] as const;
  return {
    name: "projectPoints",
    wgsl:
      declare(bindings, uniforms, { projection: "vec4f", size: "vec2f", location: "vec2f" }) +
      plan.main(`    let row = item / params.cameras;
    let camera = row / params.points_each * params.cameras + (item - row * params.cameras);
    let p = vec4f(points[3u * row], points[3u * row + 1u], points[3u * row + 2u], 1.0);
    let image = vec2f(dot(projection[4u * camera], p), dot(projection[4u * camera + 1u], p));
    let depth = max(dot(projection[4u * camera + 2u], p), params.min_depth);
    location[item] = image / depth / size[camera];`),
    bindings,
    uniforms,
    grid: plan.grid,
    cost: { flops: 26 * items, bytes: 4 * (batch * points * 3 + batch * cameras * 18 + 2 * items) },
    reference: (inputs) => projectPointsReference(shape, inputs),
  };
}

/**
 * Gradient of {@link projectPoints} to the points: points, projection, size, dlocation [batch, points, cameras, 2]
 * -> dpoints [batch, points, 3], summed over the cameras in order.
 * @throws ShapeError on bad sizes
 */
export function projectPointsBackward(shape: ProjectShape, target: KernelTarget): Kernel {
  const { batch, points, cameras } = shape;
  requireSizes("projectPointsBackward", { batch, points, cameras });
  const items = batch * points;
  const plan = flatGrid(items, target, "heavy");
  const { cameraBindings, uniforms } = pieces(shape, items);
  const bindings = [
    ...cameraBindings,
    { name: "dlocation", access: "read", dtype: "f32", length: items * cameras * 2 },
    { name: "dpoints", access: "write", dtype: "f32", length: items * 3 },
  ] as const;
  return {
    name: "projectPointsBackward",
    wgsl:
      declare(bindings, uniforms, { projection: "vec4f", size: "vec2f", dlocation: "vec2f" }) +
      plan.main(`    let p = vec4f(points[3u * item], points[3u * item + 1u], points[3u * item + 2u], 1.0);
    var total = vec3f();
    for (var number = 0u; number < params.cameras; number++) {
      let camera = item / params.points_each * params.cameras + number;
      let across = projection[4u * camera];
      let down = projection[4u * camera + 1u];
      let away = projection[4u * camera + 2u];
      let raw = dot(away, p);
      let depth = max(raw, params.min_depth);
      let g = dlocation[item * params.cameras + number] / size[camera] / depth;
      let sink = select(0.0, (g.x * dot(across, p) + g.y * dot(down, p)) / depth, raw > params.min_depth);
      total += g.x * across.xyz + g.y * down.xyz - sink * away.xyz;
    }
    dpoints[3u * item] = total.x;
    dpoints[3u * item + 1u] = total.y;
    dpoints[3u * item + 2u] = total.z;`),
    bindings,
    uniforms,
    grid: plan.grid,
    cost: { flops: 45 * items * cameras, bytes: 4 * (6 * items + batch * cameras * 18 + 2 * items * cameras) },
    reference: (inputs) => projectPointsBackwardReference(shape, inputs),
  };
}
