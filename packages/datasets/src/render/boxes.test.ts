import { describe, expect, it } from "vitest";
import { boxCornersInEgo, egoPose, placeBoxes } from "./boxes.js";
import { RenderError } from "./errors.js";
import { stillScene } from "./scene.fixture.js";

describe("boxes", () => {
  const ego = { x: 500, y: 900, z: 12, yaw: Math.PI / 2 };

  it("keep their height where the ground is flat, and stand on the ground where it is not", () => {
    const scene = stillScene({
      ego,
      boxes: [
        { category: "car", x: 510, y: 900 },
        { category: "truck", x: 500, y: 960, bottom: 14.5, size: [8, 2.5, 3] },
      ],
    });
    const placed = placeBoxes(scene, 0, 100);
    expect(placed.map((box) => box.z)).toEqual([0.8, expect.closeTo(1.5, 9)]);
  });

  it("stay above their neighbours when they are", () => {
    const row = [0, 1, 2, 3, 4].map((i) => ({ category: "barrier" as const, x: 520 + i, y: 900, bottom: i === 2 ? 15 : 14, size: [1, 1, 1] as const }));
    const placed = placeBoxes(stillScene({ ego, boxes: row }), 0, 100);
    expect((placed[2]?.z ?? 0) - (placed[1]?.z ?? 0)).toBeGreaterThan(0.95);
    expect(Math.abs((placed[1]?.z ?? 0) - 0.5)).toBeLessThan(0.25);
  });

  it("are left out when far away or not there", () => {
    const scene = stillScene({ ego, boxes: [{ category: "car", x: 500, y: 1001 }, { category: "car", x: 500, y: 980 }] });
    scene.agents[1]?.valid.fill(0, 1);
    expect(placeBoxes(scene, 0, 100).map((box) => box.agent)).toEqual([1]);
    expect(placeBoxes(scene, 1, 100)).toEqual([]);
  });

  it("have corners in the ego frame", () => {
    const scene = stillScene({ ego, boxes: [{ category: "car", x: 500, y: 910, yaw: Math.PI / 2, size: [4, 2, 1.5] }] });
    const [box] = placeBoxes(scene, 0, 100);
    if (box === undefined) throw new Error("no box");
    const corners = boxCornersInEgo(box, egoPose(scene, 0));
    // Front left top, then back right bottom.
    [12, 1, 1.5].forEach((value, i) => expect(corners[i]).toBeCloseTo(value, 9));
    [8, -1, 0].forEach((value, i) => expect(corners[21 + i]).toBeCloseTo(value, 9));
  });

  it("need an ego pose", () => {
    const scene = stillScene({ ego });
    for (const frame of [-1, 2, 0.5, NaN]) expect(() => egoPose(scene, frame)).toThrow(RenderError);
    scene.ego.heading[1] = NaN;
    expect(() => egoPose(scene, 1)).toThrow(/scene-by-hand frame 1 has no usable ego pose/);
  });
});
