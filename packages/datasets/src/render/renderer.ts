import type { Scene } from "../schema.js";
import { createAtlas, createStaging, layoutAtlas, tileOrigin, type Atlas, type AtlasLayout, type Staging } from "./atlas.js";
import { egoPose, placeBoxes } from "./boxes.js";
import { intrinsicsFor, nuscenesRig, type Camera, type ImageSize } from "./camera.js";
import { RenderError } from "./errors.js";
import { BUFFER_USAGE, MAP_READ } from "./gpu-flags.js";
import type { MeshCell } from "./mesh-builder.js";
import { createPipelines, type CameraPipelines, type ScenePipelines } from "./pipelines.js";
import { SceneCache, type SceneBuffers } from "./scene-cache.js";
import { BOX_FLOATS, NEAR, packView, packVisibleBoxes, VIEW_BYTES, viewOf, visibleCells } from "./view.js";

/** How a renderer draws. */
export interface CameraRendererOptions {
  /** px. */
  readonly width: number;
  /** px. */
  readonly height: number;
  /** Cameras, the order of the images; default {@link nuscenesRig}. */
  readonly cameras?: readonly Camera[];
  /** Colour samples a pixel, 1 or 4; default 4. Depth always has one, at the pixel's centre. */
  readonly samples?: 1 | 4;
  /** m, how far map and agents are visible; haze hides the limit; default 100. */
  readonly range?: number;
  /** Number of scene maps kept on the GPU; default 64. */
  readonly cachedScenes?: number;
}

/** One moment to draw. */
export interface RenderRequest {
  readonly scene: Scene;
  /** Index of the frame. */
  readonly frame: number;
  /** Reflect the scene left to right, as a data augmentation; default false. */
  readonly mirror?: boolean;
}

/** Images on the CPU: N requests (absent for a single one), V cameras, H x W pixels. */
export interface CameraImages {
  /** [N, V, H, W, 3] red, green, blue, 0..255. */
  readonly color: Uint8Array;
  /** [N, V, H, W] m along the optical axis, of what the ray through the pixel's centre meets; 0 is sky. */
  readonly depth: Float32Array;
  readonly views: number;
  readonly width: number;
  readonly height: number;
}

/** Images that stayed on the GPU; the caller owns (and destroys) the buffers. */
export interface CameraBuffers {
  /** float32 [N, V, 3, H, W], 0..1. Usage: storage, copy source. */
  readonly color: GPUBuffer;
  /** float32 [N, V, H, W] m, 0 is sky; null unless asked for. */
  readonly depth: GPUBuffer | null;
  /** [N, V, 3, H, W]. */
  readonly shape: readonly [number, number, number, number, number];
}

/** What to produce. */
export interface RenderOutputs {
  /** Depth too; costs a second pass when `samples` is 4. Default true for {@link CameraRenderer.render}, false otherwise. */
  readonly depth?: boolean;
}

/** Draws scenes as the cameras of a car see them. */
export interface CameraRenderer {
  readonly cameras: readonly Camera[];
  readonly width: number;
  readonly height: number;
  /** [3, 3] row-major px, one a camera: how the images project. */
  readonly intrinsics: readonly Float64Array[];
  /**
   * Draws one moment with all cameras.
   * @returns images with shapes [V, H, W, 3] and [V, H, W]
   * @throws RenderError when the frame does not exist or its ego pose is not valid
   */
  render(scene: Scene, frame: number, options?: { readonly mirror?: boolean } & RenderOutputs): Promise<CameraImages>;
  /**
   * Draws many moments, several samples a submit, reading one batch back while the next is drawn. All requests are checked first.
   * @returns images in the order of the requests; `depth` is empty unless asked for
   * @throws RenderError like {@link render}
   */
  renderMany(requests: readonly RenderRequest[], outputs?: RenderOutputs): Promise<CameraImages>;
  /**
   * Draws many moments and leaves them on the GPU as planar float tensors; nothing is read back.
   * @throws RenderError like {@link render}, or when the tensor exceeds the device's largest storage binding
   */
  renderToBuffers(requests: readonly RenderRequest[], outputs?: RenderOutputs): CameraBuffers;
  /** Frees all GPU memory. */
  destroy(): void;
}

