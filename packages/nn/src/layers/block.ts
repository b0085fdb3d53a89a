import type { Tensor } from "@distilldrive/tensor";

/** A model block with one input and one output; its variables are properties of the function. */
export type Block = (x: Tensor) => Tensor;

/** What a forward pass needs to know besides its inputs. */
export interface ForwardContext {
  /** Batch norm uses the batch's statistics and updates its running ones; otherwise it uses the running ones. */
  readonly training: boolean;
  /** Dropout at all sites the published model has (fact T7), or null for none. `key` is a u32[4] tensor, new every step. */
  readonly dropout: { readonly rate: number; readonly key: Tensor } | null;
}

/** Running statistics, no dropout: evaluation, and the frozen teacher of the distillation. */
export const INFERENCE: ForwardContext = { training: false, dropout: null };
