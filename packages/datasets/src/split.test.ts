import { describe, expect, it } from "vitest";
import { fixtureScene } from "./scene.fixture.js";
import { splitScenes } from "./split.js";

const scenes = ["scene-0061", "scene-0655", "scene-1094"].map((id) => fixtureScene({ id, frames: 40 }));
const ids = (list: readonly { id: string }[]): string[] => list.map(({ id }) => id);

describe("splitScenes", () => {
  it("holds out scenes by short or full name", () => {
    const { train, val } = splitScenes(scenes, ["scene-1094", "0061", "0061"]);
    expect([ids(train), ids(val)]).toEqual([["scene-0655"], ["scene-0061", "scene-1094"]]);
    expect(ids(splitScenes(scenes, []).train)).toEqual(ids(scenes));
  });

  it("refuses unknown names with the nearest, and an empty training part", () => {
    expect(() => splitScenes(scenes, ["0665"])).toThrow(
      'split: unknown scene "0665", expected one of scene-0061, scene-0655, scene-1094. Did you mean "scene-0655"?',
    );
    expect(() => splitScenes(scenes, ["0061", "0655", "1094"])).toThrow("no scenes to train on, expected fewer than 3 held out, got 3");
  });
});
