import { conv2d, fanInUniform, mul, parameter, relu, reshape, sub, type Tensor, type Variable } from "@distilldrive/tensor";
import { layerNorm, type LayerNorm } from "../layers/norm.js";

/** One stage: 3 x 3 convolution with stride 2, layer norm over channels, ReLU. */
interface ImageStage {
  /** [out, 3, 3, in] */
  readonly weight: Variable;
  /** [out] */
  readonly bias: Variable;
  readonly norm: LayerNorm;
}

/** Encodes images into tokens. */
export interface ImageEncoder {
  /**
   * @param images [B, V, H, W, 3] RGB in [0, 1]
   * @returns [B, V, h, w, D]: one token per 2^stages x 2^stages pixels, sides rounded up
   */
  (images: Tensor): Tensor;
  readonly stages: readonly ImageStage[];
}

/** Side of a token map after `stages` halvings of an image side, px. */
export function tokenSide(pixels: number, stages: number): number {
  return Array.from({ length: stages }).reduce<number>((side) => Math.ceil(side / 2), pixels);
}

/**
 * Small convolutional encoder, shared by all cameras: each stage halves the image's sides. Pixels are centred to
 * [-1, 1]. Stands in for the published ResNet-50 and feature pyramid.
 *
 * @param widths channels after each stage; the last one is D
 */
export function imageEncoder(widths: readonly number[]): ImageEncoder {
  const stages = widths.map((width, index): ImageStage => {
    const before = widths[index - 1] ?? 3;
    return {
      weight: parameter([width, 3, 3, before], { kind: "normal", standardDeviation: Math.sqrt(2 / (9 * before)) }),
      bias: parameter([width], fanInUniform(9 * before)),
      norm: layerNorm(width),
    };
  });
  const apply = (images: Tensor): Tensor => {
    const [lanes, views] = [images.at(0), images.at(1)];
    let x = reshape(images, [lanes * views, ...images.shape.slice(2)]);
    x = sub(mul(x, 2), 1);
    stages.forEach(({ weight, bias, norm }, index) => {
      x = x.graph.scope(`stages.${index}`, () => relu(norm(conv2d(x, weight, bias, { stride: 2, padding: 1 }))));
    });
    return reshape(x, [lanes, views, ...x.shape.slice(1)]);
  };
  return Object.assign(apply, { stages });
}
