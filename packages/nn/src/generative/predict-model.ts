import { broadcastTo, permute, reshape, ShapeError, type Tensor } from "@distilldrive/tensor";
import { type Gru, gru } from "../layers/gru.js";
import { type Linear, linear } from "../layers/linear.js";

/** Configuration of a {@link predictModel}. */
export interface PredictModelConfig {
  /** Dimensions of a sample. */
  readonly latent: number;
  /** Channels of an instance; a multiple of `layers`. */
  readonly channels: number;
  /** Layers of the GRU; 4 as published. */
  readonly layers?: number;
  /**
   * How an instance's channels become the layers' first states. true: as published, where the states' memory is read as
   * [layers, B N, channels / layers], which mixes instances (fact S6). false, the default: each instance keeps its own channels.
   */
  readonly mixInstances?: boolean;
}

/** Turns a sample into future instance states; variables `gru.weight_ih_l0` ... and `linear1.weight` ... `linear3.bias`. */
export interface PredictModel {
  (sample: Tensor, instances: Tensor, steps?: number): Tensor;
  readonly gru: Gru;
  readonly linear1: Linear;
  readonly linear2: Linear;
  readonly linear3: Linear;
}

/**
 * Decoder of the generative encoder (method, student 3): a GRU that begins with the instance and sees the sample at every step,
 * then Linear, ReLU, Linear, ReLU, Linear.
 * The returned block maps sample [B, N, latent] and instances [B, N, channels] to [B, N, steps, channels].
 * @throws ShapeError when `layers` does not divide `channels`
 */
export function predictModel({ latent, channels, layers = 4, mixInstances = false }: PredictModelConfig): PredictModel {
  if (channels % layers !== 0) throw new ShapeError(`predictModel: channels do not fit, expected a multiple of the ${layers} layers, got ${channels}. Every layer begins with an equal part of the instance.`);
  const hidden = channels / layers;
  const recurrent = gru(latent, hidden, layers);
  const [linear1, linear2, linear3] = [linear(hidden, 2 * hidden), linear(2 * hidden, 4 * hidden), linear(4 * hidden, channels)];
  const apply = (sample: Tensor, instances: Tensor, steps = 1): Tensor => {
    const [batch, count] = [sample.at(0), sample.at(1)];
    const rows = batch * count;
    const state = mixInstances ? reshape(instances, [layers, rows, hidden]) : permute(reshape(instances, [rows, layers, hidden]), [1, 0, 2]);
    const inputs = broadcastTo(reshape(sample, [rows, 1, latent]), [rows, steps, latent]);
    const { y } = recurrent(inputs, state);
    return reshape(linear3(linear2(linear1(y, "relu"), "relu")), [batch, count, steps, channels]);
  };
  return Object.assign(apply, { gru: recurrent, linear1, linear2, linear3 });
}
