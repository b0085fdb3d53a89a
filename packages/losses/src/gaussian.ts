import { add, div, exp, mul, square, sub, sum, type Tensor } from "@distilldrive/tensor";

/** Diagonal Gaussians: mean and logarithm of the standard deviation, [..., latent] each. */
export interface DiagonalGaussian {
  readonly mu: Tensor;
  readonly logSigma: Tensor;
}

/**
 * KL(future || present) of diagonal Gaussians (fact S8), summed over the latent dimensions; gradients flow to both.
 * @returns [...]
 */
export function gaussianDivergence(future: DiagonalGaussian, present: DiagonalGaussian): Tensor {
  const spread = add(exp(mul(future.logSigma, 2)), square(sub(future.mu, present.mu)));
  const each = sub(add(sub(present.logSigma, future.logSigma), div(spread, mul(exp(mul(present.logSigma, 2)), 2))), 0.5);
  return sum(each, { axes: [-1] });
}
