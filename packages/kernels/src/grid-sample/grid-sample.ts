import { counts, declareWithLevels, levelUniforms, slopesWgsl, tapsWgsl } from "../bilinear/levels.js";
import { bilinearScatter } from "../bilinear/scatter.js";
import { flatGrid } from "../flat-grid.js";
import type { Kernel, KernelSequence, KernelTarget, UniformField } from "../kernel.js";
import { laneFor, laneName, laneWidth } from "../lanes.js";
import { rowGrid } from "../row-grid.js";
import { gridMapping, gridSampleBackwardReference, gridSampleReference, gridSamples } from "./reference.js";
import type { GridSampleShape } from "./reference.js";

/** `raw_position(at)`: grid coordinates as pixels; `position(at)`: kept where taps can be found. */
const positionWgsl = `
fn raw_position(at: vec2f) -> vec2f {
  return at * vec2f(params.scale_x, params.scale_y) + 0.5 * (vec2f(params.levels[0].yx) - 1.0);
}
fn position(at: vec2f) -> vec2f {
  return clamp(raw_position(at), vec2f(-params.margin), vec2f(params.levels[0].yx) - 1.0 + params.margin);
}
`;

function mappingUniforms(where: string, shape: GridSampleShape): UniformField[] {
  const { scaleX, scaleY, margin } = gridMapping(where, shape);
  return Object.entries({ scale_x: scaleX, scale_y: scaleY, margin }).map(([name, value]) => ({ name, type: "f32", value }));
}

/**
 * Bilinear sampling of images: x [batch, height, width, channels], grid [batch, samples, 2] = (x, y) with -1 .. 1 across the image
 * -> y [batch, samples, channels]. Padding and alignment as PyTorch's grid_sample.
 * @throws ShapeError on bad sizes
 */
export function gridSample(shape: GridSampleShape, target: KernelTarget): Kernel {
  const { batch, height, width, channels, samples } = shape;
  const mapping = mappingUniforms("gridSample", shape);
  const lane = laneFor(channels);
  const lanes = channels / laneWidth(lane);
  const items = batch * samples * lanes;
  const plan = flatGrid(items, target, "heavy");
  const bindings = [
    { name: "x", access: "read", dtype: "f32", length: batch * height * width * channels },
    { name: "grid", access: "read", dtype: "f32", length: batch * samples * 2 },
    { name: "y", access: "write", dtype: "f32", length: batch * samples * channels },
  ] as const;
  const fields = [...counts({ items, lanes, samples, pixels: height * width }), ...mapping];
  const wgsl =
    declareWithLevels(bindings, fields, { x: lane, grid: "vec2f", y: lane }) +
    tapsWgsl +
    positionWgsl +
    plan.main(`
    let sample = item / params.lanes;
    let t = taps(position(grid[sample]), params.levels[0]);
    let rows = (vec4u(sample / params.samples * params.pixels) + t.pixels) * params.lanes + (item - sample * params.lanes);
    y[item] = t.y.x * (t.x.x * x[rows.x] + t.x.y * x[rows.y]) + t.y.y * (t.x.x * x[rows.z] + t.x.y * x[rows.w]);`);
  return {
    name: `gridSample.${laneName(lane)}`,
    wgsl,
    bindings,
    uniforms: [...levelUniforms([{ height, width }]), ...fields],
    grid: plan.grid,
    cost: { flops: 9 * batch * samples * channels, bytes: 4 * (batch * samples * (5 * channels + 2)) },
    reference: (inputs) => gridSampleReference(shape, inputs),
  };
}

/**
 * Gradient of {@link gridSample} to the positions: x, grid, dy [batch, samples, channels] -> dgrid [batch, samples, 2]; 0 where
 * padding "border" moved the position. At a pixel's centre the slope is the one behind it.
 * @throws ShapeError on bad sizes
 */
