import { encode } from "fast-png";
import type { Camera } from "./camera.js";
import { RenderError } from "./errors.js";
import type { CameraImages } from "./camera-renderer.js";

/** Where each camera of the rig goes: two rows, left, middle, right. */
const PLACES: Readonly<Record<string, readonly [number, number]>> = {
  CAM_FRONT_LEFT: [0, 0],
  CAM_FRONT: [1, 0],
  CAM_FRONT_RIGHT: [2, 0],
  CAM_BACK_LEFT: [0, 1],
  CAM_BACK: [1, 1],
  CAM_BACK_RIGHT: [2, 1],
};

/** Pixels between the pictures. */
const GAP = 2;

/**
 * A PNG of one sample's images: front left, front, front right above back left, back, back right. Cameras with other names are laid out
 * in their order, three a row.
 *
 * @param images images of one or more samples
 * @param cameras the cameras they were drawn with
 * @param sample which of the samples
 * @returns the PNG file's bytes
 * @throws RenderError when there is no such sample
 */
export function cameraStrip(images: Pick<CameraImages, "color" | "width" | "height">, cameras: readonly Camera[], sample = 0): Uint8Array {
  const { color, width, height } = images;
  const bytes = width * height * 3;
  const samples = color.length / (bytes * cameras.length);
  if (!(sample < samples)) {
    throw new RenderError(`cameraStrip: no sample ${sample}, expected 0..${Math.floor(samples) - 1}, got images of ${samples} samples. Pass the images of these cameras.`);
  }
  const named = cameras.every((camera) => camera.name in PLACES);
  const columns = named ? 3 : Math.min(3, cameras.length);
  const rows = named ? 2 : Math.ceil(cameras.length / 3);
  const stripWidth = columns * (width + GAP) - GAP;
  const stripHeight = rows * (height + GAP) - GAP;
  const strip = new Uint8Array(stripWidth * stripHeight * 3).fill(255);
  cameras.forEach((camera, view) => {
    const [column, row] = (named ? PLACES[camera.name] : undefined) ?? [view % 3, Math.floor(view / 3)];
    for (let y = 0; y < height; y++) {
      const from = (sample * cameras.length + view) * bytes + y * width * 3;
      const to = ((row * (height + GAP) + y) * stripWidth + column * (width + GAP)) * 3;
      strip.set(color.subarray(from, from + width * 3), to);
    }
  });
  return encode({ width: stripWidth, height: stripHeight, data: strip, channels: 3, depth: 8 });
}
