import type { AdapterReport, AdapterSearch } from "./adapter.js";
import type { System } from "./system.js";

/** Something wrong or worth knowing, and what to do about it. */
export interface Finding {
  /** error: nothing can run; warning: it runs, but slower or with less. */
  readonly severity: "error" | "warning";
  readonly problem: string;
  readonly remedy: string;
}

/** Oldest Node.js that the packages support. */
const oldestNode: readonly [major: number, minor: number] = [20, 19];

/** Features the kernels use when they are there, and what is lost without each. */
const usefulFeatures: readonly (readonly [feature: string, without: string])[] = [
  ["subgroups", "matmul and attention use their slower workgroup-memory kernels"],
  ["timestamp-query", "--profile cannot time single kernels"],
];

/**
 * What is wrong on this machine, errors first.
 * @param system versions and driver variables
 * @param search outcome of looking for an adapter
 */
export function diagnose(system: System, search: AdapterSearch): Finding[] {
  const findings = [...diagnoseNode(system), ...(search.found === undefined ? diagnoseMissing(system, search) : diagnoseAdapter(system, search.found))];
  return findings.sort((a, b) => Number(a.severity === "warning") - Number(b.severity === "warning"));
}

function diagnoseNode(system: System): Finding[] {
  const [major = 0, minor = 0] = system.node.split(".").map(Number);
  const [oldestMajor, oldestMinor] = oldestNode;
  if (major > oldestMajor || (major === oldestMajor && minor >= oldestMinor)) return [];
  return [{ severity: "error", problem: `Node.js ${system.node} is too old, expected ${oldestNode.join(".")} or newer.`, remedy: "Install a current Node.js (22 or 24)." }];
}

function diagnoseMissing(system: System, search: { readonly loaded: boolean; readonly reason: string }): Finding[] {
  if (!search.loaded) {
    const remedy = system.webgpu === undefined ? "Run: npm install webgpu" : `npm webgpu has no build for ${system.distribution} on ${system.architecture}, or a system library is missing (the message names it).`;
    return [{ severity: "error", problem: `WebGPU could not be loaded: ${search.reason}`, remedy }];
  }
  const chosen = Object.entries(system.driverVariables).map(([name, value]) => `${name}=${value}`);
  const findings: Finding[] = [{ severity: "error", problem: `No WebGPU adapter: ${search.reason}.`, remedy: driverRemedy(system) }];
  if (chosen.length > 0) {
    findings.push({ severity: "warning", problem: `The environment chooses the driver: ${chosen.join(" ")}.`, remedy: "Check that this file exists, or unset the variable." });
  }
  return findings;
}

function diagnoseAdapter(system: System, adapter: AdapterReport): Finding[] {
  const findings: Finding[] = [];
  if (!adapter.computes) {
    findings.push({ severity: "error", problem: `${adapter.description} computes wrong numbers.`, remedy: `Update the driver. ${driverRemedy(system)}` });
  }
  if (/swiftshader/i.test(adapter.description)) {
    findings.push({ severity: "warning", problem: "SwiftShader is 3 to 8 times slower than Mesa's llvmpipe.", remedy: driverRemedy(system) });
  }
  for (const [feature, without] of usefulFeatures) {
    if (adapter.features.includes(feature)) continue;
    findings.push({ severity: "warning", problem: `The adapter lacks "${feature}": ${without}.`, remedy: "A newer driver may have it; nothing else is needed." });
  }
  return findings;
}

/** What to install on this system to get a good driver. */
function driverRemedy(system: System): string {
  const clone = 'In the clone, "npm run setup" does it for you where it can.';
  if (system.distribution === "darwin") return "Update macOS: Metal is part of it.";
  if (system.distribution === "win32") return "Install the graphics card's current driver (Direct3D 12).";
  if (system.codename === "bookworm") {
    return `As root, with the suite bookworm-backports in apt's sources: apt-get install -t bookworm-backports mesa-vulkan-drivers libvulkan1. ${clone}`;
  }
  if (system.distribution === "debian" || system.distribution === "ubuntu") return `As root: apt-get install mesa-vulkan-drivers libvulkan1. ${clone}`;
  if (system.distribution === "fedora") return "As root: dnf install mesa-vulkan-drivers vulkan-loader.";
  if (system.distribution === "arch") return "As root: pacman -S vulkan-swrast vulkan-icd-loader.";
  return `Install a Vulkan 1.1 driver (Mesa 23 or later has llvmpipe, which needs no GPU) and the loader libvulkan.so.1. ${clone}`;
}
