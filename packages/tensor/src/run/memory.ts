import { bindingBytes } from "@distilldrive/kernels";
import type { Launch, Storage } from "./plan.js";

/** WebGPU binds ranges of a buffer at multiples of this many bytes. */
export const rangeAlignment = 256;

/** Buffers beyond which no new one is opened only to spread. */
const maxBuffers = 12;

/** Where an intermediate lies. */
export interface Place {
  /** Index of the buffer of the arena. */
  readonly buffer: number;
  /** Bytes. */
  readonly offset: number;
}

/** Where all intermediates lie. */
export interface Memory {
  /** Bytes of each buffer of the arena. */
  readonly buffers: readonly number[];
  readonly places: ReadonlyMap<Storage, Place>;
}

const alignedBytes = (storage: Storage): number => Math.ceil(bindingBytes(storage) / rangeAlignment) * rangeAlignment;

/** Orders in which storages are tried; which one packs best depends on the program. */
const orders: readonly ((storage: Storage) => number)[] = [
  (storage) => alignedBytes(storage),
  (storage) => alignedBytes(storage) * (storage.last - storage.first + 1),
  (storage) => storage.last - storage.first,
  (storage) => -storage.first,
  (storage) => storage.last,
];

/** A placement that needs at most so many times the bound is not improved any further. */
const goodEnough = 1.05;

/**
 * Places intermediates at offsets of a few buffers. Two that live at the same time do not overlap. What a launch only reads
 * and what it writes lie in different buffers, because WebGPU refuses a buffer that is read-only and writable in the same
 * dispatch. Several orders are tried, and the first arena near the bound, or else the smallest, is taken.
 * @param maxBytes the largest buffer
 */
export function placeStorages(storages: readonly Storage[], launches: readonly Launch[], maxBytes: number): Memory {
  const apart = conflictsOf(launches);
  const bound = liveBytes(storages, launches.length);
  let best: Memory | undefined;
  const bytesOf = ({ buffers }: Memory): number => buffers.reduce((sum, bytes) => sum + bytes, 0);
  for (const order of orders) {
    for (const spread of [false, true]) {
      const memory = place([...storages].sort((a, b) => order(b) - order(a) || alignedBytes(b) - alignedBytes(a) || a.id - b.id), apart, maxBytes, spread);
      if (!best || bytesOf(memory) < bytesOf(best)) best = memory;
      if (bytesOf(best) <= goodEnough * bound) return best;
    }
  }
  return best ?? { buffers: [], places: new Map() };
}

/** Places storages in the given order, each where it makes the arena grow least. @param spread at a tie, a new buffer rather than the end of one */
function place(storages: readonly Storage[], apart: ReadonlyMap<Storage, ReadonlySet<Storage>>, maxBytes: number, spread: boolean): Memory {
  const buffers: { bytes: number; readonly tenants: { readonly storage: Storage; readonly offset: number; readonly end: number }[] }[] = [];
  const places = new Map<Storage, Place>();
  for (const storage of storages) {
    const size = alignedBytes(storage);
    const forbidden = new Set([...(apart.get(storage) ?? [])].map((other) => places.get(other)?.buffer));
    let best = { buffer: buffers.length, offset: 0, growth: size, rest: spread && buffers.length < maxBuffers ? -1 : Number.POSITIVE_INFINITY };
    buffers.forEach(({ bytes, tenants }, buffer) => {
      if (forbidden.has(buffer)) return;
      const gap = smallestGap(tenants.filter(({ storage: other }) => other.first <= storage.last && storage.first <= other.last), size, bytes);
      const growth = Math.max(0, gap.offset + size - bytes);
      if (bytes + growth > maxBytes) return;
      if (growth < best.growth || (growth === best.growth && gap.rest < best.rest)) best = { buffer, offset: gap.offset, growth, rest: gap.rest };
    });
    const home = buffers[best.buffer] ?? { bytes: 0, tenants: [] };
    buffers[best.buffer] = home;
    home.bytes += best.growth;
    const behind = home.tenants.findIndex(({ offset }) => offset > best.offset);
    home.tenants.splice(behind < 0 ? home.tenants.length : behind, 0, { storage, offset: best.offset, end: best.offset + size });
    places.set(storage, { buffer: best.buffer, offset: best.offset });
  }
  return { buffers: buffers.map(({ bytes }) => bytes), places };
}

/** The gap between tenants, which come in the order of their offsets, that leaves least unused; behind the last one when none is large enough. */
function smallestGap(tenants: readonly { readonly offset: number; readonly end: number }[], size: number, bytes: number): { readonly offset: number; readonly rest: number } {
  let best = { offset: 0, rest: Number.POSITIVE_INFINITY };
  let free = 0;
  for (const { offset, end } of tenants) {
    const rest = offset - free - size;
    if (rest >= 0 && rest < best.rest) best = { offset: free, rest };
    free = Math.max(free, end);
  }
  const rest = bytes - free - size;
  if (best.rest === Number.POSITIVE_INFINITY || (rest >= 0 && rest < best.rest)) best = { offset: free, rest: Math.max(0, rest) };
  return best;
}

/** Pairs of intermediates of which one launch only reads one and writes the other. */
function conflictsOf(launches: readonly Launch[]): ReadonlyMap<Storage, ReadonlySet<Storage>> {
  const apart = new Map<Storage, Set<Storage>>();
  const separate = (a: Storage, b: Storage): void => {
    const others = apart.get(a);
    if (others) others.add(b);
    else apart.set(a, new Set([b]));
  };
  for (const { kernel, storages } of launches) {
    const intermediates = storages.map((storage, binding) => ({ storage, written: kernel.bindings[binding]?.access !== "read" })).filter(({ storage }) => storage.home.kind === "arena");
    for (const write of intermediates.filter(({ written }) => written)) {
      for (const read of intermediates.filter(({ written }) => !written)) {
        separate(write.storage, read.storage);
        separate(read.storage, write.storage);
      }
    }
  }
  return apart;
}

/** The most bytes of intermediates alive at one time: no placement can need less. */
export function liveBytes(storages: readonly Storage[], launches: number): number {
  const change = new Float64Array(launches + 2);
  for (const storage of storages) {
    const bytes = bindingBytes(storage);
    change[storage.first] = (change[storage.first] ?? 0) + bytes;
    change[storage.last + 1] = (change[storage.last + 1] ?? 0) - bytes;
  }
  let live = 0;
  let most = 0;
  for (const delta of change) {
    live += delta;
    most = Math.max(most, live);
  }
  return most;
}
