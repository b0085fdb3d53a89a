import type { ImageSize } from "./camera.js";
import { RenderError } from "./errors.js";
import { BUFFER_USAGE, TEXTURE_USAGE } from "./gpu-flags.js";

/** Pixels of a batch: further samples go to the next one. Large batches amortise submits, small ones save memory. */
const BATCH_PIXELS = 1 << 20;

/**
 * How images lie on the GPU. A sample's views are tiles of one sheet; the sheets of a batch are the layers of an array texture.
 * So the same view is drawn at the same place whatever the batch, and float rounding, hence every byte, is the same too.
 */
export interface SheetLayout extends ImageSize {
  readonly views: number;
  /** Tiles a row. */
  readonly columns: number;
  /** px. */
  readonly sheetWidth: number;
  /** px. */
  readonly sheetHeight: number;
  /** Most samples in one batch. */
  readonly capacity: number;
}

/**
 * The layout for images of a size.
 *
 * @throws RenderError when one sample's images do not fit into the device's largest texture
 */
export function layoutSheets(size: ImageSize, views: number, limits: GPUSupportedLimits): SheetLayout {
  const { width, height } = size;
  const largest = limits.maxTextureDimension2D;
  const columns = Math.min(views, Math.floor(largest / width));
  const rows = Math.ceil(views / Math.max(1, columns));
  if (columns < 1 || rows * height > largest) {
    throw new RenderError(
      `createCameraRenderer: ${views} images of ${width} x ${height} px do not fit, expected at most ${largest} px a texture side. Use smaller images.`,
    );
  }
  const wanted = Math.max(1, Math.floor(BATCH_PIXELS / (views * width * height)));
  const capacity = Math.min(wanted, limits.maxTextureArrayLayers);
  return { width, height, views, columns, sheetWidth: columns * width, sheetHeight: rows * height, capacity };
}

/** Upper left corner of a view's tile in its sheet, px. */
export function tileOrigin(layout: SheetLayout, view: number): readonly [number, number] {
  return [(view % layout.columns) * layout.width, Math.floor(view / layout.columns) * layout.height];
}

/** Textures a batch of samples is drawn into. */
export interface Sheets {
  /** rgba8unorm, a layer a sample: what is read. */
  readonly color: GPUTexture;
  /** depth32float at pixel centres, a layer a sample: what is read. */
  readonly depth: GPUTexture;
  /** What the passes draw into, sample after sample, when multisampled; else null and they draw into the layers. */
  readonly multisampled: { readonly color: GPUTexture; readonly depth: GPUTexture } | null;
}

/** Creates the textures for a batch. */
export function createSheets(device: GPUDevice, layout: SheetLayout, sampleCount: number): Sheets {
  const create = (label: string, format: GPUTextureFormat): GPUTexture =>
    device.createTexture({
      label,
      format,
      size: [layout.sheetWidth, layout.sheetHeight, layout.capacity],
      usage: TEXTURE_USAGE.renderAttachment | TEXTURE_USAGE.copySrc | TEXTURE_USAGE.textureBinding,
    });
  const createMultisampled = (label: string, format: GPUTextureFormat): GPUTexture =>
    device.createTexture({ label, format, size: [layout.sheetWidth, layout.sheetHeight], sampleCount, usage: TEXTURE_USAGE.renderAttachment });
  return {
    color: create("camera colour", "rgba8unorm"),
    depth: create("camera depth", "depth32float"),
    multisampled:
      sampleCount === 1
        ? null
        : { color: createMultisampled("camera colour, multisampled", "rgba8unorm"), depth: createMultisampled("camera depth, multisampled", "depth32float") },
  };
}

/** A buffer that carries a batch' texels (4 bytes each) to the CPU. */
export interface Staging {
  readonly buffer: GPUBuffer;
  readonly bytesPerRow: number;
}

/** Creates a staging buffer for a full batch. */
export function createStaging(device: GPUDevice, layout: SheetLayout): Staging {
  const bytesPerRow = Math.ceil((layout.sheetWidth * 4) / 256) * 256;
  const size = bytesPerRow * layout.sheetHeight * layout.capacity;
  return { buffer: device.createBuffer({ label: "camera readback", size, usage: BUFFER_USAGE.mapRead | BUFFER_USAGE.copyDst }), bytesPerRow };
}
