import type { AnyOp } from "../op.js";
import { adamwOp } from "./adamw.js";
import { attentionOp } from "./attention.js";
import { batchNormBackwardOp, batchNormOp } from "./batch-norm.js";
import { concatOp, splitOp } from "./concat.js";
import { conv1dOps, conv2dOps } from "./convolution.js";
import { cumsumOp } from "./cumsum.js";
import { deformableAggregationFeaturesBackwardOp, deformableAggregationOp, deformableAggregationPointsBackwardOp } from "./deformable-aggregation.js";
import { dropoutOp } from "./dropout.js";
import { elementLossOps } from "./element-loss.js";
import { elementwiseOps } from "./elementwise.js";
import { fusedSumsOp } from "./fused-sums.js";
import { gatherOp, scatterAddOp } from "./gather.js";
import { fourierEmbeddingBackwardOp, fourierEmbeddingOp } from "./fourier-embedding.js";
import { boxOverlapOp, projectPointsBackwardOp, projectPointsOp, rotatePointsBackwardOp, rotatePointsOp, rotatePointsPosesBackwardOp } from "./geometry.js";
import { gridSampleGridBackwardOp, gridSampleInputBackwardOp, gridSampleOp } from "./grid-sample.js";
import { interpolate2dBackwardOp, interpolate2dOp } from "./interpolate.js";
import { gruBackwardOp, gruOp } from "./gru.js";
import { klDivergenceBackwardOp, klDivergenceOp } from "./kl-divergence.js";
import { addLayerNormBackwardOp, addLayerNormGradientsOp, addLayerNormOp, layerNormBackwardOp, layerNormGradientsOp, layerNormOp, layerNormParametersOp } from "./layer-norm.js";
import { matmulOp } from "./matmul.js";
import { maxPoolBackwardOp, maxPoolOp } from "./max-pool.js";
import { packAddOp, packOp } from "./pack.js";
import { permuteOp } from "./permute.js";
import { averagePool2dBackwardOp, averagePool2dOp, maxPool2dBackwardOp, maxPool2dOp } from "./pool.js";
import { argMaxOp, argMinOp, maxOp, meanOp, minOp, sumOp, sumSquaresOp } from "./reduce.js";
import { reshapeOp } from "./reshape.js";
import { segmentSumOp } from "./segment-sum.js";
import { cosOp, sinOp } from "./sine.js";
import { sineEmbeddingBackwardOp, sineEmbeddingOp } from "./sine-embedding.js";
import { adamDirectionOp, decayedStepOp, orthonormaliseOp } from "./soap.js";
import { padOp, sliceOp } from "./slice.js";
import { sortBackwardOp, sortOp } from "./sort.js";
import { logSoftmaxBackwardOp, logSoftmaxOp, softmaxBackwardOp, softmaxOp } from "./softmax.js";

const ops: readonly unknown[] = [
  ...elementwiseOps, sinOp, cosOp,
  reshapeOp, permuteOp, sliceOp, padOp, concatOp, splitOp,
  sumOp, meanOp, maxOp, minOp, argMaxOp, argMinOp, sumSquaresOp, cumsumOp, fusedSumsOp,
  gatherOp, scatterAddOp,
  matmulOp,
  conv1dOps.forward, conv1dOps.backwardInput, conv1dOps.backwardWeight, conv2dOps.forward, conv2dOps.backwardInput, conv2dOps.backwardWeight,
  maxPool2dOp, maxPool2dBackwardOp, averagePool2dOp, averagePool2dBackwardOp, interpolate2dOp, interpolate2dBackwardOp,
  softmaxOp, softmaxBackwardOp, logSoftmaxOp, logSoftmaxBackwardOp,
  attentionOp, klDivergenceOp, klDivergenceBackwardOp, maxPoolOp, maxPoolBackwardOp, sineEmbeddingOp, sineEmbeddingBackwardOp, dropoutOp, adamwOp,
  packOp, packAddOp, adamDirectionOp, decayedStepOp, orthonormaliseOp,
  gruOp, gruBackwardOp, fourierEmbeddingOp, fourierEmbeddingBackwardOp,
  rotatePointsOp, rotatePointsBackwardOp, rotatePointsPosesBackwardOp, projectPointsOp, projectPointsBackwardOp, boxOverlapOp,
  segmentSumOp, sortOp, sortBackwardOp,
  gridSampleOp, gridSampleGridBackwardOp, gridSampleInputBackwardOp,
  deformableAggregationOp, deformableAggregationPointsBackwardOp, deformableAggregationFeaturesBackwardOp,
  batchNormOp, batchNormBackwardOp, ...elementLossOps,
  layerNormOp, layerNormBackwardOp, layerNormGradientsOp, layerNormParametersOp, addLayerNormOp, addLayerNormBackwardOp, addLayerNormGradientsOp,
];

/**
 * Every op of the tensor core: what the laws are run over and the documentation lists. The gradient of attention is not
 * among them: what it saves must belong together, so the gradient law of attention checks it.
 */
export const allOps = ops as readonly AnyOp[];
