import type { Scene } from "../schema.js";
import { egoPose, placeBoxes } from "./boxes.js";
import { intrinsicsFor, nuscenesRig, type Camera } from "./camera.js";
import {
  checkOptions,
  type CameraBuffers,
  type CameraImages,
  type CameraRenderer,
  type CameraRendererOptions,
  type RenderOutputs,
  type RenderRequest,
} from "./camera-renderer.js";
import { RenderError } from "./errors.js";
import { BUFFER_USAGE, MAP_READ } from "./gpu-flags.js";
import type { MeshCell } from "./mesh-builder.js";
import { copyColorTiles, copyDepthTiles } from "./readback.js";
import { createPipelines, type CameraPipelines, type ScenePipelines } from "./pipelines.js";
import { SceneCache, type SceneBuffers } from "./scene-cache.js";
import { createSheets, createStaging, layoutSheets, tileOrigin, type SheetLayout, type Sheets, type Staging } from "./sheets.js";
import { BOX_FLOATS, opticsOf, packView, packVisibleBoxes, VIEW_BYTES, viewOf, visibleCells, type CameraOptics } from "./view.js";

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
  return new SheetRenderer(device, options);
}

/** The commands of one view, collected before the pass is encoded. */
interface ViewDraws {
  readonly tile: readonly [number, number];
  readonly scene: SceneBuffers;
  readonly cells: readonly MeshCell[];
  readonly firstBox: number;
  readonly boxCount: number;
}