export function gridSampleGridBackward(shape: GridSampleShape, target: KernelTarget): Kernel {
  const { batch, height, width, channels, samples } = shape;
  const mapping = mappingUniforms("gridSampleGridBackward", shape);
  const plan = rowGrid(batch * samples, channels, target);
  const bindings = [
    { name: "x", access: "read", dtype: "f32", length: batch * height * width * channels },
    { name: "grid", access: "read", dtype: "f32", length: batch * samples * 2 },
    { name: "dy", access: "read", dtype: "f32", length: batch * samples * channels },
    { name: "dgrid", access: "write", dtype: "f32", length: batch * samples * 2 },
  ] as const;
  const fields = [...plan.uniforms, ...counts({ samples, pixels: height * width }), ...mapping];
  const wgsl =
    declareWithLevels(bindings, fields, { x: plan.lane, grid: "vec2f", dy: plan.lane, dgrid: "vec2f" }) +
    tapsWgsl +
    slopesWgsl +
    positionWgsl +
    plan.main(`
  let at = grid[row];
  let t = taps(position(at), params.levels[0]);
  let rows = (vec4u(row / params.samples * params.pixels) + t.pixels) * params.width;
  var a = ${plan.lane}();
  var b = ${plan.lane}();
  var c = ${plan.lane}();
  var d = ${plan.lane}();
  for (var i = begin; i < end; i += stride) {
    let g = dy[row * params.width + i];
    a += g * x[rows.x + i];
    b += g * x[rows.y + i];
    c += g * x[rows.z + i];
    d += g * x[rows.w + i];
  }
  let slope = slopes(t, vec2f(row_sum(a), row_sum(b)), vec2f(row_sum(c), row_sum(d))) * vec2f(params.scale_x, params.scale_y);
  let raw = raw_position(at);
  let free = (raw > vec2f(-params.margin)) & (raw < vec2f(params.levels[0].yx) - 1.0 + params.margin);
  if (leader) { dgrid[row] = select(vec2f(), slope, free); }`);
  return {
    name: `gridSampleGridBackward.${plan.variant}`,
    wgsl,
    bindings,
    uniforms: [...levelUniforms([{ height, width }]), ...fields],
    grid: plan.grid,
    cost: { flops: 8 * batch * samples * channels, bytes: 4 * (batch * samples * (5 * channels + 4)) },
    reference: (inputs) => ({ dgrid: gridSampleBackwardReference(shape, inputs).dgrid }),
  };
}

/**
 * Gradient of {@link gridSample} to the images: grid, dy [batch, samples, channels] -> dx [batch, height, width, channels], in a
 * fixed order (see {@link bilinearScatter}).
 * @throws ShapeError on bad sizes
 */
export function gridSampleInputBackward(shape: GridSampleShape, target: KernelTarget): KernelSequence {
  const { batch, height, width, channels, samples } = shape;
  const mapping = mappingUniforms("gridSampleInputBackward", shape);
  const sequence = bilinearScatter(
    {
      name: "gridSampleInputBackward",
      levels: [{ height, width }],
      images: batch,
      channels,
      groups: 1,
      weighted: false,
      locations: batch * samples,
      entries: batch * samples,
      owners: batch * samples,
      fields: [...counts({ samples }), ...mapping],
      wgsl: `${positionWgsl}
fn location_of(entry: u32) -> u32 { return entry; }
fn level_of(entry: u32) -> vec4u { return params.levels[0]; }
fn position_of(entry: u32, at: vec2f) -> vec2f { return position(at); }
fn located(entry: u32, at: vec2f) -> bool {
  let p = position(at);
  return all(p > vec2f(-1.0)) && all(p < vec2f(params.levels[0].yx));
}
fn owner_of(entry: u32) -> u32 { return entry; }
fn image_of(entry: u32) -> u32 { return entry / params.samples; }
`,
      ownerOf: (entry) => entry,
      samples: (location) => gridSamples(shape, location),
    },
    target,
  );
  const names: Readonly<Record<string, string>> = { location: "grid", dfeatures: "dx" };
  return { ...sequence, kernels: sequence.kernels.map(({ kernel, bind }) => ({ kernel, bind: Object.fromEntries(Object.entries(bind).map(([name, tensor]) => [name, names[tensor] ?? tensor])) })) };
}
