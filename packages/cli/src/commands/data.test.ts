import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runCommand } from "../testing/run-command.js";

describe("data", () => {
  let scratch = "";
  const town = (): string => join(scratch, "town");
  beforeAll(async () => {
    scratch = await mkdtemp(join(tmpdir(), "distilldrive-data-"));
    const { status, out } = await runCommand(["data", "synth", "--out", town(), "--scenes", "2", "--seed", "5", "--duration", "5"]);
    expect([status, out]).toEqual([0, `2 scenes in ${town()}. Look at them: distilldrive data inspect ${town()}\n`]);
  });
  afterAll(() => rm(scratch, { recursive: true, force: true }));

  it("synth gives the same bytes for the same seed, and refuses a folder in use", async () => {
    expect(await readdir(town())).toEqual(["town-000005.scene.json", "town-000006.scene.json"]);
    const before = await readFile(join(town(), "town-000006.scene.json"));
    const refused = await runCommand(["data", "synth", "--out", town(), "--scenes", "1", "--seed", "6", "--duration", "5"]);
    expect([refused.status, refused.err]).toEqual([1, `data synth: ${town()} is not empty, expected a new or empty folder, got 2 files such as town-000005.scene.json. Choose another --out, or add --force.\n`]);
    await writeFile(join(town(), "town-000006.scene.json"), "spoiled");
    expect((await runCommand(["data", "synth", "--out", town(), "--scenes", "1", "--seed", "6", "--duration", "5", "--force", "--json"])).status).toBe(0);
    expect(Buffer.compare(await readFile(join(town(), "town-000006.scene.json")), before)).toBe(0);
  });

  it("inspect lists scenes for people and machines", async () => {
    const table = await runCommand(["data", "inspect", town()]);
    expect(table.out).toMatch(/^scene +side +s +frames/);
    expect(table.out).toMatch(/\ntown-000005 +(left|right) +5\.0 +51 +21 /);
    expect(table.out).toContain("2 scenes, 10 s");
    const { scenes } = JSON.parse((await runCommand(["data", "inspect", join(town(), "town-000005.scene.json"), "--json"])).out) as { scenes: { id: string; frames: number }[] };
    expect(scenes.map(({ id, frames }) => [id, frames])).toEqual([["town-000005", 51]]);
  });

  it("render draws a moment from above, as SVG and PNG", async () => {
    const files = [join(scratch, "above.svg"), join(scratch, "deep", "above.png")];
    for (const file of files) expect((await runCommand(["data", "render", town(), "--scene", "000005", "--frame", "10", "--bev", file])).status).toBe(0);
    expect(await readFile(files[0] ?? "", "utf8")).toContain("town-000005, frame 10");
    expect([...(await readFile(files[1] ?? "")).subarray(0, 4)]).toEqual([0x89, 0x50, 0x4e, 0x47]);
  });

  it("[gpu] render draws the six cameras at the size asked for", async () => {
    const file = join(scratch, "strip.png");
    const { status, out } = await runCommand(["data", "render", town(), "--scene", "town-000006", "--out", file, "--size", "64x36"]);
    expect([status, out]).toEqual([0, `town-000006, frame 0: ${file}\n`]);
    const png = await readFile(file);
    expect([png.readUInt32BE(16), png.readUInt32BE(20)]).toEqual([3 * 64 + 4, 2 * 36 + 2]);
  });

  it("render refuses what it cannot draw, and writes nothing", async () => {
    const file = join(scratch, "none.svg");
    const cases: [string[], number, string][] = [
      [["--scene", "town-000005"], 2, "distilldrive data render: nothing to draw, expected --out <file.png> or --bev <file.svg>."],
      [["--bev", file], 2, "distilldrive data render: which scene?"],
      [["--scene", "town-000007", "--bev", file], 1, 'unknown scene "town-000007", expected one of town-000005, town-000006. Did you mean'],
      [["--scene", "town-000005", "--frame", "51", "--bev", file], 1, "data render: town-000005: no frame 51, expected 0 to 50. Change --frame."],
      [["--scene", "town-000005", "--bev", join(scratch, "a.jpg")], 2, "--bev must end in .svg or .png"],
      [["--scene", "town-000005", "--out", file.replace("svg", "png"), "--size", "64"], 2, "Expected <width>x<height> in pixels"],
    ];
    for (const [more, status, message] of cases) {
      const result = await runCommand(["data", "render", town(), ...more]);
      expect([result.status, result.out]).toEqual([status, ""]);
      expect(result.err).toContain(message);
    }
    expect(await readdir(scratch)).not.toContain("none.svg");
  });
});
