import type { AnyOp } from "../op.js";
import { concatOp, splitOp } from "./concat.js";
import { cumsumOp } from "./cumsum.js";
import { elementwiseOps } from "./elementwise.js";
import { gatherOp, scatterAddOp } from "./gather.js";
import { layerNormBackwardOp, layerNormOp, layerNormParametersOp } from "./layer-norm.js";
import { matmulOp } from "./matmul.js";
import { permuteOp } from "./permute.js";
import { argMaxOp, argMinOp, maxOp, meanOp, minOp, sumOp, sumSquaresOp } from "./reduce.js";
import { reshapeOp } from "./reshape.js";
import { padOp, sliceOp } from "./slice.js";
import { logSoftmaxBackwardOp, logSoftmaxOp, softmaxBackwardOp, softmaxOp } from "./softmax.js";

/** Every op of the tensor core: what the laws are run over and the documentation lists. */
export const allOps: readonly AnyOp[] = [
  ...elementwiseOps,
  reshapeOp, permuteOp, sliceOp, padOp, concatOp, splitOp,
  sumOp, meanOp, maxOp, minOp, argMaxOp, argMinOp, sumSquaresOp, cumsumOp,
  gatherOp, scatterAddOp,
  matmulOp,
  softmaxOp, softmaxBackwardOp, logSoftmaxOp, logSoftmaxBackwardOp,
  layerNormOp, layerNormBackwardOp, layerNormParametersOp,
] as unknown as readonly AnyOp[];
