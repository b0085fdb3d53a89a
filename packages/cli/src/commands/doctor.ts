import type { Command } from "commander";
import { type AdapterSearch, dawnVersion, findAdapter } from "../adapter.js";
import { type Context, describeCommand, writeJson } from "../command.js";
import { diagnose, type Finding } from "../diagnosis.js";
import { readSystem, type System } from "../system.js";

/** Limits that decide what fits, and what each is for. */
const shownLimits: readonly (readonly [name: string, unit: "bytes" | "count", what: string])[] = [
  ["maxBufferSize", "bytes", "largest buffer"],
  ["maxStorageBufferBindingSize", "bytes", "largest tensor one kernel can bind"],
  ["maxStorageBuffersPerShaderStage", "count", "tensors one kernel can bind"],
  ["maxComputeWorkgroupStorageSize", "bytes", "shared memory of a workgroup"],
  ["maxComputeInvocationsPerWorkgroup", "count", "threads of a workgroup"],
  ["maxComputeWorkgroupsPerDimension", "count", "workgroups per dimension"],
];

/** `distilldrive doctor`: what WebGPU finds here and what is wrong with it. */
export function doctorCommand(context: Context): Command {
  return describeCommand("doctor", "Show the WebGPU adapter, its driver, features and limits, and what is wrong with a remedy.", [
    ["npx distilldrive doctor", "for people"],
    ["npx distilldrive doctor --json", "for machines and bug reports, with every limit"],
  ])
    .option("--json", "print one JSON object")
    .action(async (options: { json?: boolean }) => {
      const system = readSystem(context.io.env, dawnVersion());
      const search = await findAdapter();
      const findings = diagnose(system, search);
      const healthy = !findings.some((finding) => finding.severity === "error");
      if (options.json === true) writeJson(context.io, { ok: healthy, system, adapter: search.found ?? null, findings });
      else context.io.out(formatReport(system, search, findings));
      context.finish(healthy ? 0 : 1);
    });
}

/** The report for people, one fact a line. */
export function formatReport(system: System, search: AdapterSearch, findings: readonly Finding[]): string {
  const adapter = search.found;
  const rows: (readonly [string, string])[] = [
    ["distilldrive", system.distilldrive],
    ["system", `${system.os}, ${system.architecture}, ${system.cores} cores, ${formatBytes(system.memory)} memory`],
    ["node", system.node],
    ["webgpu", system.webgpu === undefined ? "not installed" : `${system.webgpu} (npm, Dawn)`],
    ...Object.entries(system.driverVariables),
  ];
  if (adapter === undefined) {
    rows.push(["adapter", `none: ${search.found === undefined ? search.reason : ""}`]);
  } else {
    const [min, max] = adapter.subgroups;
    rows.push(
      ["adapter", adapter.device === "" ? `${adapter.vendor} ${adapter.architecture}` : adapter.device],
      ["driver", adapter.description],
      ["vendor", `${adapter.vendor} (${adapter.architecture})`],
      ["subgroups", max === 0 ? "none" : min === max ? `${max} lanes` : `${min} to ${max} lanes`],
      ["computes", adapter.computes ? "yes, a test kernel gave the right numbers" : "NO, a test kernel gave wrong numbers"],
    );
    for (const [name, unit, what] of shownLimits) {
      const value = adapter.limits[name];
      if (value !== undefined) rows.push([what, unit === "bytes" ? formatBytes(value) : String(value)]);
    }
    rows.push(["features", wrap(adapter.features, 76)]);
  }
  const width = Math.max(...rows.map(([name]) => name.length)) + 2;
  const text = rows.map(([name, value]) => `${name.padEnd(width)}${value.replaceAll("\n", `\n${" ".repeat(width)}`)}`);
  const problems = findings.map((finding) => `${finding.severity}: ${finding.problem}\n  ${finding.remedy}`);
  return `${[...text, "", ...(problems.length > 0 ? problems : ["All is well."])].join("\n")}\n`;
}

/** 4294967296 -> "4 GiB". */
function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const power = Math.min(Math.floor(Math.log2(Math.max(bytes, 1)) / 10), units.length - 1);
  return `${Number((bytes / 1024 ** power).toFixed(1))} ${units[power] ?? ""}`;
}

/** Words in lines of at most `width` characters. */
function wrap(words: readonly string[], width: number): string {
  const lines: string[] = [];
  for (const word of words) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines.join("\n");
}
