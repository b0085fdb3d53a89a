import type { Scene } from "../schema.js";
import type { Camera, ImageSize } from "./camera.js";
import { RenderError } from "./errors.js";

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
 * Refuses options no renderer can be made for.
 *
 * @throws RenderError naming the option
 */
export function checkOptions(size: ImageSize, cameras: readonly Camera[], samples: number, range: number, cachedScenes: number): void {
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
