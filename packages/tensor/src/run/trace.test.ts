import { expect, test } from "vitest";
import type { ProfileRow } from "./profile.js";
import { chromeTrace } from "./trace.js";

const row = (kernel: string, scope: string, milliseconds: number): ProfileRow => ({ kernel, label: kernel, scope, milliseconds, flops: 2e6, bytes: 4e6 });

test("dispatches follow each other, scopes lie over what they span", () => {
  const trace = JSON.parse(chromeTrace([row("a", "model/encoder", 1), row("b", "model", 0.5), row("c", "", 0)], "adapter")) as {
    traceEvents: { name: string; cat?: string; ts?: number; dur?: number; args: Record<string, unknown> }[];
  };
  expect(trace.traceEvents[0]).toMatchObject({ name: "process_name", args: { name: "adapter" } });
  expect(trace.traceEvents.slice(1).map(({ name, cat, ts, dur }) => [cat, name, ts, dur])).toEqual([
    ["scope", "model", 0, 1500],
    ["scope", "encoder", 0, 1000],
    ["kernel", "a", 0, 1000],
    ["kernel", "b", 1000, 500],
    ["kernel", "c", 1500, 0],
  ]);
  expect(trace.traceEvents[3]?.args).toEqual({ op: "a", scope: "model/encoder", "GFLOP/s": 2, "GB/s": 4 });
  expect(trace.traceEvents[5]?.args).toMatchObject({ "GFLOP/s": 0 });
});