/**
 * A renderer of road scenes: bare ground, lanes, markings, curbs, crossings, agents as boxes with recognisable fronts and
 * backs, sky and haze. The flat map is drawn at the ego's height; see {@link placeBoxes} for the agents'. The same requests give the same
 * bytes on the same adapter.
 *
 * @param device any WebGPU device with default limits or more
 * @param options image size, cameras, quality
 * @throws RenderError when the images do not fit into the device's textures or an option is out of range
 */
export function createCameraRenderer(device: GPUDevice, options: CameraRendererOptions): CameraRenderer {
  return new AtlasRenderer(device, options);
}

/** The commands of one view, collected before the pass is encoded. */
interface ViewDraws {
  readonly tile: readonly [number, number];
  readonly scene: SceneBuffers;
  readonly cells: readonly MeshCell[];
  readonly firstBox: number;
  readonly boxCount: number;
}

class AtlasRenderer implements CameraRenderer {
  readonly cameras: readonly Camera[];
  readonly width: number;
  readonly height: number;
  readonly intrinsics: readonly Float64Array[];
  private readonly range: number;
  private readonly samples: number;
  private readonly layout: AtlasLayout;
  private readonly pipelines: CameraPipelines;
  private readonly scenes: SceneCache;
  private readonly uniforms: GPUBuffer;
  private readonly viewGroup: GPUBindGroup;
  private readonly unpackLayout: GPUBuffer;
  private boxBuffer: GPUBuffer;
  /** One atlas for single samples, one for full batches, made when first needed. */
  private readonly atlases = new Map<number, { atlas: Atlas; idle: Staging[] }>();

  constructor(
    private readonly device: GPUDevice,
    options: CameraRendererOptions,
  ) {
    const { width, height, cameras = nuscenesRig(), samples = 4, range = 100, cachedScenes = 64 } = options;
    checkOptions({ width, height }, cameras, samples, range, cachedScenes);
    this.cameras = cameras;
    this.width = width;
    this.height = height;
    this.intrinsics = cameras.map((camera) => intrinsicsFor(camera, { width, height }));
    this.range = range;
    this.samples = samples;
    this.layout = layoutAtlas({ width, height }, cameras.length, device.limits);
    this.pipelines = createPipelines(device, samples);
    this.scenes = new SceneCache(device, range + 20, cachedScenes);
    this.uniforms = device.createBuffer({
      label: "camera views",
      size: this.layout.capacity * cameras.length * VIEW_BYTES,
      usage: BUFFER_USAGE.uniform | BUFFER_USAGE.copyDst,
    });
    this.viewGroup = device.createBindGroup({
      layout: this.pipelines.viewLayout,
      entries: [{ binding: 0, resource: { buffer: this.uniforms, size: VIEW_BYTES } }],
    });
    this.unpackLayout = device.createBuffer({ label: "camera unpack", size: 32, usage: BUFFER_USAGE.uniform | BUFFER_USAGE.copyDst });
    this.boxBuffer = this.createBoxBuffer(4096);
  }

  async render(scene: Scene, frame: number, options: { readonly mirror?: boolean } & RenderOutputs = {}): Promise<CameraImages> {
    return this.renderMany([{ scene, frame, mirror: options.mirror ?? false }], { depth: options.depth ?? true });
  }

  async renderMany(requests: readonly RenderRequest[], outputs: RenderOutputs = {}): Promise<CameraImages> {
    for (const { scene, frame } of requests) egoPose(scene, frame);
    const { width, height } = this;
    const views = this.cameras.length;
    const depth = outputs.depth ?? false;
    const pixels = requests.length * views * width * height;
    const images = { color: new Uint8Array(pixels * 3), depth: new Float32Array(depth ? pixels : 0), views, width, height };
    let previous = Promise.resolve();
    for (const batch of this.batches(requests)) {
      const reading = this.readBatch(batch.requests, batch.first, images, depth);
      // A failure is reported where the batch is awaited; until then it must not count as unhandled.
      reading.catch(() => undefined);
      // Two batches in flight: the next is encoded and drawn while the last one travels.
      await previous;
      previous = reading;
    }
    await previous;
    return images;
  }

