import { lineChartSvg } from "@distilldrive/viewer";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type LoggedRun, trainingCharts } from "./report-charts.js";

let scratch: string;

async function run(name: string, extra: Readonly<Record<string, number>>): Promise<LoggedRun> {
  const folder = path.join(scratch, name);
  await mkdir(folder, { recursive: true });
  const lines = [1, 2, 3].map((step) => JSON.stringify({ step, loss: 3 / step, planRegression: 1 / step, gradientNorm: 1, ...extra, errorStatus: 0.5 / step }));
  await writeFile(path.join(folder, "metrics.jsonl"), `${lines.join("\n")}\n`);
  return { name, folder };
}

beforeAll(async () => {
  scratch = await mkdtemp(path.join(tmpdir(), "charts-"));
});
afterAll(() => rm(scratch, { recursive: true, force: true }));

describe("trainingCharts", () => {
  it("draws rewards, learned weights and action values of a run with reinforcement, and the status error of all runs in one", async () => {
    const reinforced = await run("with", { planReinforcement: 1, rewardStatus: 0.4, rewardCollision: 1, weightStatus: -0.2, weightCollision: 0.1, valueReward: 0.3, valueChosen: -1, valueBest: 0.9, valueTarget: 1.2 });
    const charts = await trainingCharts([await run("without", {}), reinforced, { name: "no log", folder: path.join(scratch, "nothing") }]);
    expect(charts.map(({ title, curves }) => [title, curves.map(({ name }) => name)])).toEqual([
      ["without: loss and its planning part", ["total", "regression"]],
      ["with: loss and its planning part", ["total", "regression", "reinforcement"]],
      ["with: rewards", ["status", "collision"]],
      ["with: learned weights of the rewards", ["status", "collision"]],
      ["with: action values", ["weighted reward", "predicted status", "best by target network", "target"]],
      ["error of the predicted ego status", ["without", "with"]],
    ]);
    expect(charts[4]?.curves[1]?.points).toEqual([[1, -1], [2, -1], [3, -1]]);
    expect(charts[5]?.curves[0]?.points).toEqual([[1, 0.5], [2, 0.25], [3, 0.5 / 3]]);
    for (const chart of charts) expect(lineChartSvg(chart)).not.toContain("NaN");
  });

  it("has no chart of the status error for older logs", async () => {
    const folder = path.join(scratch, "older");
    await mkdir(folder);
    await writeFile(path.join(folder, "metrics.jsonl"), '{"step":1,"loss":2,"planStatus":1}\n{"step":2,"loss":1,"planStatus":1}\n');
    expect((await trainingCharts([{ name: "older", folder }])).map(({ title }) => title)).toEqual(["older: loss and its planning part"]);
  });
});
