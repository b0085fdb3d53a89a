import { HORIZON, OFF_ROAD, ZENITH, type Rgb } from "./palette.js";
import { NEAR } from "./view.js";

const rgb = (color: Rgb): string => `vec3f(${color.map((channel) => (channel / 255).toFixed(5)).join(", ")})`;

/**
 * Everything that is drawn. Depth is reversed (NEAR / metres). Surfaces of the ground plane share one height; each painting layer is
 * brought nearer by 2e-4 of its depth, more than float32 rounding and less than a centimetre at 50 m.
 */
export const SCENE_WGSL = /* wgsl */ `
struct View {
  clipFromLocal: mat4x4f,
  eye: vec3f,
  range: f32,
  ray: vec3f,
  rayX: vec3f,
  rayY: vec3f,
  ego: vec2f,
}
@group(0) @binding(0) var<uniform> view: View;

const NEAR = ${NEAR};
const HORIZON = ${rgb(HORIZON)};
const ZENITH = ${rgb(ZENITH)};

fn clip(local: vec3f, layer: f32) -> vec4f {
  var position = view.clipFromLocal * vec4f(local, 1);
  position.z = NEAR * (1 + 2e-4 * layer);
  return position;
}

/** Fades a colour into the horizon's with the distance from the eye. */
fn haze(color: vec3f, local: vec3f) -> vec4f {
  let amount = smoothstep(0.4 * view.range, view.range, distance(local.xy, view.eye.xy));
  return vec4f(mix(color, HORIZON, amount), 1);
}

struct Surface {
  @builtin(position) position: vec4f,
  @location(0) local: vec3f,
  @location(1) @interpolate(flat) color: vec3f,
}

@vertex fn mapVertex(@location(0) local: vec3f, @location(1) color: vec4f) -> Surface {
  return Surface(clip(local, round(color.a * 255)), local, color.rgb);
}

@vertex fn groundVertex(@builtin(vertex_index) index: u32) -> Surface {
  let corner = vec2f(f32(index & 1u), f32(index >> 1u)) * 2 - 1;
  let local = vec3f(view.ego + 1000 * corner, 0);
  return Surface(clip(local, 0), local, ${rgb(OFF_ROAD)});
}

@fragment fn surfaceFragment(in: Surface) -> @location(0) vec4f {
  return haze(in.color, in.local);
}

struct Sky {
  @builtin(position) position: vec4f,
  @location(0) ray: vec3f,
}

@vertex fn skyVertex(@builtin(vertex_index) index: u32) -> Sky {
  let corner = vec2f(f32(index & 1u), f32(index >> 1u)) * 4 - 1;
  return Sky(vec4f(corner, 0, 1), view.ray + corner.x * view.rayX + corner.y * view.rayY);
}

@fragment fn skyFragment(in: Sky) -> @location(0) vec4f {
  return vec4f(mix(HORIZON, ZENITH, smoothstep(0.0, 0.45, normalize(in.ray).z)), 1);
}

struct Box {
  @builtin(position) position: vec4f,
  @location(0) local: vec3f,
  @location(1) unit: vec3f,
  @location(2) @interpolate(flat) color: vec3f,
  @location(3) @interpolate(flat) light: f32,
  @location(4) @interpolate(flat) face: u32,
  @location(5) @interpolate(flat) style: u32,
}

// Faces: 0 front, 1 back, 2 left, 3 right, 4 top, 5 bottom.
@vertex fn boxVertex(
  @builtin(vertex_index) index: u32,
  @location(0) centreCos: vec4f,
  @location(1) sinSize: vec4f,
  @location(2) colorStyle: vec4f,
) -> Box {
  let face = index / 6;
  let corner = index % 6;
  let sign = f32(1 - 2 * i32(face & 1u));
  let a = select(-0.5, 0.5, corner == 1 || corner >= 4);
  let b = select(-0.5, 0.5, corner == 2 || corner == 3 || corner == 5);
  var unit = vec3f(0.5 * sign, a, b);
  var normal = vec3f(sign, 0, 0);
  if (face >= 4) {
    unit = vec3f(a, b, 0.5 * sign);
    normal = vec3f(0, 0, sign);
  } else if (face >= 2) {
    unit = vec3f(a, 0.5 * sign, b);
    normal = vec3f(0, sign, 0);
  }
  let c = centreCos.w;
  let s = sinSize.x;
  let p = unit * sinSize.yzw;
  let local = centreCos.xyz + vec3f(c * p.x - s * p.y, s * p.x + c * p.y, p.z);
  // One sun for the whole world, so that mirroring a scene mirrors its light.
  let world = vec3f(c * normal.x - s * normal.y, s * normal.x + c * normal.y, normal.z);
  let light = 0.82 + 0.28 * dot(world, normalize(vec3f(0.5, 0.35, 0.8)));
  return Box(clip(local, 0), local, unit, colorStyle.rgb, light, face, u32(colorStyle.a));
}

fn within(value: f32, low: f32, high: f32) -> bool {
  return value > low && value < high;
}

const GLASS = vec3f(0.10, 0.12, 0.15);
const TYRE = vec3f(0.07, 0.07, 0.08);

fn vehiclePaint(in: Box, windows: bool) -> vec3f {
  let p = in.unit;
  let side = abs(p.y);
  switch in.face {
    case 0: {
      if (windows && within(p.z, 0.08, 0.42) && side < 0.43) { return GLASS; }
      if (within(p.z, -0.2, -0.05) && side > 0.3) { return vec3f(1.0, 0.96, 0.78); }
    }
    case 1: {
      if (windows && within(p.z, 0.16, 0.4) && side < 0.38) { return GLASS * 1.6; }
      if (within(p.z, -0.12, 0.08) && side > 0.28) { return vec3f(0.95, 0.08, 0.08); }
    }
    case 2, 3: {
      if (windows && within(p.z, 0.1, 0.4) && within(p.x, -0.4, 0.36)) { return GLASS * 1.3; }
      if (p.z < -0.26 && within(abs(p.x), 0.22, 0.4)) { return TYRE; }
    }
    default: {}
  }
  return in.color;
}

fn paint(in: Box) -> vec3f {
  let p = in.unit;
  switch in.style {
    case 1: { return vehiclePaint(in, true); }
    case 2: { return vehiclePaint(in, false); }
    case 3: { // two-wheeler: dark below, lamp colours at the ends
      if (in.face == 0 && within(p.z, 0, 0.2)) { return vec3f(1.0, 0.96, 0.78); }
      if (in.face == 1 && within(p.z, -0.2, 0.1)) { return vec3f(0.95, 0.08, 0.08); }
      return select(in.color, TYRE, p.z < -0.15);
    }
    case 4: { // person: head, body, dark legs; the face is light, the back of the head dark
      if (p.z > 0.3) { return select(vec3f(0.28, 0.2, 0.15), vec3f(0.92, 0.75, 0.62), in.face == 0 || in.face == 4); }
      return select(in.color, in.color * 0.45, p.z < -0.1);
    }
    case 5: { return select(in.color, vec3f(0.96), within(p.z, -0.05, 0.2)); }
    case 6: { return select(in.color, vec3f(0.94), fract(p.y * 3 + 0.25) < 0.5); }
    default: { return in.color; }
  }
}

@fragment fn boxFragment(in: Box) -> @location(0) vec4f {
  return haze(min(paint(in) * in.light, vec3f(1)), in.local);
}
`;

