import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { runQuietly, tail } from "./process.mjs";

const child = join(dirname(fileURLToPath(import.meta.url)), "probe-child.mjs");

/**
 * @typedef {{ vendor: string, architecture: string, description: string }} AdapterName
 */

/**
 * Try to open a WebGPU device in a process of its own.
 * @param {Record<string, string>} [env] added to the process's own, e.g. VK_DRIVER_FILES
 * @returns {{ adapter: AdapterName | null, problem: string }} problem says why there is none, "" when there is one
 */
export function probe(env = {}) {
  const result = runQuietly(process.execPath, [child], { env, timeout: 60_000 });
  const line = result.stdout.trim().split("\n").at(-1) ?? "";
  if (!result.ok || !line.startsWith("{")) return { adapter: null, problem: tail(result.output, 5) || "the probe crashed" };
  const { adapter } = /** @type {{ adapter: AdapterName | null }} */ (JSON.parse(line));
  return { adapter, problem: adapter === null ? "no Vulkan driver that Dawn accepts" : "" };
}

/**
 * @param {AdapterName} adapter
 * @returns {string} one short phrase
 */
export function describeAdapter(adapter) {
  return adapter.description || `${adapter.vendor} ${adapter.architecture}`;
}
