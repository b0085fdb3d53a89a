import { chooseCandidate, type Candidate, copy, portableTarget, recordTuning } from "@distilldrive/kernels";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Device, openDevice } from "./device.js";
import { checkTuningTable, tune, TUNING_FORMAT, type TuningTable, tuningOf, withTuning } from "./tuning-table.js";

const kernel = copy({ length: 64 }, portableTarget);
const copying = (name: string): Candidate => ({ name, build: () => ({ name, kernels: [{ kernel, bind: { x: "x", y: "y" } }], temporaries: [] }) });

describe("tuning [gpu]", () => {
  let device: Device;
  beforeAll(async () => {
    device = await openDevice();
  });
  afterAll(() => {
    device.close();
  });

  it("measures what was recorded, keeps older winners, and its table decides afterwards", async () => {
    const recorder = recordTuning();
    const recording = withTuning(device, recorder);
    chooseCandidate(recording.target, "copy 64", [copying("a"), copying("b")]);
    chooseCandidate(recording.target, "no choice", [copying("only")]);
    const older = { old: { candidate: "z", milliseconds: { z: 1 } } };
    const table = await tune(device, recorder, older, { rounds: 1, turn: 0 });
    expect(Object.keys(table.winners)).toEqual(["old", "copy 64"]);
    const winner = table.winners["copy 64"];
    expect(Object.keys(winner?.milliseconds ?? {}).sort()).toEqual(["a", "b"]);
    const tuned = withTuning(device, tuningOf(table));
    expect(chooseCandidate(tuned.target, "copy 64", [copying("a"), copying("b")]).name).toBe(winner?.candidate);
    expect(checkTuningTable(JSON.parse(JSON.stringify(table)), device)).toEqual({ table });
  });

  it("ignores tables of another format, adapter or driver, and what is no table", async () => {
    const table: TuningTable = await tune(device, recordTuning());
    const reason = (content: unknown): string => {
      const lookup = checkTuningTable(content, device);
      return "ignored" in lookup ? lookup.ignored : "";
    };
    expect(reason({ ...table, format: 0 })).toBe(`it has format 0, expected ${TUNING_FORMAT}`);
    expect(reason({ ...table, adapter: { ...table.adapter, description: "old driver" } })).toContain('it was measured on description "old driver", this is "');
    expect(reason({ ...table, winners: { k: 3 } })).toBe('its entry "k" names no candidate');
    for (const content of [null, 3, [], {}, "text"]) expect(reason(content)).toBe("it is no table of tuned kernels");
  });
});
