import { createCameraRenderer, intrinsicsFor, nuscenesRig, type Scene, type StreamBatch } from "@distilldrive/datasets";
import type { MoreInputs } from "@distilldrive/training";
import type { StudentConfig } from "./config.js";
import type { RigCamera } from "./image-position.js";

/** The cameras of the student's images, in their order, at the resolution of its config. */
export function studentRig({ image }: Pick<StudentConfig, "image">): RigCamera[] {
  return nuscenesRig().map((camera) => ({ intrinsics: intrinsicsFor(camera, image), cameraFromEgo: camera.cameraFromEgo }));
}

/** Renders the images a batch needs, and remembers them. */
export interface CameraImageSource {
  /** Graph input `images` [B, V, H, W, 3] in [0, 1] of a batch; lanes without a sample are black. */
  readonly inputs: MoreInputs;
  /** Bytes of remembered images. */
  readonly bytes: () => number;
  destroy(): void;
}

/**
 * Camera images of samples, rendered on a device the first time they are asked for. Mirrored samples reuse the images of
 * the others, flipped, with left and right cameras swapped.
 * @param scenes every scene the batches may show
 */
export function cameraImages(device: GPUDevice, { image }: Pick<StudentConfig, "image">, scenes: readonly Scene[]): CameraImageSource {
  const renderer = createCameraRenderer(device, image);
  const byName = new Map(scenes.map((scene) => [scene.id, scene]));
  const views = renderer.cameras.length;
  const viewBytes = image.width * image.height * 3;
  const swapped = swappedViews(renderer.cameras.map(({ name }) => name));
  const cache = new Map<string, Uint8Array>();
  const keyOf = (scene: string, frame: number): string => `${scene}/${frame}`;

  const renderMissing = async (batch: StreamBatch): Promise<void> => {
    const missing = new Map<string, { scene: Scene; frame: number }>();
    for (const sample of batch.samples) {
      const scene = sample && byName.get(sample.scene);
      if (scene && !cache.has(keyOf(scene.id, sample.frame))) missing.set(keyOf(scene.id, sample.frame), { scene, frame: sample.frame });
    }
    if (missing.size === 0) return;
    const { color } = await renderer.renderMany([...missing.values()]);
    [...missing.keys()].forEach((key, i) => cache.set(key, color.slice(i * views * viewBytes, (i + 1) * views * viewBytes)));
  };

  return {
    inputs: async (batch) => {
      await renderMissing(batch);
      const images = new Float32Array(batch.samples.length * views * viewBytes);
      batch.samples.forEach((sample, lane) => {
        const pixels = sample ? cache.get(keyOf(sample.scene, sample.frame)) : undefined;
        if (!pixels || !sample) return;
        const target = images.subarray(lane * views * viewBytes, (lane + 1) * views * viewBytes);
        if (sample.mirrored) writeFlipped(target, pixels, image.width, viewBytes, swapped);
        else for (let i = 0; i < target.length; i++) target[i] = (pixels[i] ?? 0) / 255;
      });
      return { images };
    },
    bytes: () => cache.size * views * viewBytes,
    destroy: () => {
      renderer.destroy();
    },
  };
}

/** For each view the view that shows its mirror image: left and right cameras swap. */
function swappedViews(names: readonly string[]): number[] {
  return names.map((name, view) => {
    const other = name.includes("LEFT") ? name.replace("LEFT", "RIGHT") : name.replace("RIGHT", "LEFT");
    const index = names.indexOf(other);
    return index < 0 ? view : index;
  });
}

/** Pixels of a mirrored car: every row reversed, views swapped, scaled to [0, 1]. */
function writeFlipped(target: Float32Array, pixels: Uint8Array, width: number, viewBytes: number, swapped: readonly number[]): void {
  swapped.forEach((from, view) => {
    for (let row = 0; row < viewBytes; row += 3 * width) {
      for (let x = 0; x < width; x++) {
        const source = from * viewBytes + row + 3 * (width - 1 - x);
        const to = view * viewBytes + row + 3 * x;
        for (let channel = 0; channel < 3; channel++) target[to + channel] = (pixels[source + channel] ?? 0) / 255;
      }
    }
  });
}
