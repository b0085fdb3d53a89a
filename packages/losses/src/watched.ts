import type { Tensor } from "@distilldrive/tensor";

/** Scalars by name that are logged and not trained on. */
export type WatchedValues = Readonly<Record<string, Tensor>>;

/** "status" -> "Status", for names put together. */
export function wordCase(name: string): string {
  return name.slice(0, 1).toUpperCase() + name.slice(1);
}
