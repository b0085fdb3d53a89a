import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { loadScenes } from "./load.js";
import { fixtureScene } from "./scene.fixture.js";
import { decodeScene, encodeScene } from "./scene-file.js";
import { generateScene } from "./town/index.js";

const scene = generateScene(3, { duration: 4 });
const text = new TextDecoder().decode(encodeScene(scene));
const decode = (changed: string): unknown => decodeScene(new TextEncoder().encode(changed), "x.scene.json");

describe("scene files", () => {
  it("keep every number within the stated rounding and all else exactly", () => {
    const read = decodeScene(encodeScene(scene), "x");
    const within = (a: ArrayLike<number>, b: ArrayLike<number>, step: number): void => {
      expect(a.length).toBe(b.length);
      expect(Math.max(0, ...Array.from(a, (v, i) => Math.abs(v - (b[i] ?? NaN))))).toBeLessThanOrEqual(0.5001 * step);
    };
    [scene.ego, ...scene.agents].forEach((track, k) => {
      const other = [read.ego, ...read.agents][k] ?? read.ego;
      within(other.position, track.position, 1e-4);
      within(other.heading, track.heading, 1e-5);
      within(other.velocity, track.velocity, 1e-4);
      expect(other.valid).toEqual(track.valid);
      expect([other.id, other.category, other.sourceCategory]).toEqual([track.id, track.category, track.sourceCategory]);
    });
    scene.lines.forEach((line, k) => within(read.lines[k]?.points ?? [], line.points, 1e-4));
    within(read.timestamps, scene.timestamps, 1e-6);
    expect([read.id, read.source, read.drivingSide, read.interval, read.keyframes, read.jumps]).toEqual([scene.id, scene.source, scene.drivingSide, scene.interval, scene.keyframes, scene.jumps]);
    expect(read.lanes.map(({ id, connector, successors }) => [id, connector, successors])).toEqual(scene.lanes.map(({ id, connector, successors }) => [id, connector, successors]));
  });

  it("encode a decoded scene to the same bytes", () => {
    for (const each of [scene, fixtureScene({ jumps: [40] })]) {
      const bytes = encodeScene(each);
      expect(Buffer.compare(encodeScene(decodeScene(bytes, "x")), bytes)).toBe(0);
    }
  });

  it("refuse what is no scene, naming file, field and remedy", () => {
    expect(() => decode(text.slice(0, 5000))).toThrow(/^sceneFile: x\.scene\.json: no JSON, expected a whole distilldrive-scene-1 file, got 5000 bytes .* make or copy it again/);
    expect(() => decode("[]")).toThrow("sceneFile: x.scene.json: file: Invalid input: expected object");
    expect(() => decode(text.replace("distilldrive-scene-1", "distilldrive-scene-9"))).toThrow(/x\.scene\.json: format: .*expected "distilldrive-scene-1"/);
    expect(() => decode(text.replace('"drivingSide"', '"drivingsite"'))).toThrow("drivingSide: ");
    expect(() => decode(text.replace('"position":[', '"position":[null,'))).toThrow("ego.position[0] (frame 0): Invalid input: expected number, received null");
    expect(() => decode(text.replace(/"heading":\[[^,]+,[^,]+,/, '"heading":[0.1,0.2,NaN,'))).toThrow("ego.heading[2] (frame 2): Invalid input: expected number, received null");
    expect(() => decode(text.replace('"position":[', '"position":[1,'))).toThrow(/sceneFile: x\.scene\.json: ego\.position: invalid scene, expected \d+ numbers/);
    expect(() => decode(text.replace(/"id":"town-\d+"/, '"id":"../town"'))).toThrow("id: expected letters");
  });

  it("are not written of a broken scene", () => {
    const broken = { ...scene, ego: { ...scene.ego, position: scene.ego.position.map((v, i) => (i === 30 ? NaN : v)) } };
    expect(() => encodeScene(broken)).toThrow("encodeScene: town-000003: ego.position at frame 10: invalid scene, expected a finite number, got NaN");
  });
});

describe("loadScenes", async () => {
  const folder = await mkdtemp(join(tmpdir(), "distilldrive-scenes-"));
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it("reads scene files by name, alone or from a folder", async () => {
    await writeFile(join(folder, "town-000003.scene.json"), text);
    await writeFile(join(folder, "fixture-0.scene.json"), encodeScene(fixtureScene()));
    await writeFile(join(folder, "notes.json"), "{}");
    expect((await loadScenes(folder)).map(({ id }) => id)).toEqual(["fixture-0", "town-000003"]);
    expect((await loadScenes(folder, { only: ["000003"] })).map(({ id }) => id)).toEqual(["town-000003"]);
    expect((await loadScenes(join(folder, "fixture-0.scene.json"))).map(({ id }) => id)).toEqual(["fixture-0"]);
    await expect(loadScenes(folder, { only: ["000004"] })).rejects.toThrow('unknown scene "000004", expected one of fixture-0, town-000003. Did you mean "town-000003"?');
  });
});
