/** Something a dialect makes of a global, a call or a persistent id: a marker or a plain record, never code. */
export abstract class PickleObject {
  /** Tells these from plain values, also to the type checker. */
  protected readonly made = true;
}

/** What a pickle can hold here: plain values, dicts as Maps, lists and tuples as arrays, sets, and what its dialect makes. Never code. */
export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | PickleValue[]
  | Set<PickleValue>
  | Map<PickleValue, PickleValue>
  | PickleObject;