class SheetRenderer implements CameraRenderer {
  readonly cameras: readonly Camera[];
  readonly width: number;
  readonly height: number;
  readonly intrinsics: readonly Float64Array[];
  private readonly optics: readonly CameraOptics[];
  private readonly range: number;
  private readonly layout: SheetLayout;
  private readonly pipelines: CameraPipelines;
  private readonly scenes: SceneCache;
  private readonly uniforms: GPUBuffer;
  private readonly viewGroup: GPUBindGroup;
  private readonly unpackLayout: GPUBuffer;
  private boxBuffer: GPUBuffer;
  private readonly sheets: Sheets;
  /** Staging buffers that are not being read. */
  private readonly idle: Staging[] = [];

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
    this.optics = cameras.map((camera) => opticsOf(camera, { width, height }));
    this.range = range;
    this.layout = layoutSheets({ width, height }, cameras.length, device.limits);
    this.sheets = createSheets(device, this.layout, samples);
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
      const encoder = this.draw(batch.requests, depth !== null);
      this.unpack(encoder, batch.requests.length, batch.first, color, depth);
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
    const { color, depth, multisampled } = this.sheets;
    for (const texture of [color, depth, multisampled?.color, multisampled?.depth]) texture?.destroy();
    for (const staging of this.idle) staging.buffer.destroy();
  }

  private *batches(requests: readonly RenderRequest[]): Generator<{ first: number; requests: readonly RenderRequest[] }> {
    const { capacity } = this.layout;
    for (let first = 0; first < requests.length; first += capacity) yield { first, requests: requests.slice(first, first + capacity) };
  }

  /** Draws a batch and copies it into `images` from sample `first` on. */
  private async readBatch(requests: readonly RenderRequest[], first: number, images: CameraImages, withDepth: boolean): Promise<void> {
    const encoder = this.draw(requests, withDepth);
    const color = this.copyOut(encoder, this.sheets.color, requests.length);
    const depth = withDepth ? this.copyOut(encoder, this.sheets.depth, requests.length) : null;
    this.device.queue.submit([encoder.finish()]);
    this.scenes.trim();
    await Promise.all([color.buffer.mapAsync(MAP_READ), depth?.buffer.mapAsync(MAP_READ)]);
    const target = { layout: this.layout, count: requests.length, first, rowLength: color.bytesPerRow / 4 };
    copyColorTiles(new Uint32Array(color.buffer.getMappedRange()), images.color, target);
    if (depth !== null) copyDepthTiles(new Float32Array(depth.buffer.getMappedRange()), images.depth, target);
    for (const staging of [color, depth]) {
      if (staging === null) continue;
      staging.buffer.unmap();
      this.idle.push(staging);
    }
  }

  private copyOut(encoder: GPUCommandEncoder, texture: GPUTexture, count: number): Staging {
    const staging = this.idle.pop() ?? createStaging(this.device, this.layout);
    const { sheetWidth, sheetHeight } = this.layout;
    const target = { buffer: staging.buffer, bytesPerRow: staging.bytesPerRow, rowsPerImage: sheetHeight };
    encoder.copyTextureToBuffer({ texture }, target, [sheetWidth, sheetHeight, count]);
    return staging;
  }

  /** Encodes the passes that draw a batch: one a sample, and one more where depth needs its own. */
  private draw(requests: readonly RenderRequest[], withDepth: boolean): GPUCommandEncoder {
    const draws = this.prepare(requests);
    const { color, depth, multisampled } = this.sheets;
    const encoder = this.device.createCommandEncoder({ label: "camera batch" });
    const depthAttachment = (view: GPUTextureView, store: boolean): GPURenderPassDepthStencilAttachment => ({
      view,
      depthClearValue: 0,
      depthLoadOp: "clear",
      depthStoreOp: store ? "store" : "discard",
    });
    for (let sample = 0; sample < requests.length; sample++) {
      const layer = (texture: GPUTexture): GPUTextureView => texture.createView({ dimension: "2d", baseArrayLayer: sample, arrayLayerCount: 1 });
      const target: GPURenderPassColorAttachment =
        multisampled === null
          ? { view: layer(color), loadOp: "clear", storeOp: "store" }
          : { view: multisampled.color.createView(), resolveTarget: layer(color), loadOp: "clear", storeOp: "discard" };
      const colorPass = encoder.beginRenderPass({
        label: "camera colour",
        colorAttachments: [target],
        depthStencilAttachment: multisampled === null ? depthAttachment(layer(depth), true) : depthAttachment(multisampled.depth.createView(), false),
      });
      this.encodeViews(colorPass, this.pipelines.color, draws, sample);
      colorPass.end();
      if (!withDepth || this.pipelines.depth === null) continue;
      const depthPass = encoder.beginRenderPass({ label: "camera depth", colorAttachments: [], depthStencilAttachment: depthAttachment(layer(depth), true) });
      this.encodeViews(depthPass, this.pipelines.depth, draws, sample);
      depthPass.end();
    }
    return encoder;
  }

  /** Computes what every view sees and uploads views and boxes. */
  private prepare(requests: readonly RenderRequest[]): ViewDraws[] {
    const uniforms = new Float32Array((requests.length * this.cameras.length * VIEW_BYTES) / 4);
    const boxes: number[] = [];
    const draws: ViewDraws[] = [];
    for (const { scene, frame, mirror = false } of requests) {
      const ego = egoPose(scene, frame);
      const placed = placeBoxes(scene, frame, this.range);
      const buffers = this.scenes.get(scene);
      const { origin } = buffers.mesh;
      this.optics.forEach((optics, index) => {
        const view = viewOf(optics, ego, origin, mirror);
        packView(view, ego, origin, this.range, uniforms.subarray((draws.length * VIEW_BYTES) / 4));
        const firstBox = boxes.length / BOX_FLOATS;
        const boxCount = packVisibleBoxes(placed, view, origin, boxes);
        const cells = visibleCells(buffers.mesh, view, ego, this.range);
        draws.push({ tile: tileOrigin(this.layout, index), scene: buffers, cells, firstBox, boxCount });
      });
    }
    this.device.queue.writeBuffer(this.uniforms, 0, uniforms);
    const instances = Float32Array.from(boxes);
    if (instances.byteLength > this.boxBuffer.size) {
      this.boxBuffer.destroy();
      this.boxBuffer = this.createBoxBuffer(2 * instances.byteLength);
    }
    this.device.queue.writeBuffer(this.boxBuffer, 0, instances);
    return draws;
  }

  private encodeViews(pass: GPURenderPassEncoder, pipelines: ScenePipelines, draws: readonly ViewDraws[], sample: number): void {
    const first = sample * this.cameras.length;
    draws.slice(first, first + this.cameras.length).forEach((draw, view) => {
      const [x, y] = draw.tile;
      pass.setViewport(x, y, this.width, this.height, 0, 1);
      pass.setScissorRect(x, y, this.width, this.height);
      pass.setBindGroup(0, this.viewGroup, [(first + view) * VIEW_BYTES]);
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

  private unpack(encoder: GPUCommandEncoder, count: number, first: number, color: GPUBuffer, depth: GPUBuffer | null): void {
    const { views, columns } = this.layout;
    this.device.queue.writeBuffer(this.unpackLayout, 0, Uint32Array.of(this.width, this.height, columns, views, first * views));
    const pass = encoder.beginComputePass({ label: "camera unpack" });
    const run = (pipeline: GPUComputePipeline, source: GPUBindGroupEntry, target: GPUBindGroupEntry): void => {
      const entries = [{ binding: 0, resource: { buffer: this.unpackLayout } }, source, target];
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, this.device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }));
      pass.dispatchWorkgroups(Math.ceil(this.width / 64), this.height, count * views);
    };
    run(this.pipelines.unpackColor, { binding: 1, resource: this.sheets.color.createView({ dimension: "2d-array" }) }, { binding: 3, resource: { buffer: color } });
    if (depth !== null) run(this.pipelines.unpackDepth, { binding: 2, resource: this.sheets.depth.createView({ dimension: "2d-array" }) }, { binding: 4, resource: { buffer: depth } });
    pass.end();
  }

  private createBoxBuffer(size: number): GPUBuffer {
    return this.device.createBuffer({ label: "camera boxes", size, usage: BUFFER_USAGE.vertex | BUFFER_USAGE.copyDst });
  }
}