  renderToBuffers(requests: readonly RenderRequest[], outputs: RenderOutputs = {}): CameraBuffers {
    for (const { scene, frame } of requests) egoPose(scene, frame);
    const plane = this.width * this.height;
    const images = requests.length * this.cameras.length;
    const bytes = images * plane * 3 * 4;
    const limit = Math.min(this.device.limits.maxStorageBufferBindingSize, this.device.limits.maxBufferSize);
    if (bytes > limit) {
      throw new RenderError(`renderToBuffers: ${requests.length} samples need ${bytes} bytes, expected at most ${limit}. Ask for fewer at a time.`);
    }
    const create = (label: string, size: number): GPUBuffer =>
      this.device.createBuffer({ label, size: Math.max(4, size), usage: BUFFER_USAGE.storage | BUFFER_USAGE.copySrc });
    const color = create("camera colours", bytes);
    const depth = outputs.depth === true ? create("camera depths", bytes / 3) : null;
    for (const batch of this.batches(requests)) {
      const { encoder, atlas } = this.draw(batch.requests, depth !== null);
      this.unpack(encoder, atlas, batch.requests.length, batch.first, color, depth);
      this.device.queue.submit([encoder.finish()]);
      this.scenes.trim();
    }
    return { color, depth, shape: [requests.length, this.cameras.length, 3, this.height, this.width] };
  }

  destroy(): void {
    this.scenes.clear();
    this.uniforms.destroy();
    this.unpackLayout.destroy();
    this.boxBuffer.destroy();
    for (const { atlas, idle } of this.atlases.values()) {
      for (const texture of [atlas.color, atlas.multisampled, atlas.colorDepth, atlas.depth]) texture?.destroy();
      for (const staging of idle) staging.buffer.destroy();
    }
    this.atlases.clear();
  }

  private *batches(requests: readonly RenderRequest[]): Generator<{ first: number; requests: readonly RenderRequest[] }> {
    const { capacity } = this.layout;
    for (let first = 0; first < requests.length; first += capacity) yield { first, requests: requests.slice(first, first + capacity) };
  }

  /** Draws a batch and copies it into `images` from sample `first` on. */
  private async readBatch(requests: readonly RenderRequest[], first: number, images: CameraImages, withDepth: boolean): Promise<void> {
    const { encoder, atlas, idle } = this.draw(requests, withDepth);
    const color = this.copyOut(encoder, atlas.color, atlas, idle);
    const depth = withDepth ? this.copyOut(encoder, atlas.depth, atlas, idle) : null;
    this.device.queue.submit([encoder.finish()]);
    this.scenes.trim();
    await Promise.all([color.buffer.mapAsync(MAP_READ), depth?.buffer.mapAsync(MAP_READ)]);
    const { views, width, height } = images;
    const texels = new Uint32Array(color.buffer.getMappedRange());
    const depths = depth === null ? null : new Float32Array(depth.buffer.getMappedRange());
    const rowLength = color.bytesPerRow / 4;
    for (let sample = 0; sample < requests.length; sample++) {
      for (let view = 0; view < views; view++) {
        const [x, y] = tileOrigin(this.layout, sample, view);
        const to = ((first + sample) * views + view) * width * height;
        for (let row = 0; row < height; row++) {
          const from = (y + row) * rowLength + x;
          copyColors(texels, from, images.color, (to + row * width) * 3, width);
          if (depths !== null) copyDepths(depths, from, images.depth, to + row * width, width);
        }
      }
    }
    for (const staging of [color, depth]) {
      if (staging === null) continue;
      staging.buffer.unmap();
      idle.push(staging);
    }
  }

