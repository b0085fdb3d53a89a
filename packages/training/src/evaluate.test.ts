import { evaluationStream, generateScene, type Sample } from "@distilldrive/datasets";
import { constantVelocity, planningMetrics } from "@distilldrive/metrics";
import { type Device, openDevice } from "@distilldrive/tensor";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { evaluatePlanner, type TrainedPlanner } from "./evaluate.js";

const speed = 6;
/** Drives straight ahead at 6 m/s, whatever it sees, in mode 2 of every command; all other modes stand still. */
const constantPlanner: TrainedPlanner = {
  name: "constant",
  model: {},
  values: new Map(),
  features: { maxAgents: 4, maxLines: 4 },
  memory: () => null,
  trace: (graph, lanes) => {
    graph.input("egoStatus", [lanes, 10]);
    const modes = Array.from({ length: 18 * lanes }, (_, mode) => mode % 6 === 2);
    return {
      plan: {
        logits: graph.constant(modes.map((driving) => (driving ? 1 : 0)), [lanes, 18]),
        deltas: graph.constant(modes.flatMap((driving) => Array.from({ length: 12 }, (_, i) => (driving && i % 2 === 1 ? speed / 2 : 0))), [lanes, 18, 6, 2]),
      },
      motion: null,
      agentPadding: graph.constant(new Float32Array(lanes), [lanes, 1]),
    };
  },
};

describe("evaluatePlanner [gpu]", () => {
  let device: Device;
  beforeAll(async () => {
    device = await openDevice();
  });
  afterAll(() => {
    device.close();
  });
  const scenes = [generateScene(3, { duration: 8 }), generateScene(4, { duration: 6 })];

  test("a constant plan scores as the metrics say, at every keyframe of every scene", async () => {
    const samples: Sample[] = [];
    const stream = evaluationStream(scenes, { features: constantPlanner.features });
    for (let batch = stream.next(); batch !== null; batch = stream.next()) samples.push(...batch.samples.filter((sample) => sample !== null));
    const expected = planningMetrics();
    const waypoints = constantVelocity({ egoStatus: [0, 0, 0, 0, 0, 0, speed, 0, 0, 0] });
    for (const sample of samples) expected.add({ sample, waypoints });

    const { table, plans } = await evaluatePlanner(device, constantPlanner, scenes, { lanes: 1 });
    expect(plans).toHaveLength(samples.length);
    expect(samples.length).toBeGreaterThan(6);
    expect(table).toEqual(expected.result());
    for (const { sample, chosen, positions } of plans) {
      expect(chosen).toBe(6 * sample.command + 2);
      expect([...positions]).toEqual([0, 3, 0, 6, 0, 9, 0, 12, 0, 15, 0, 18]);
    }
  });

  test("the number of lanes changes nothing but the order", async () => {
    const one = await evaluatePlanner(device, constantPlanner, scenes, { lanes: 1 });
    const two = await evaluatePlanner(device, constantPlanner, scenes, { lanes: 2 });
    const names = ({ plans }: typeof one): string[] => plans.map(({ sample }) => `${sample.scene} ${sample.frame}`).sort();
    expect(names(two)).toEqual(names(one));
    expect(two.table.overall?.samples).toBe(one.table.overall?.samples);
    expect(two.table.overall?.cumulative.l2.average).toBeCloseTo(one.table.overall?.cumulative.l2.average ?? Number.NaN, 10);
  });
});
