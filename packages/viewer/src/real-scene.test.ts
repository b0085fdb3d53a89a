import { loadScenes, sampleFeatures } from "@distilldrive/datasets";
import { cumulate } from "@distilldrive/metrics";
import { sharedPath } from "@distilldrive/testkit";
import { parse } from "node-html-parser";
import { describe, expect, it } from "vitest";
import { birdsEyeSvg } from "./birds-eye.js";
import { roadAround } from "./road.js";

const folder = sharedPath("data", "scenarionet");

describe.skipIf(folder === null)("birdsEyeSvg of a real scene", () => {
  it.each([false, true])("draws all the sample holds, mirrored: %s", async (mirror) => {
    const [scene] = await loadScenes(folder ?? "", { only: ["0061"] });
    if (scene === undefined) throw new Error("scene-0061 is missing");
    const sample = sampleFeatures(scene, 100, { mirror });
    const expert = cumulate(sample.egoFuture);
    const svg = parse(birdsEyeSvg({ sample, expert, road: roadAround(scene, sample) }));
    const ones = (mask: Float32Array): number => mask.reduce((sum, value) => sum + value, 0);
    expect(svg.querySelectorAll(".agent").length).toBe(ones(sample.agentMask));
    expect(svg.querySelectorAll(".map").length).toBe(ones(sample.lineMask));
    expect(ones(sample.agentMask)).toBeGreaterThan(20);
    expect(svg.querySelectorAll(".road").length).toBeGreaterThan(10);
    expect(svg.querySelector(".command")?.text).toBe(`4.3 m/s · ${mirror ? "right" : "left"}`);
    // The driven path bends to the side of the command: left of the centre at 240 px, right when mirrored.
    const last = Number(svg.querySelectorAll(".expert circle").at(-1)?.getAttribute("cx"));
    expect(Math.sign(last - 240)).toBe(mirror ? 1 : -1);
  });
});
