import type { ImageSize } from "./camera.js";
import { RenderError } from "./errors.js";
import { BUFFER_USAGE, TEXTURE_USAGE } from "./gpu-flags.js";

/** Pixels an atlas may hold before further samples go to the next one: large batches amortise submits, small ones save memory. */
const BATCH_PIXELS = 1 << 20;

/** How images lie in the atlas: a sample's views fill rows of `columns` tiles. */
export interface AtlasLayout extends ImageSize {
  readonly views: number;
  readonly columns: number;
  readonly rowsPerSample: number;
  /** Most samples in one atlas. */
  readonly capacity: number;
}

/**
 * The layout for images of a size.
 *
 * @throws RenderError when one sample's images do not fit into the device's largest texture
 */
export function layoutAtlas(size: ImageSize, views: number, limits: GPUSupportedLimits): AtlasLayout {
  const { width, height } = size;
  const largest = limits.maxTextureDimension2D;
  const columns = Math.min(views, Math.floor(largest / width));
  const rowsPerSample = Math.ceil(views / Math.max(1, columns));
  const fit = Math.floor(largest / (rowsPerSample * height));
  if (columns < 1 || fit < 1) {
    throw new RenderError(
      `createCameraRenderer: ${views} images of ${width} x ${height} px do not fit, expected at most ${largest} px a texture side. Use smaller images.`,
    );
  }
  const capacity = Math.min(fit, Math.max(1, Math.floor(BATCH_PIXELS / (views * width * height))));
  return { width, height, views, columns, rowsPerSample, capacity };
}

/** Upper left corner of a tile in the atlas, px. */
export function tileOrigin(layout: AtlasLayout, sample: number, view: number): readonly [number, number] {
  const row = sample * layout.rowsPerSample + Math.floor(view / layout.columns);
  return [(view % layout.columns) * layout.width, row * layout.height];
}

/** Textures a batch of samples is drawn into. */
export interface Atlas {
  readonly width: number;
  readonly height: number;
  /** rgba8unorm, one sample a pixel: what is read. */
  readonly color: GPUTexture;
  /** rgba8unorm, multisampled; null without multisampling. */
  readonly multisampled: GPUTexture | null;
  /** Depth that belongs to the colour pass, multisampled like it. */
  readonly colorDepth: GPUTexture;
  /** depth32float at pixel centres: what is read. The same texture as `colorDepth` without multisampling. */
  readonly depth: GPUTexture;
}

/** Creates the textures for `count` samples. */
export function createAtlas(device: GPUDevice, layout: AtlasLayout, count: number, sampleCount: number): Atlas {
  const size = { width: layout.columns * layout.width, height: count * layout.rowsPerSample * layout.height };
  const readable = TEXTURE_USAGE.renderAttachment | TEXTURE_USAGE.copySrc | TEXTURE_USAGE.textureBinding;
  const create = (label: string, format: GPUTextureFormat, samples: number): GPUTexture =>
    device.createTexture({ label, size, format, sampleCount: samples, usage: samples > 1 ? TEXTURE_USAGE.renderAttachment : readable });
  const depth = create("camera depth", "depth32float", 1);
  return {
    ...size,
    color: create("camera colour", "rgba8unorm", 1),
    multisampled: sampleCount > 1 ? create("camera colour, multisampled", "rgba8unorm", sampleCount) : null,
    colorDepth: sampleCount > 1 ? create("camera depth, multisampled", "depth32float", sampleCount) : depth,
    depth,
  };
}

/** A buffer that carries an atlas' texels (4 bytes each) to the CPU. */
export interface Staging {
  readonly buffer: GPUBuffer;
  readonly bytesPerRow: number;
}

/** Creates a staging buffer for an atlas. */
export function createStaging(device: GPUDevice, atlas: Atlas): Staging {
  const bytesPerRow = Math.ceil((atlas.width * 4) / 256) * 256;
  const buffer = device.createBuffer({ label: "camera readback", size: bytesPerRow * atlas.height, usage: BUFFER_USAGE.mapRead | BUFFER_USAGE.copyDst });
  return { buffer, bytesPerRow };
}