  private copyOut(encoder: GPUCommandEncoder, texture: GPUTexture, atlas: Atlas, idle: Staging[]): Staging {
    const staging = idle.pop() ?? createStaging(this.device, atlas);
    encoder.copyTextureToBuffer({ texture }, { buffer: staging.buffer, bytesPerRow: staging.bytesPerRow }, [atlas.width, atlas.height]);
    return staging;
  }

  /** Encodes the passes that draw a batch into an atlas. */
  private draw(requests: readonly RenderRequest[], withDepth: boolean): { encoder: GPUCommandEncoder; atlas: Atlas; idle: Staging[] } {
    const { atlas, idle } = this.atlasFor(requests.length);
    const draws = this.prepare(requests);
    const encoder = this.device.createCommandEncoder({ label: "camera batch" });
    const depthStencilAttachment = (texture: GPUTexture, store: boolean): GPURenderPassDepthStencilAttachment => ({
      view: texture.createView(),
      depthClearValue: 0,
      depthLoadOp: "clear",
      depthStoreOp: store ? "store" : "discard",
    });
    const colorPass = encoder.beginRenderPass({
      label: "camera colour",
      colorAttachments: [
        {
          view: (atlas.multisampled ?? atlas.color).createView(),
          ...(atlas.multisampled && { resolveTarget: atlas.color.createView() }),
          loadOp: "clear",
          storeOp: atlas.multisampled ? "discard" : "store",
        },
      ],
      depthStencilAttachment: depthStencilAttachment(atlas.colorDepth, atlas.multisampled === null),
    });
    this.encodeViews(colorPass, this.pipelines.color, draws);
    colorPass.end();
    if (withDepth && this.pipelines.depth !== null) {
      const depthPass = encoder.beginRenderPass({
        label: "camera depth",
        colorAttachments: [],
        depthStencilAttachment: depthStencilAttachment(atlas.depth, true),
      });
      this.encodeViews(depthPass, this.pipelines.depth, draws);
      depthPass.end();
    }
    return { encoder, atlas, idle };
  }

  /** Computes what every view sees and uploads views and boxes. */
  private prepare(requests: readonly RenderRequest[]): ViewDraws[] {
    const uniforms = new Float32Array((requests.length * this.cameras.length * VIEW_BYTES) / 4);
    const boxes: number[] = [];
    const draws: ViewDraws[] = [];
    requests.forEach(({ scene, frame, mirror = false }, sample) => {
      const ego = egoPose(scene, frame);
      const placed = placeBoxes(scene, frame, this.range);
      const buffers = this.scenes.get(scene);
      const { origin } = buffers.mesh;
      this.cameras.forEach((camera, index) => {
        const view = viewOf(camera, this, ego, origin, mirror);
        packView(view, ego, origin, this.range, uniforms.subarray((draws.length * VIEW_BYTES) / 4));
        const firstBox = boxes.length / BOX_FLOATS;
        const boxCount = packVisibleBoxes(placed, view, origin, boxes);
        const cells = visibleCells(buffers.mesh, view, ego, this.range);
        draws.push({ tile: tileOrigin(this.layout, sample, index), scene: buffers, cells, firstBox, boxCount });
      });
    });
    this.device.queue.writeBuffer(this.uniforms, 0, uniforms);
    const instances = Float32Array.from(boxes);
    if (instances.byteLength > this.boxBuffer.size) {
      this.boxBuffer.destroy();
      this.boxBuffer = this.createBoxBuffer(2 * instances.byteLength);
    }
    this.device.queue.writeBuffer(this.boxBuffer, 0, instances);
    return draws;
  }

  private encodeViews(pass: GPURenderPassEncoder, pipelines: ScenePipelines, draws: readonly ViewDraws[]): void {
    pass.setVertexBuffer(0, this.boxBuffer);
    draws.forEach((draw, index) => {
      const [x, y] = draw.tile;
      pass.setViewport(x, y, this.width, this.height, 0, 1);
      pass.setScissorRect(x, y, this.width, this.height);
      pass.setBindGroup(0, this.viewGroup, [index * VIEW_BYTES]);
      if (draw.boxCount > 0) {
        pass.setPipeline(pipelines.boxes);
        pass.setVertexBuffer(0, this.boxBuffer);
        pass.draw(36, draw.boxCount, 0, draw.firstBox);
      }
      if (draw.cells.length > 0) {
        pass.setPipeline(pipelines.map);
        pass.setVertexBuffer(0, draw.scene.vertices);
        pass.setIndexBuffer(draw.scene.indices, "uint32");
        for (const cell of draw.cells) pass.drawIndexed(cell.indexCount, 1, cell.firstIndex);
      }
      pass.setPipeline(pipelines.ground);
      pass.draw(4);
      if (pipelines.sky !== null) {
        pass.setPipeline(pipelines.sky);
        pass.draw(3);
      }
    });
  }

