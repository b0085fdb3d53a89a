import { relu as reluOp, type Tensor } from "@distilldrive/tensor";
import type { Block } from "./block.js";
import { linear, type Linear, type LinearInit } from "./linear.js";
import { layerNorm } from "./norm.js";

/** Blocks applied one after the other; block i is property i, which names its variables `0.weight`, `2.bias` ... */
export type Sequential = Block & Readonly<Record<number, Block>>;

/** Rectifier as a block, so that it takes a place (and an index) in a {@link sequential}. */
export const relu: Block = (x) => reluOp(x);

/** Chains blocks: the first one sees x [..., in], the last one returns [..., out]. A linear layer takes over a ReLU behind it. */
export function sequential(...blocks: readonly (Block | Linear)[]): Sequential {
  const apply = (x: Tensor): Tensor =>
    blocks.reduce((value, block, index) => {
      if (block === relu && isLinear(blocks[index - 1])) return value;
      return isLinear(block) && blocks[index + 1] === relu ? block(value, "relu") : block(value);
    }, x);
  return Object.assign(apply, Object.fromEntries(blocks.entries()));
}

function isLinear(block: Block | Linear | undefined): block is Linear {
  return block !== undefined && "weight" in block && block.weight.shape.length === 2;
}

/** Linear, ReLU, Linear (indices 0 and 2): [..., in] to [..., out]. */
export function mlp(inChannels: number, hiddenChannels: number, outChannels: number): Sequential {
  return sequential(linear(inChannels, hiddenChannels), relu, linear(hiddenChannels, outChannels));
}

/**
 * The published building brick (fact T9): `outLoops` times (`inLoops` times (Linear, ReLU), LayerNorm). The norm comes
 * after the ReLU.
 *
 * @returns blocks to put into a {@link sequential}
 */
export function linearReluLayerNorm(channels: number, inLoops: number, outLoops: number, inChannels = channels): Block[] {
  const blocks: Block[] = [];
  let width = inChannels;
  for (let outer = 0; outer < outLoops; outer++) {
    for (let inner = 0; inner < inLoops; inner++) {
      blocks.push(linear(width, channels), relu);
      width = channels;
    }
    blocks.push(layerNorm(channels));
  }
  return blocks;
}

/** Classification branch (fact T9): 2 x (Linear, ReLU, LayerNorm), Linear to one logit. [..., channels] to [..., 1]. */
export function classificationBranch(channels: number, init: LinearInit = {}): Sequential {
  return sequential(...linearReluLayerNorm(channels, 1, 2), linear(channels, 1, init));
}

/** Regression branch (fact T9): Linear, ReLU, Linear, ReLU, Linear. [..., channels] to [..., out]. */
export function regressionBranch(channels: number, out: number, init: LinearInit = {}): Sequential {
  return sequential(linear(channels, channels), relu, linear(channels, channels), relu, linear(channels, out, init));
}
