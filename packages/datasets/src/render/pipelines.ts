import { SHADER_STAGE } from "./gpu-flags.js";
import { VERTEX_BYTES } from "./mesh-builder.js";
import { SCENE_WGSL, UNPACK_WGSL } from "./shaders.js";
import { BOX_FLOATS, VIEW_BYTES } from "./view.js";

/** The pipelines of one pass, in drawing order: near things first, so that hidden pixels are not shaded. */
export interface ScenePipelines {
  readonly boxes: GPURenderPipeline;
  readonly map: GPURenderPipeline;
  readonly ground: GPURenderPipeline;
  /** Null in a pass without colour. */
  readonly sky: GPURenderPipeline | null;
}

/** All pipelines of a renderer. */
export interface CameraPipelines {
  /** Binding 0: a view's uniforms, with a dynamic offset. */
  readonly viewLayout: GPUBindGroupLayout;
  readonly color: ScenePipelines;
  /** One sample a pixel, depth only; null where the colour pass yields that depth itself. */
  readonly depth: ScenePipelines | null;
  readonly unpackColor: GPUComputePipeline;
  readonly unpackDepth: GPUComputePipeline;
}

const MAP_BUFFERS: GPUVertexBufferLayout[] = [
  {
    arrayStride: VERTEX_BYTES,
    attributes: [
      { shaderLocation: 0, offset: 0, format: "float32x3" },
      { shaderLocation: 1, offset: 12, format: "unorm8x4" },
    ],
  },
];

const BOX_BUFFERS: GPUVertexBufferLayout[] = [
  {
    arrayStride: BOX_FLOATS * 4,
    stepMode: "instance",
    attributes: [0, 1, 2].map((i) => ({ shaderLocation: i, offset: i * 16, format: "float32x4" as const })),
  },
];

/** Compiles the pipelines for 1 or 4 colour samples a pixel. */
export function createPipelines(device: GPUDevice, samples: number): CameraPipelines {
  const module = device.createShaderModule({ label: "camera scene", code: SCENE_WGSL });
  const viewLayout = device.createBindGroupLayout({
    label: "camera view",
    entries: [
      {
        binding: 0,
        visibility: SHADER_STAGE.vertex | SHADER_STAGE.fragment,
        buffer: { type: "uniform", hasDynamicOffset: true, minBindingSize: VIEW_BYTES },
      },
    ],
  });
  const layout = device.createPipelineLayout({ bindGroupLayouts: [viewLayout] });
  const create = (name: string, count: number, colored: boolean, buffers: GPUVertexBufferLayout[], strip = false): GPURenderPipeline =>
    device.createRenderPipeline({
      label: `camera ${name}`,
      layout,
      vertex: { module, entryPoint: `${name}Vertex`, buffers },
      ...(colored && {
        fragment: { module, entryPoint: `${name === "map" || name === "ground" ? "surface" : name}Fragment`, targets: [{ format: "rgba8unorm" as const }] },
      }),
      // No culling: mirroring reverses the winding, and curbs are single sheets.
      primitive: { topology: strip ? "triangle-strip" : "triangle-list" },
      depthStencil: { format: "depth32float", depthWriteEnabled: name !== "sky", depthCompare: "greater-equal" },
      multisample: { count },
    });
  const pass = (count: number, colored: boolean): ScenePipelines => ({
    boxes: create("box", count, colored, BOX_BUFFERS),
    map: create("map", count, colored, MAP_BUFFERS),
    ground: create("ground", count, colored, [], true),
    sky: colored ? create("sky", count, colored, []) : null,
  });
  const unpack = device.createShaderModule({ label: "camera unpack", code: UNPACK_WGSL });
  const compute = (entryPoint: string): GPUComputePipeline =>
    device.createComputePipeline({ label: `camera ${entryPoint}`, layout: "auto", compute: { module: unpack, entryPoint } });
  return {
    viewLayout,
    color: pass(samples, true),
    depth: samples > 1 ? pass(1, false) : null,
    unpackColor: compute("unpackColor"),
    unpackDepth: compute("unpackDepth"),
  };
}
