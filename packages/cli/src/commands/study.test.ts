import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readPlan } from "../runs/study/plan.js";
import { resultRows, spread, type StudyResults } from "../runs/study/results.js";
import { type CommandResult, runCommand } from "../testing/run-command.js";

const repository = new URL("../../../../", import.meta.url).pathname;

/** Small enough for a test: the sizes change nothing in what is run. */
const PLAN = {
  title: "A test",
  note: "Nothing is learned here.",
  data: { town: { scenes: 3, duration: 5 } },
  val: [["000001"], ["000002"]],
  base: { batch: 2, steps: 2, mirror: false, parts: 1, town: { scenes: 0 }, reference: { steps: 0 }, model: { channels: 16, heads: 2, maxAgents: 2, maxLines: 2, agentEncoderLayers: 1 } },
  rows: [
    { name: "whole", note: "all decoders", seeds: [1, 2] },
    { name: "without agents", settings: { steps: 1, model: { maxAgents: 0, decoder: ["temporal", "norm", "map", "norm", "ffn", "norm"] } }, paper: { l2: 1.39, collision: 0.111 } },
  ],
  baselines: ["constantVelocity", "log"],
};

describe("study [gpu]", () => {
  let scratch = "";
  const at = (...names: string[]): string => join(scratch, ...names);
  const study = (plan: string, out: string, ...more: string[]): Promise<CommandResult> => runCommand(["study", at(plan), "--out", at(out), ...more]);
  const write = (name: string, plan: object): Promise<void> => writeFile(at(name), JSON.stringify(plan));
  const weights = async (out: string, row: string, run: string): Promise<Buffer> => {
    const folder = at(out, "runs", row, run, "checkpoints");
    const last = (await readdir(folder)).filter((name) => name.endsWith(".safetensors")).sort().at(-1) ?? "";
    return readFile(join(folder, last));
  };
  beforeAll(async () => {
    scratch = await mkdtemp(join(tmpdir(), "distilldrive-study-"));
    await write("plan.json", PLAN);
  });
  afterAll(() => rm(scratch, { recursive: true, force: true }));

  it("stops at an interrupt, goes on with the same command, repeats nothing, and ends with the same bytes", async () => {
    let steps = 0;
    const stopped = await runCommand(["study", at("plan.json"), "--out", at("out")], (text, interrupt) => {
      // In the middle of the second run.
      if (text.startsWith("data ") && ++steps === 2) interrupt.abort(new DOMException("interrupted by SIGINT", "AbortError"));
    });
    expect([stopped.status, stopped.out]).toEqual([130, ""]);
    expect(stopped.err).toMatch(/^run 1 of 6: "whole", held out: 000001, seed 1$/m);
    expect(stopped.err).toContain(`Go on with: npx distilldrive study ${at("plan.json")} --out ${at("out")}\n`);
    const partial = JSON.parse(await readFile(at("out", "results.json"), "utf8")) as StudyResults;
    expect([partial.done, partial.planned, partial.rows.map(({ name, split }) => `${name}: ${split}`)]).toEqual([1, 6, [
      "constant velocity: 000001", "the log itself: 000001", "whole: 000001", "constant velocity: 000002", "the log itself: 000002", "constant velocity: all splits", "the log itself: all splits",
    ]]);
    const first = at("out", "runs", "whole", "000001-seed-1", "evaluation.json");
    const before = (await stat(first)).mtimeMs;

    const short = await study("plan.json", "out", "--hours", "1e-9");
    expect(short.status).toBe(0);
    expect(short.err).toMatch(/^1 of 6 runs done\. The next, "whole", held out: 000002, seed 1, takes about \S+ and would not fit\.\nGo on with: npx distilldrive study /m);

    const whole = await study("plan.json", "out", "--json");
    expect(whole.status, whole.err).toBe(0);
    expect(whole.err.match(/^run \d of 6: .*?seed \d/gm)).toEqual([
      'run 2 of 6: "whole", held out: 000002, seed 1',
      'run 3 of 6: "without agents", held out: 000001, seed 1',
      'run 4 of 6: "without agents", held out: 000002, seed 1',
      'run 5 of 6: "whole", held out: 000001, seed 2',
      'run 6 of 6: "whole", held out: 000002, seed 2',
    ]);
    expect((await stat(first)).mtimeMs).toBe(before);
    const results = JSON.parse(whole.out) as StudyResults;
    expect(results).toEqual(JSON.parse(await readFile(at("out", "results.json"), "utf8")));
    expect([results.done, results.runs.length, results.adapter.length > 5, results.commit]).toMatchObject([6, 6, true, expect.stringMatching(/^[0-9a-f]{12}(-dirty)?$/)]);
    const all = results.rows.find(({ name, split }) => name === "whole" && split === "all splits");
    expect(all?.seeds).toEqual([1, 2]);
    const l2 = (seed: number): number => results.runs.filter((run) => run.row === "whole" && run.seed === seed).reduce((sum, { overall }) => sum + (overall?.cumulative.l2.average ?? NaN) / 2, 0);
    expect(all?.l2.average.mean).toBeCloseTo((l2(1) + l2(2)) / 2, 12);
    expect(all?.l2.average.deviation).toBeCloseTo(Math.abs(l2(1) - l2(2)) / Math.SQRT2, 12);
    const log = results.rows.find(({ name }) => name === "the log itself");
    const truth = results.baselines.find(({ split }) => split === "000001")?.overall.perStep.truthCollision ?? [];
    expect([log?.l2.average.mean, log?.collision.at1s.mean]).toEqual([0, ((truth[0] ?? NaN) + (truth[1] ?? NaN)) / 2]);

    const table = await readFile(at("out", "table.md"), "utf8");
    expect(table).toMatch(/^# A test\n\nNothing is learned here\.\n\n## Held out: 000001\n\n\| planner \| L2 1 s \|/);
    expect(table).toMatch(/^\| whole \| (\d+\.\d\d ± \d+\.\d\d \| ){8}1, 2 \| \d+\.\d \|  \|  \|$/m);
    expect(table).toMatch(/^\| without agents \| (\d+\.\d\d \| ){8}1 \| \d+\.\d \| 1\.39 \| 0\.111 \|$/m);
    expect(table).toContain("- **whole**: all decoders\n");
    expect(table).toContain(`- command: \`npx distilldrive study ${at("plan.json")} --out ${at("out")}\``);
    expect(table).toContain("6 of 6 runs done.");

    // The run that was interrupted, without an interrupt.
    await write("once.json", { ...PLAN, val: [["000002"]], rows: [{ name: "whole" }] });
    expect((await study("once.json", "once")).status).toBe(0);
    expect((await weights("once", "whole", "000002-seed-1")).equals(await weights("out", "whole", "000002-seed-1"))).toBe(true);

    await write("changed.json", { ...PLAN, base: { ...PLAN.base, steps: 3 } });
    const changed = await study("changed.json", "out");
    expect([changed.status, changed.err]).toEqual([1, expect.stringMatching(/was begun with other settings than .*changed\.json has now: steps: expected 2, got 3\. Delete that folder/)]);
  });

  it("starts a row from another's weights, with data of its own", async () => {
    await write("start.json", {
      ...PLAN, val: [["000002"]], baselines: [],
      rows: [{ name: "town first", data: { town: { scenes: 1, seed: 50, duration: 5 } }, settings: { steps: 1 } }, { name: "then here", startFrom: "town first", settings: { steps: 1 }, seeds: [3] }],
    });
    const { status, err } = await study("start.json", "start");
    expect(status, err).toBe(0);
    const config = JSON.parse(await readFile(at("start", "runs", "then-here", "000002-seed-3", "config.json"), "utf8")) as object;
    expect(config).toMatchObject({ start: { run: at("start", "runs", "town-first", "nothing-held-out-seed-1"), step: 1, scenes: ["town-000050"] }, data: { val: ["town-000002"] } });
    const { rows, runs } = JSON.parse(await readFile(at("start", "results.json"), "utf8")) as StudyResults;
    expect([rows.map(({ name }) => name), runs.map(({ row, overall }) => [row, overall === null])]).toEqual([["then here"], [["town first", true], ["then here", false]]]);
  });

  it.each([
    [{ rows: [{ name: "a", settings: { model: { decoder: ["temporl"] } } }] }, /rows\.0 "a": "model\.decoder\.0": unknown value "temporl".*Did you mean "temporal"\?/],
    [{ rows: [{ name: "a" }, { name: "A!" }] }, /rows\.1 "A!": the name makes no folder of its own/],
    [{ rows: [{ name: "a", startFrom: "b" }, { name: "b" }] }, /rows\.0 "a": startFrom "b" is no row above it, expected none for the first row/],
    [{ rows: [] }, /"rows": /],
    [{ vals: [] }, /unknown key "vals", expected one of .*Did you mean "val"\?/],
    [{ val: [3] }, /3 of 3 scenes held out leaves none to train on/],
    [{ data: "somewhere", val: [2] }, /2 counts scenes of the town, expected names of scenes/],
  ])("refuses a wrong plan before anything is written: %j", async (change, message) => {
    await write("wrong.json", { ...PLAN, ...change });
    const { status, err } = await study("wrong.json", "wrong");
    expect([status, err]).toEqual([1, expect.stringMatching(message)]);
    expect(await readdir(scratch)).not.toContain("wrong");
  });

  it("says what is missing", async () => {
    await write("nodata.json", { ...PLAN, data: undefined });
    expect((await study("nodata.json", "x")).err).toBe(`distilldrive study: ${at("nodata.json")} names no data. Add --data <folder with scenes>.\n`);
    expect((await study("none.json", "x")).err).toContain("cannot be read (ENOENT");
  });
});

describe("the plans in examples/studies", () => {
  it("are valid, and say how many runs they make", async () => {
    const runs = async (name: string): Promise<number> => (await readPlan(join(repository, "examples", "studies", name), "out", name.startsWith("teacher-real") ? "data" : undefined)).jobs.length;
    expect(await Promise.all(["teacher-real.json", "teacher-real-start.json", "teacher-town-table2.json", "teacher-town-table3.json", "teacher-town-scenes.json"].map(runs))).toEqual([12, 3, 9, 9, 4]);
  });
});

describe("spread over seeds", () => {
  it("is the sample standard deviation, none for one seed", () => {
    expect(spread([3])).toEqual({ mean: 3, deviation: null });
    expect(spread([1, 2, 6])).toEqual({ mean: 3, deviation: Math.sqrt(7) });
    expect(resultRows({ plan: { title: "t", val: [["a"]], base: {}, seeds: [1], rows: [], baselines: ["log"] }, splits: [{ name: "a", val: ["a"] }] }, [], [])).toEqual([]);
  });
});
