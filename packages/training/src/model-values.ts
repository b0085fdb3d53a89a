import type { StoredTensor } from "@distilldrive/tensor";

/** Prefix of a model's variables in a training checkpoint; memory and optimiser have names of their own. */
const prefix = "model.";

/** A model's variables out of a training checkpoint, by their own names; moving averages in the place of parameters that have one. */
export function modelValues(tensors: ReadonlyMap<string, StoredTensor>): Map<string, StoredTensor> {
  return new Map([...tensors].flatMap(([name, value]) => (name.startsWith(prefix) ? [[name.slice(prefix.length), tensors.get(`ema.${name}`) ?? value] as const] : [])));
}
