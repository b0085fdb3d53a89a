import { fanInUniform, gru as gruOp, type Operand, parameter, type Tensor, type Variable } from "@distilldrive/tensor";

/** What a GRU gives back. */
export interface GruOutput {
  /** [B, T, hidden], the last layer's states. */
  readonly y: Tensor;
  /** [layers, B, hidden], the last states of all layers. */
  readonly state: Tensor;
}

/** Gated recurrent units; variables are named as PyTorch's: `weight_ih_l0` [3 hidden, in], `weight_hh_l0`, `bias_ih_l0`, `bias_hh_l0` ... */
export type Gru = ((x: Tensor, state?: Operand) => GruOutput) & Readonly<Record<string, Variable>>;

/**
 * Multi-layer GRU over batch-first sequences, first values as PyTorch's (uniform with bound 1 / sqrt(hidden)).
 * The returned block maps x [B, T, in] and a state [layers, B, hidden] (default zeros) to {@link GruOutput}, and throws ShapeError
 * when they do not fit.
 */
export function gru(inChannels: number, hidden: number, layers = 1): Gru {
  const variables: Record<string, Variable> = {};
  const weights = Array.from({ length: layers }, (_, layer) => {
    const weightIh = parameter([3 * hidden, layer === 0 ? inChannels : hidden], fanInUniform(hidden));
    const weightHh = parameter([3 * hidden, hidden], fanInUniform(hidden));
    const biasIh = parameter([3 * hidden], fanInUniform(hidden));
    const biasHh = parameter([3 * hidden], fanInUniform(hidden));
    Object.assign(variables, { [`weight_ih_l${layer}`]: weightIh, [`weight_hh_l${layer}`]: weightHh, [`bias_ih_l${layer}`]: biasIh, [`bias_hh_l${layer}`]: biasHh });
    return { weightIh, weightHh, biasIh, biasHh };
  });
  const apply = (x: Tensor, state?: Operand): GruOutput => gruOp(x, weights, state);
  return Object.assign<typeof apply, Readonly<Record<string, Variable>>>(apply, variables);
}