  private unpack(encoder: GPUCommandEncoder, atlas: Atlas, count: number, first: number, color: GPUBuffer, depth: GPUBuffer | null): void {
    const { views, columns, rowsPerSample } = this.layout;
    this.device.queue.writeBuffer(this.unpackLayout, 0, Uint32Array.of(this.width, this.height, columns, views, rowsPerSample, first * views));
    const pass = encoder.beginComputePass({ label: "camera unpack" });
    const run = (pipeline: GPUComputePipeline, source: GPUBindGroupEntry, target: GPUBindGroupEntry): void => {
      const entries = [{ binding: 0, resource: { buffer: this.unpackLayout } }, source, target];
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, this.device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }));
      pass.dispatchWorkgroups(Math.ceil(this.width / 64), this.height, count * views);
    };
    run(this.pipelines.unpackColor, { binding: 1, resource: atlas.color.createView() }, { binding: 3, resource: { buffer: color } });
    if (depth !== null) run(this.pipelines.unpackDepth, { binding: 2, resource: atlas.depth.createView() }, { binding: 4, resource: { buffer: depth } });
    pass.end();
  }

  private atlasFor(count: number): { atlas: Atlas; idle: Staging[] } {
    const size = count === 1 ? 1 : this.layout.capacity;
    let entry = this.atlases.get(size);
    if (entry === undefined) this.atlases.set(size, (entry = { atlas: createAtlas(this.device, this.layout, size, this.samples), idle: [] }));
    return entry;
  }

  private createBoxBuffer(size: number): GPUBuffer {
    return this.device.createBuffer({ label: "camera boxes", size, usage: BUFFER_USAGE.vertex | BUFFER_USAGE.copyDst });
  }
}

function checkOptions(size: ImageSize, cameras: readonly Camera[], samples: number, range: number, cachedScenes: number): void {
  const refuse = (what: string, expected: string, got: number, fix: string): never => {
    throw new RenderError(`createCameraRenderer: bad ${what}, expected ${expected}, got ${got}. ${fix}`);
  };
  for (const [what, value] of [["width", size.width], ["height", size.height]] as const) {
    if (!Number.isInteger(value) || value < 1) refuse(what, "a positive whole number of pixels", value, "Use e.g. 400 x 225.");
  }
  if (cameras.length === 0) refuse("cameras", "at least one camera", 0, "Leave it out for the nuScenes rig.");
  if (samples !== 1 && samples !== 4) refuse("samples", "1 or 4", samples, "WebGPU supports no other counts.");
  if (!(range > 0 && range < 1000)) refuse("range", "more than 0 and less than 1000 m", range, "100 suits driving.");
  if (!Number.isInteger(cachedScenes) || cachedScenes < 1) refuse("cachedScenes", "a positive whole number", cachedScenes, "64 is plenty.");
}

function copyColors(texels: Uint32Array, from: number, colors: Uint8Array, to: number, count: number): void {
  for (let i = 0; i < count; i++) {
    const texel = texels[from + i] ?? 0;
    colors[to++] = texel & 255;
    colors[to++] = (texel >>> 8) & 255;
    colors[to++] = (texel >>> 16) & 255;
  }
}

function copyDepths(depths: Float32Array, from: number, out: Float32Array, to: number, count: number): void {
  for (let i = 0; i < count; i++) {
    const value = depths[from + i] ?? 0;
    out[to + i] = value > 0 ? NEAR / value : 0;
  }
}
