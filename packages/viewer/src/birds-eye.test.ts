import { parse } from "node-html-parser";
import { describe, expect, it } from "vitest";
import { FAINTEST_MODE, modeOpacities } from "./birds-eye-plan.js";
import type { BirdsEyeScene } from "./birds-eye-scene.js";
import { birdsEyeSvg } from "./birds-eye.js";
import { roadAround } from "./road.js";
import { svgToPng } from "./svg-to-png.js";
import type { Scene } from "@distilldrive/datasets";

/** Two agents and one padded row; a boundary, a crossing and one padded row. */
const scene: BirdsEyeScene = {
  command: 1,
  egoStatus: [0, 0, 0, 0, 0, 0, 8.25, 0, 0, 0],
  boxes: [5, 20, 0, 4.5, 2, 1.6, Math.PI / 2, 0, 5, -6, 10, 0, 0.7, 0.7, 1.8, 0, 1, 0, ...new Float32Array(9)],
  labels: [0, 8, 0],
  agentMask: [1, 1, 0],
  lines: [-4, -20, -4, 30, -8, 12, 8, 12, 0, 0, 0, 0],
  lineLabels: [2, 0, 0],
  lineMask: [1, 1, 0],
  futureDisplacement: [0, 2, 0, 2, 0.1, 0, 0.1, 0, 0, 0, 0, 0],
  futureMask: [1, 1, 1, 1, 0, 0],
};
const modes = 18;
const waypoints = Array.from({ length: modes }, (_, mode) => Array.from({ length: 6 }, (_, t) => [(mode - 9) * 0.1 * (t + 1), 4 * (t + 1)])).flat(2);
const probabilities = Array.from({ length: modes }, (_, mode) => (mode === 7 ? 0.5 : mode === 3 ? 0.25 : 0.25 / 16));
const plan = { waypoints, probabilities, chosen: 7 };
const expert = [0, 4, 0, 8, 0, 12, 0, 16, 0, 20, 0, 24];

describe("birdsEyeSvg", () => {
  it("draws every element of the scene and nothing of the padding", () => {
    const svg = parse(birdsEyeSvg({ sample: scene, plan, expert, title: "scene-0001" }));
    const count = (selector: string): number => svg.querySelectorAll(selector).length;
    expect([count(".agent"), count(".agent-car"), count(".agent-pedestrian"), count(".heading")]).toEqual([2, 1, 1, 2]);
    expect([count(".map"), count(".map-boundary"), count(".map-ped_crossing")]).toEqual([2, 1, 1]);
    expect([count(".mode"), count(".chosen"), count(".ego"), count(".expert-path"), count(".scale-bar")]).toEqual([18, 1, 1, 1, 1]);
    // The pedestrian moves 0.2 m: not worth a path.
    expect([count(".agent-future"), count(".agent-car .agent-future")]).toEqual([1, 1]);
    expect([count(".plan circle"), count(".expert circle")]).toEqual([6, 6]);
    expect(svg.querySelector(".command")?.text).toBe("8.3 m/s · left");
    expect(svg.querySelectorAll(".legend-entry text").map((entry) => entry.text)).toEqual([
      "chosen plan", "modes (opacity: probability)", "driven", "ego", "car", "pedestrian", "road edge", "crossing",
    ]);
  });

  it("puts metres where they belong: the ego looks up, right is right", () => {
    const region = { left: 24, right: 24, ahead: 40, behind: 10 };
    const svg = parse(birdsEyeSvg({ sample: scene, region, width: 480 }));
    // 10 px a metre, origin at (240, 400); the car is at (5, 20) and heads up.
    expect(svg.querySelector(".agent-car > g")?.getAttribute("transform")).toBe("translate(290 200) rotate(-90)");
    expect(svg.querySelector(".agent-car rect")?.getAttribute("width")).toBe("45");
    expect(svg.querySelector(".map-boundary")?.getAttribute("d")).toBe("M200 600L200 100");
    expect(svg.querySelector(".ego")?.getAttribute("transform")).toBe("translate(240 395)");
    expect(svg.querySelector(".ego rect")?.getAttribute("height")).toBe("40.84");
    expect(svg.querySelector(".scale-bar path")?.getAttribute("d")).toBe("M12 484V488H112V484");
  });

  it("shows probability as opacity, linear and up to 1, and draws the likely modes last", () => {
    const opacities = modeOpacities(probabilities);
    expect(opacities[7]).toBe(1);
    expect(opacities[3]).toBeCloseTo(FAINTEST_MODE + (1 - FAINTEST_MODE) / 2, 12);
    expect(modeOpacities([0, 0])).toEqual([FAINTEST_MODE, FAINTEST_MODE]);
    const drawn = parse(birdsEyeSvg({ sample: scene, plan })).querySelectorAll(".mode");
    const third = drawn.find((mode) => mode.getAttribute("data-mode") === "3");
    expect(third?.getAttribute("stroke-opacity")).toBe("0.56");
    expect(drawn.slice(-2).map((mode) => mode.getAttribute("data-mode"))).toEqual(["3", "7"]);
  });

  it("grows ahead for fast plans, up to a limit", () => {
    const height = (last: number): number => Number(parse(birdsEyeSvg({ sample: scene, expert: [0, last], legend: false })).querySelector("svg")?.getAttribute("height"));
    expect(height(20)).toBe(30 + 600);
    expect(height(60)).toBe(30 + Math.round((76 * 480) / 44));
    expect(height(1e6)).toBe(30 + Math.round((92 * 480) / 44));
  });

  it("escapes text and leaves out what is switched off", () => {
    const text = birdsEyeSvg({ sample: scene, title: `<b>&"x"</b>`, legend: false, agentFutures: false });
    expect(text).toContain("&lt;b&gt;&amp;&quot;x&quot;&lt;/b&gt;");
    expect(text).not.toContain("<b>");
    const svg = parse(text);
    expect(svg.querySelectorAll(".legend-entry, .agent-future, .plan, .expert").length).toBe(0);
  });

  it("draws an empty scene and refuses a broken one", () => {
    const empty = { command: 2, boxes: [], labels: [], lines: [], lineLabels: [] };
    expect(parse(birdsEyeSvg({ sample: empty })).querySelectorAll(".ego").length).toBe(1);
    expect(() => birdsEyeSvg({ sample: { ...empty, labels: [1] } })).toThrow("boxes [N, 9] and labels [N]");
    expect(() => birdsEyeSvg({ sample: { ...scene, labels: [0, 12, 0] } })).toThrow("unknown class");
    expect(() => birdsEyeSvg({ sample: scene, expert: [0, NaN] })).toThrow("expected finite metres");
    expect(() => birdsEyeSvg({ sample: scene, plan: { ...plan, chosen: 18 } })).toThrow("chosen below M");
    expect(() => birdsEyeSvg({ sample: scene, plan: { ...plan, probabilities: probabilities.map(() => NaN) } })).toThrow("probability 0");
    expect(() => birdsEyeSvg({ sample: scene, width: 20 })).toThrow("at least 200 px");
  });
});

