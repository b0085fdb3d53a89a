import { existsSync, lstatSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { cacheFolder, repositoryRoot } from "./paths.mjs";

const record = join(cacheFolder, "adapter.json");

/**
 * What set-up unpacked without root: a Vulkan loader and the manifest of a driver.
 * @typedef {{ loader: string, manifest: string }} RecordedAdapter paths relative to the clone
 */

/**
 * The driver that set-up unpacked earlier, where it did and the files are still there.
 * @returns {RecordedAdapter | undefined}
 */
export function recordedAdapter() {
  if (!existsSync(record)) return undefined;
  const found = /** @type {RecordedAdapter} */ (JSON.parse(readFileSync(record, "utf8")));
  const complete = [found.loader, found.manifest].every((path) => existsSync(join(repositoryRoot, path)));
  return complete ? found : undefined;
}

/**
 * @param {RecordedAdapter} adapter
 * @returns {void}
 */
export function recordAdapter(adapter) {
  mkdirSync(dirname(record), { recursive: true });
  writeFileSync(record, `${JSON.stringify(adapter, null, 2)}\n`);
}

/** @returns {void} */
export function forgetAdapter() {
  rmSync(record, { force: true });
}

/**
 * Environment under which the Vulkan loader finds the driver.
 * Both names: VK_DRIVER_FILES is the current one, VK_ICD_FILENAMES the one loaders before 1.3.207 know.
 * @param {RecordedAdapter} adapter
 * @returns {Record<string, string>}
 */
export function adapterEnvironment(adapter) {
  const manifest = join(repositoryRoot, adapter.manifest);
  return { VK_DRIVER_FILES: manifest, VK_ICD_FILENAMES: manifest };
}

/**
 * Put the unpacked Vulkan loader beside Dawn, the first place where Dawn looks for one. Unlike
 * LD_LIBRARY_PATH this needs no restart of the process; `npm ci` removes it, so it is done on every use.
 * @param {RecordedAdapter} adapter
 * @returns {void}
 */
export function linkLoader(adapter) {
  const folder = join(repositoryRoot, "node_modules", "webgpu", "dist", `${process.platform}-${process.arch}`);
  const link = join(folder, "libvulkan.so.1");
  if (!existsSync(folder)) return;
  const occupied = lstatSync(link, { throwIfNoEntry: false }) !== undefined;
  if (occupied && existsSync(link)) return;
  if (occupied) rmSync(link);
  symlinkSync(join(repositoryRoot, adapter.loader), link);
}

/**
 * Make this process and its children use the driver that set-up unpacked earlier. Call before the first
 * WebGPU call. Does nothing where there is none or the user chose a driver through the environment.
 * @returns {Record<string, string>} what was added to the environment
 */
export function applyRecordedAdapter() {
  const adapter = recordedAdapter();
  if (adapter === undefined || process.env.VK_DRIVER_FILES !== undefined || process.env.VK_ICD_FILENAMES !== undefined) return {};
  linkLoader(adapter);
  const added = adapterEnvironment(adapter);
  Object.assign(process.env, added);
  return added;
}
