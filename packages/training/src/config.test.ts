import { describe, expect, test } from "vitest";
import { parseConfig, suggestion } from "./config.js";
import { ConfigError } from "./errors.js";
import { loopSchema, stepsOf } from "./run-config.js";

const parse = (value: unknown) => (): unknown => parseConfig(loopSchema, value, "run.json");

describe("parseConfig", () => {
  test("fills in defaults, nested ones too", () => {
    const config = parseConfig(loopSchema, { batch: 8, optimizer: { learningRate: 0.01 } }, "run.json");
    expect(config.batch).toBe(8);
    expect(config.optimizer).toMatchObject({ learningRate: 0.01, beta1: 0.9, schedule: "cosine" });
    expect(config.reference.batch).toBe(32);
  });

  test("names the file, the path of an unknown key, and the nearest known one", () => {
    expect(parse({ optimizer: { learningrate: 0.01 } })).toThrow(ConfigError);
    expect(parse({ optimizer: { learningrate: 0.01 } })).toThrow(/^run\.json: unknown key "optimizer\.learningrate", expected one of learningRate, .*Did you mean "learningRate"\?$/);
    expect(parse({ ephocs: 3 })).toThrow(/unknown key "ephocs", .*Did you mean "epochs"\?/);
  });

  test("suggests nothing where nothing is near", () => {
    expect(parse({ colour: "red" })).toThrow(/unknown key "colour", expected one of (?!.*Did you mean)/);
    expect(suggestion("x", [])).toBe("");
  });

  test("names path, choices and value of a wrong value", () => {
    expect(parse({ optimizer: { schedule: "cosin" } })).toThrow(/"optimizer\.schedule": unknown value "cosin", expected one of cosine, constant\. Did you mean "cosine"\?/);
    expect(parse({ town: { phases: [0, 7] } })).toThrow(/"town\.phases\.1": .*4, got 7/);
    expect(parse({ batch: "16" })).toThrow(/"batch": .*, got "16"/);
    expect(parse([])).toThrow(/^run\.json: the configuration: /);
  });

  test("lists every problem at once", () => {
    expect(parse({ batch: 0, epochs: -1, dropuot: 0.1 })).toThrow(/"batch"[^]*"epochs"|"epochs"[^]*"batch"/);
    expect(parse({ batch: 0, epochs: -1, dropuot: 0.1 })).toThrow(/"dropuot"/);
  });
});

test("steps win over epochs; an epoch is every frame once", () => {
  const config = loopSchema.parse({ batch: 16, epochs: 2 });
  expect(stepsOf(config, 400)).toBe(50);
  expect(stepsOf(config, 1)).toBe(1);
  expect(stepsOf({ ...config, steps: 7 }, 400)).toBe(7);
});