/** Copies the tiles of sheets into planar tensors; one invocation a pixel. Binding 1 is the rendered colour, 2 the depth buffer. */
export const UNPACK_WGSL = /* wgsl */ `
struct Layout {
  size: vec2u,
  columns: u32,
  views: u32,
  firstImage: u32,
}
@group(0) @binding(0) var<uniform> sheet: Layout;
@group(0) @binding(1) var colors: texture_2d_array<f32>;
@group(0) @binding(2) var depths: texture_depth_2d_array;
@group(0) @binding(3) var<storage, read_write> color: array<f32>;
@group(0) @binding(4) var<storage, read_write> depth: array<f32>;

/** Position in the sheet of a pixel of image id.z. */
fn texel(id: vec3u) -> vec2u {
  let v = id.z % sheet.views;
  return vec2u(v % sheet.columns, v / sheet.columns) * sheet.size + id.xy;
}

@compute @workgroup_size(64) fn unpackColor(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= sheet.size.x) { return; }
  let value = textureLoad(colors, texel(id), id.z / sheet.views, 0);
  let plane = sheet.size.x * sheet.size.y;
  let first = (sheet.firstImage + id.z) * 3 * plane + id.y * sheet.size.x + id.x;
  color[first] = value.r;
  color[first + plane] = value.g;
  color[first + 2 * plane] = value.b;
}

@compute @workgroup_size(64) fn unpackDepth(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= sheet.size.x) { return; }
  let value = textureLoad(depths, texel(id), id.z / sheet.views, 0);
  let plane = sheet.size.x * sheet.size.y;
  depth[(sheet.firstImage + id.z) * plane + id.y * sheet.size.x + id.x] = select(0.0, ${NEAR} / value, value > 0);
}
`;