describe("svgToPng", () => {
  it("renders the picture at the asked scale, colours and text included", async () => {
    const svg = birdsEyeSvg({ sample: scene, plan, expert, title: "scene-0001", width: 240, legend: false });
    const png = await svgToPng(svg, { scale: 2 });
    const view = new DataView(png.buffer, png.byteOffset);
    expect([...png.subarray(0, 4)]).toEqual([0x89, 0x50, 0x4e, 0x47]);
    expect([view.getUint32(16), view.getUint32(20)]).toEqual([480, 660]);
    const withoutTitle = await svgToPng(svg.replaceAll("scene-0001", ""), { scale: 2 });
    expect(png.length).toBeGreaterThan(withoutTitle.length + 200);
  });

  it("refuses what is no picture", async () => {
    await expect(svgToPng("<svg")).rejects.toThrow("expected an SVG document");
  });
});

describe("roadAround", () => {
  const lane = { id: "a", connector: false, successors: [], polygon: new Float64Array([100, 50, 103, 50, 103, 60]), centerline: new Float64Array() };
  const connector = { id: "b", connector: true, successors: [], polygon: null, centerline: new Float64Array([100, 50, 0, 110, 50, 0]) };
  const far = { ...lane, id: "c", polygon: new Float64Array([900, 50, 903, 50, 903, 60]) };
  const ego = { heading: new Float64Array([0]), position: new Float64Array([99.06, 50, 0]) };
  const world = { lanes: [lane, connector, far], ego } as unknown as Scene;

  it("turns lanes near the ego into the model frame, connectors into strips", () => {
    // The ego drives along +x with its lidar at (100, 50): x of the world is forward, y is to the left.
    const rounded = (outline: Float64Array | undefined): number[] => Array.from(outline ?? [], (value) => Math.round(100 * value) / 100 + 0);
    const outlines = roadAround(world, { frame: 0 });
    expect(outlines.map(rounded)).toEqual([[0, 0, 0, 3, -10, 3], [-1.75, 0, -1.75, 10, 1.75, 10, 1.75, 0]]);
    expect(rounded(roadAround(world, { frame: 0, mirrored: true })[0])).toEqual([0, 0, 0, 3, 10, 3]);
  });
});
