import type { ProfileRow } from "./profile.js";

/** A complete event of the Trace Event Format, times in microseconds. */
interface TraceEvent {
  readonly name: string;
  readonly cat: string;
  readonly ph: "X";
  readonly ts: number;
  readonly dur: number;
  readonly pid: 1;
  readonly tid: 1;
  readonly args: Readonly<Record<string, string | number>>;
}

/**
 * A profiled step as a Chrome trace (Trace Event Format, JSON object form): open it in chrome://tracing or ui.perfetto.dev.
 * Dispatches stand one after the other in plan order; scopes lie over the dispatches they span, so that it reads as a flame graph.
 * @param process shown as the name of the process, e.g. the adapter
 */
export function chromeTrace(rows: readonly ProfileRow[], process: string): string {
  const events: TraceEvent[] = [];
  const event = (name: string, cat: string, ts: number, dur: number, args: TraceEvent["args"]): void => {
    events.push({ name, cat, ph: "X", ts, dur, pid: 1, tid: 1, args });
  };
  let now = 0;
  let open: { readonly name: string; readonly start: number }[] = [];
  const closeFrom = (depth: number): void => {
    for (const { name, start } of open.slice(depth)) event(name, "scope", start, now - start, {});
    open = open.slice(0, depth);
  };
  for (const { kernel, label, scope, milliseconds, flops, bytes } of rows) {
    const path = scope === "" ? [] : scope.split("/");
    const shared = path.findIndex((name, depth) => open[depth]?.name !== name);
    const depth = shared === -1 ? path.length : shared;
    closeFrom(depth);
    for (const name of path.slice(depth)) open.push({ name, start: now });
    const duration = 1000 * milliseconds;
    event(kernel, "kernel", now, duration, {
      op: label,
      scope,
      "GFLOP/s": rate(flops, milliseconds),
      "GB/s": rate(bytes, milliseconds),
    });
    now += duration;
  }
  closeFrom(0);
  // Viewers nest events of one thread by time; an outer event must come before the inner ones that begin with it.
  events.sort((a, b) => a.ts - b.ts || b.dur - a.dur || b.cat.localeCompare(a.cat));
  const name = { name: "process_name", ph: "M", pid: 1, args: { name: process } };
  return JSON.stringify({ displayTimeUnit: "ms", traceEvents: [name, ...events] });
}

/** 1e9 a second, three digits. */
function rate(amount: number, milliseconds: number): number {
  return milliseconds > 0 ? Number((amount / 1e6 / milliseconds).toPrecision(3)) : 0;
}
