import { planningMetrics, type PlanningTable } from "@distilldrive/metrics";
import { parse } from "node-html-parser";
import { describe, expect, it } from "vitest";
import { birdsEyeSvg } from "./birds-eye.js";
import { cameraStripFigure, CAMERA_ROWS, type CameraName } from "./camera-strip.js";
import { lineChartSvg } from "./line-chart.js";
import { plannerTextTable } from "./planner-table.js";
import { reportHtml, type Report } from "./report.js";
import { textTable } from "./text-table.js";

/** A table of one sample driving straight, planned `error` metres to the right. */
function tableWith(error: number): PlanningTable {
  const metrics = planningMetrics();
  const egoFuture = [0, 4, 0, 4, 0, 4, 0, 4, 0, 4, 0, 4];
  const sample = { command: 2, egoFuture, egoFutureMask: [1, 1, 1, 1, 1, 1], futureObstacles: [] };
  metrics.add({ sample, waypoints: egoFuture.map((_, i) => (i % 2 === 0 ? error : 4 * ((i + 1) / 2))) });
  return metrics.result();
}
const planners = [
  { name: "constant velocity", table: tableWith(1.25) },
  { name: "teacher <T>", table: tableWith(0.5), emphasis: true },
  { name: "untested", table: planningMetrics().result() },
];
const picture = birdsEyeSvg({ sample: { command: 2, boxes: [], labels: [], lines: [], lineLabels: [] } });
const png = new Uint8Array([0x89, 0x50, 0x4e, 0x47, 1, 2, 3]);
const images = Object.fromEntries(CAMERA_ROWS.flat().map((camera) => [camera, png])) as Record<CameraName, Uint8Array>;
const report: Report = {
  title: "Run <1> & more",
  summary: "What it is about.",
  highlights: [{ label: "L2", value: "0.50 m" }],
  planners,
  charts: [{ title: "Teacher", xLabel: "step", yLabel: "loss", curves: [{ name: "total", points: [[0, 2], [1, 1]] }] }],
  pictures: [{ svg: picture, caption: "first" }, { svg: picture, caption: "second" }],
  cameras: [{ images, caption: "six views" }],
  run: { seed: 7, command: 'train --data "<dir>"' },
};

