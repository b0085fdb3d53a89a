import { describe, expect, it } from "vitest";
import { DatasetError } from "./errors.js";
import { fixtureScene } from "./scene.fixture.js";
import type { Scene, Track } from "./schema.js";
import { validateScene } from "./validate.js";

const changed = (values: Float64Array, at: number, value: number): Float64Array => values.map((v, i) => (i === at ? value : v));

describe("validateScene", () => {
  const scene = fixtureScene();
  const ego = (change: Partial<Track>): Scene => ({ ...scene, ego: { ...scene.ego, ...change } });
  const agent = (a: number, change: Partial<Track>): Scene => ({ ...scene, agents: scene.agents.map((track, i) => (i === a ? { ...track, ...change } : track)) });

  it("accepts a sound scene", () => expect(() => validateScene(scene)).not.toThrow());

  const broken: readonly [string, Scene, string][] = [
    ["a NaN pose", ego({ position: changed(scene.ego.position, 37, NaN) }), "ego.position at frame 12: invalid scene, expected a finite number, got NaN"],
    ["a short array", ego({ heading: scene.ego.heading.slice(1) }), "ego.heading: invalid scene, expected 120 numbers, got 119"],
    ["an unwrapped heading", agent(0, { heading: changed(new Float64Array(120), 3, 4) }), 'agents[0] ("ahead").heading at frame 3'],
    ["numbers where invalid", agent(1, { velocity: changed(new Float64Array(240), 4, 1) }), "velocity at frame 2: invalid scene, expected 0 where the track is not valid, got 1"],
    ["an ego that vanishes", ego({ valid: new Uint8Array(120).fill(1, 5), position: new Float64Array(360), velocity: new Float64Array(240), heading: new Float64Array(120) }), "expected a pose at every frame, got none at frame 0"],
    ["no size", agent(0, { width: 0 }), "width: invalid scene, expected a positive number of metres, got 0"],
    ["repeated ids", agent(1, { id: "ahead" }), 'expected a unique id, got "ahead" again'],
    ["time running backwards", { ...scene, timestamps: changed(scene.timestamps, 7, 0.5) }, "timestamps[7]: invalid scene, expected about 0.1 s after the frame before"],
    ["a jump outside", { ...scene, jumps: [5, 120] }, "jumps[1]: invalid scene, expected a frame above 5 and below 120, got 120"],
    ["keyframes out of order", { ...scene, keyframes: Int32Array.of(5, 0) }, "keyframes[1]"],
    ["wheels across", { ...scene, steering: new Float64Array(120).fill(2) }, "steering[0]: invalid scene, expected an angle within +-pi/2, got 2"],
    ["a line of one point", { ...scene, lines: [{ id: "l", category: "divider", style: "edge", points: Float64Array.of(1, 2) }] }, 'lines[0] ("l").points'],
    ["an open crossing", { ...scene, lines: [{ id: "l", category: "ped_crossing", style: "crossing", points: Float64Array.of(0, 0, 1, 0, 1, 1) }] }, "closed outline"],
    ["a missing successor", { ...scene, lanes: scene.lanes.slice(0, 1) }, 'successors: invalid scene, expected ids of lanes of this scene, got "b"'],
  ];
  it.each(broken)("refuses %s", (_, bad, message) => {
    expect(() => validateScene(bad)).toThrow(message);
    expect(() => validateScene(bad)).toThrow(DatasetError);
    expect(() => validateScene(bad, "town 7")).toThrow(/^town 7: .*Fix the source of the scene/);
  });
});
