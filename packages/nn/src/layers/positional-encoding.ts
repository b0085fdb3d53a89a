import { add, buffer, slice, type Tensor, type Variable } from "@distilldrive/tensor";

/** Adds a position's encoding to every token. */
export interface TemporalPositionalEncoding {
  /** x [B, L, D], L <= length, to the same shape */
  (x: Tensor): Tensor;
  /** Buffer [1, length, D] */
  readonly pe: Variable;
}

/** The table of S-eq. 1 as used by the published code: row p, channel 2i: sin(p / 10000^(2i / D)), 2i + 1: cos of the same. */
export function sinusoidTable(length: number, channels: number): Float32Array {
  const table = new Float32Array(length * channels);
  for (let position = 0; position < length; position++) {
    for (let channel = 0; channel < channels; channel++) {
      const angle = position / 10000 ** ((2 * Math.floor(channel / 2)) / channels);
      table[position * channels + channel] = channel % 2 === 0 ? Math.sin(angle) : Math.cos(angle);
    }
  }
  return table;
}

/** Temporal sinusoidal encoding (S-eq. 1), added without dropout (fact T10). */
export function temporalPositionalEncoding(length: number, channels: number): TemporalPositionalEncoding {
  const pe = buffer([1, length, channels], { kind: "data", data: sinusoidTable(length, channels) });
  const apply = (x: Tensor): Tensor => {
    const table = x.graph.variable(pe);
    return add(x, x.at(-2) === length ? table : slice(table, 1, 0, x.at(-2)));
  };
  return Object.assign(apply, { pe });
}