describe("reportHtml", () => {
  const html = reportHtml(report);
  const page = parse(html);

  it("is one document with every section, and loads nothing", () => {
    expect(html.startsWith("<!doctype html>")).toBe(true);
    expect(page.querySelectorAll("h2").map((heading) => heading.text)).toEqual(["Results", "Training", "From above", "What the student sees", "Run"]);
    expect([page.querySelectorAll(".gallery svg[role=img]").length, page.querySelectorAll(".camera img").length]).toEqual([2, 6]);
    expect(html).not.toMatch(/(src|href)="(?!data:)/);
    expect(html).not.toMatch(/https?:\/\/(?!www\.w3\.org\/2000\/svg)/);
    expect(page.querySelectorAll("script, link").length).toBe(0);
  });

  it("has accessible tables with the numbers, and marks the best of each column", () => {
    const [cumulative, atStep, perCommand] = page.querySelectorAll("table");
    const cells = (row: number): string[] => cumulative?.querySelectorAll("tbody tr")[row]?.querySelectorAll("td").map((cell) => cell.text) ?? [];
    expect(cells(0)).toEqual(["1.25", "1.25", "1.25", "1.25", "0.00", "0.00", "0.00", "0.00", "1"]);
    expect(cells(2)).toEqual(["–", "–", "–", "–", "–", "–", "–", "–", "0"]);
    expect(cumulative?.querySelectorAll("td.best strong").map((cell) => cell.text)).toEqual(["0.50", "0.50", "0.50", "0.50"]);
    expect(cumulative?.querySelectorAll('th[scope="row"]').map((cell) => cell.text)).toEqual(["constant velocity", "teacher <T>", "untested"]);
    expect(cumulative?.querySelectorAll("tr.emphasis").length).toBe(1);
    expect([cumulative, atStep, perCommand].map((table) => table?.querySelector(".caption-title")?.text)).toEqual(["Cumulative mean", "At the step", "Per command"]);
    expect(perCommand?.querySelectorAll("thead th[scope=colgroup]").map((cell) => cell.text)).toEqual(["left (0 samples)", "straight (1 samples)", "right (0 samples)"]);
  });

  it("escapes every text", () => {
    expect(page.querySelector("h1")?.innerHTML).toBe("Run &lt;1&gt; &amp; more");
    expect(page.querySelectorAll("dd").map((entry) => entry.innerHTML)).toEqual(["7", "train --data &quot;&lt;dir&gt;&quot;"]);
  });

  it("leaves out empty sections and refuses pictures that do more than draw", () => {
    expect(parse(reportHtml({ title: "x" })).querySelectorAll("section").length).toBe(0);
    for (const svg of ["<svg><script>1</script></svg>", '<svg onload="x"></svg>', '<svg><image href="http://x"/></svg>', "<img>"]) {
      expect(() => reportHtml({ title: "x", pictures: [{ svg, caption: "p" }] })).toThrow("no plain drawing");
    }
  });
});

describe("cameraStripFigure", () => {
  it("arranges the cameras as in nuScenes and inlines their images", () => {
    const figure = parse(cameraStripFigure({ images, caption: "a < b" }));
    expect(figure.querySelectorAll(".camera-name").map((name) => name.text)).toEqual(["front left", "front", "front right", "back left", "back", "back right"]);
    expect(figure.querySelector("img")?.getAttribute("src")).toBe("data:image/png;base64,iVBORwECAw==");
    expect(figure.querySelector("figcaption")?.innerHTML).toBe("a &lt; b");
    expect(() => cameraStripFigure({ images: { ...images, CAM_BACK: new Uint8Array(4) } })).toThrow("no image for CAM_BACK");
  });
});

describe("lineChartSvg", () => {
  const points = Array.from({ length: 200 }, (_, i) => [i, 10 * Math.exp(-i / 50)] as const);

  it("draws raw curve and mean of each series, with ticks and labels", () => {
    const svg = parse(lineChartSvg({ title: "Loss", xLabel: "step", yLabel: "loss (m)", curves: [{ name: "a", points }, { name: "b", points: points.slice(0, 3) }], yScale: "log" }));
    expect([svg.querySelectorAll(".raw").length, svg.querySelectorAll(".mean").length]).toEqual([2, 1]);
    expect(svg.querySelectorAll(".x-axis text").map((tick) => tick.text)).toEqual(["0", "50", "100", "150"]);
    expect(svg.querySelectorAll(".y-axis text").map((tick) => tick.text)).toEqual(["0.1", "0.2", "0.5", "1", "2", "5", "10"]);
    expect(svg.querySelectorAll(".chart-legend text").map((entry) => entry.text)).toEqual(["a", "b"]);
  });

  it("ends a log axis at 1, 2 or 5 times a power of ten", () => {
    const ticks = (low: number, high: number): string[] =>
      parse(lineChartSvg({ title: "t", xLabel: "x", yLabel: "y", yScale: "log", curves: [{ name: "a", points: [[0, low], [1, high]] }] })).querySelectorAll(".y-axis text").map((tick) => tick.text);
    expect(ticks(0.07, 0.7)).toEqual(["0.05", "0.1", "0.2", "0.5", "1"]);
    expect(ticks(2, 5)).toEqual(["2", "5"]);
    expect(ticks(0.3, 30)).toEqual(["0.2", "0.5", "1", "2", "5", "10", "20", "50"]);
  });

  it("breaks at points that cannot be drawn, and needs at least one that can", () => {
    const chart = { title: "t", xLabel: "x", yLabel: "y" };
    const raw = parse(lineChartSvg({ ...chart, curves: [{ name: "a", points: [[0, 1], [1, 2], [2, NaN], [3, 1], [4, 2]] }] })).querySelector(".raw");
    expect(raw?.getAttribute("d")?.match(/M/g)?.length).toBe(2);
    expect(() => lineChartSvg({ ...chart, curves: [{ name: "a", points: [[0, NaN]] }] })).toThrow("nothing to draw");
    expect(lineChartSvg({ ...chart, curves: [{ name: "a", points: [[5, 3]] }] })).not.toContain("NaN");
  });
});

describe("text tables", () => {
  it("align text left and numbers right", () => {
    expect(textTable([["name", "value"], ["a", 1.5], ["longer", 12.345], ["none", null]])).toBe(
      ["name    value", "──────  ─────", "a        1.50", "longer  12.35", "none        –"].join("\n"),
    );
    expect(textTable([])).toBe("");
  });

  it("print the comparison of planners", () => {
    const lines = plannerTextTable(planners).split("\n");
    expect(lines[1]).toBe("planner            L2 1 s  L2 2 s  L2 3 s  L2 avg  col 1 s  col 2 s  col 3 s  col avg  samples");
    expect(lines[3]).toBe("constant velocity    1.25    1.25    1.25    1.25    0.00%    0.00%    0.00%    0.00%        1");
    expect(lines[5]).toMatch(/^untested +– +–/);
  });
});
