import { clamp, fanInUniform, linear as linearOp, parameter, relu, reshape, slice, type Tensor, type Variable } from "@distilldrive/tensor";

/** A diagonal Gaussian per instance. */
export interface Gaussian {
  /** [B, N, latent] */
  readonly mu: Tensor;
  /** [B, N, latent], within [-5, 5]. */
  readonly logSigma: Tensor;
}

/** Configuration of a {@link distributionModule}. */
export interface DistributionConfig {
  /** Channels of an instance. */
  readonly inChannels: number;
  /** Dimensions of the Gaussian; 32 as published. */
  readonly latent: number;
  /**
   * The published network ends in a ReLU, so mu >= 0 and sigma >= 1 (fact S4). false, the default, is what the paper means:
   * no ReLU behind the last convolution.
   */
  readonly trailingRelu?: boolean;
}

/** A convolution of kernel size 1 over instances, which is a linear layer; the weight keeps the shape checkpoints have. */
interface PointConvolution {
  (x: Tensor, activation?: "none" | "relu"): Tensor;
  /** [out, in, 1] */
  readonly weight: Variable;
  /** [out] */
  readonly bias: Variable;
}

/** Maps instances to Gaussians; variables `encoder.conv1.weight` ... `encoder.conv3.bias`, `last_conv.0.weight`, `last_conv.0.bias`. */
export interface DistributionModule {
  (instances: Tensor): Gaussian;
  readonly encoder: { readonly conv1: PointConvolution; readonly conv2: PointConvolution; readonly conv3: PointConvolution };
  readonly last_conv: readonly [PointConvolution];
}

function pointConvolution(inChannels: number, outChannels: number): PointConvolution {
  const weight = parameter([outChannels, inChannels, 1], fanInUniform(inChannels));
  const bias = parameter([outChannels], fanInUniform(inChannels));
  const apply = (x: Tensor, activation: "none" | "relu" = "none"): Tensor => linearOp(x, reshape(x.graph.variable(weight), [outChannels, inChannels]), bias, activation);
  return Object.assign(apply, { weight, bias });
}

/**
 * One branch of the generative encoder (method, student 3): 1x1 convolutions C -> 2C, ReLU -> 2C, ReLU -> C / 2 -> 2 latent, the
 * first half mu, the second log sigma clipped to [-5, 5]. The present branch sees instance tokens, the future branch the expert's
 * displacements x1, y1 .. x6, y6 (metres).
 * The returned block maps instances [B, N, C] to a {@link Gaussian}.
 */
export function distributionModule({ inChannels, latent, trailingRelu = false }: DistributionConfig): DistributionModule {
  const encoder = {
    conv1: pointConvolution(inChannels, 2 * inChannels),
    conv2: pointConvolution(2 * inChannels, 2 * inChannels),
    conv3: pointConvolution(2 * inChannels, Math.floor(inChannels / 2)),
  };
  const last = pointConvolution(Math.floor(inChannels / 2), 2 * latent);
  const apply = (instances: Tensor): Gaussian => {
    const parts = last(encoder.conv3(encoder.conv2(encoder.conv1(instances, "relu"), "relu")));
    const both = trailingRelu ? relu(parts) : parts;
    return { mu: slice(both, -1, 0, latent), logSigma: clamp(slice(both, -1, latent, 2 * latent), { min: -5, max: 5 }) };
  };
  return Object.assign(apply, { encoder, last_conv: [last] as const });
}
