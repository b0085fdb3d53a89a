import { applyRecordedAdapter, adapterEnvironment, forgetAdapter, linkLoader, recordAdapter, recordedAdapter } from "./recorded-adapter.mjs";
import { driverPackages, installDriver, readRelease, usesApt } from "./apt.mjs";
import { describeAdapter, probe } from "./probe.mjs";
import { say, SetupError } from "./process.mjs";
import { swiftshaderFits, unpackSwiftshader } from "./swiftshader.mjs";

/**
 * Make sure that WebGPU finds an adapter, and say in one line which one and what it took: what is there; else,
 * as root with apt, a current llvmpipe; else SwiftShader unpacked into the clone.
 * @returns {void} afterwards this process and its children find the adapter
 * @throws {SetupError} when there is none; the message says exactly what to install
 */
export function ensureAdapter() {
  const present = probe();
  if (present.adapter !== null) {
    if (process.env.VK_DRIVER_FILES === undefined) forgetAdapter();
    say(`adapter  ${describeAdapter(present.adapter)}`);
    return;
  }

  const earlier = recordedAdapter();
  if (earlier !== undefined) {
    linkLoader(earlier);
    const again = probe(adapterEnvironment(earlier));
    if (again.adapter !== null) {
      applyRecordedAdapter();
      say(`adapter  ${describeAdapter(again.adapter)} (unpacked earlier into .cache)`);
      return;
    }
  }

  const attempts = [`found: ${present.problem}`];
  const release = readRelease();
  if (process.platform === "linux" && process.getuid?.() === 0 && release !== undefined && usesApt(release)) {
    say(`no WebGPU adapter here; installing ${driverPackages.join(" and ")} with apt, about a minute`);
    const installed = installDriver(release);
    const after = installed.ok ? probe() : { adapter: null, problem: installed.summary };
    if (after.adapter !== null) {
      say(`adapter  ${describeAdapter(after.adapter)}: installed ${installed.summary}`);
      return;
    }
    attempts.push(`apt: ${after.problem}`);
  }

  if (swiftshaderFits()) {
    say("no WebGPU adapter here; unpacking SwiftShader from npm into .cache (70 MB download, no root needed)");
    try {
      const unpacked = unpackSwiftshader();
      linkLoader(unpacked);
      const after = probe(adapterEnvironment(unpacked));
      if (after.adapter !== null) {
        recordAdapter(unpacked);
        applyRecordedAdapter();
        say(`adapter  ${describeAdapter(after.adapter)}: unpacked into .cache. llvmpipe is several times faster: ${advice(release)}`);
        return;
      }
      attempts.push(`SwiftShader: ${after.problem}`);
    } catch (error) {
      attempts.push(error instanceof Error ? error.message : String(error));
    }
  }
  throw new SetupError(`setup: no WebGPU adapter. To get one: ${advice(release)}, then run the same command again.\n${attempts.join("\n")}`);
}

/**
 * What to type on this machine to get an adapter.
 * @param {import("./apt.mjs").Release | undefined} release undefined where there is no os-release file
 * @param {NodeJS.Platform} [platform]
 * @returns {string}
 */
export function advice(release, platform = process.platform) {
  if (platform === "darwin") return "update macOS (Metal is part of it)";
  if (platform === "win32") return "install the graphics card's current driver (Direct3D 12)";
  const names = [release?.id ?? "", ...(release?.like ?? [])];
  if (release?.codename === "bookworm") {
    return `add the suite bookworm-backports to your apt sources, then "apt-get update && apt-get install -t bookworm-backports ${driverPackages.join(" ")}" as root`;
  }
  if (names.includes("debian") || names.includes("ubuntu")) return `"apt-get update && apt-get install ${driverPackages.join(" ")}" as root`;
  if (names.includes("fedora")) return `"dnf install mesa-vulkan-drivers vulkan-loader" as root`;
  if (names.includes("arch")) return `"pacman -S vulkan-swrast vulkan-icd-loader" as root`;
  return "install a Vulkan 1.1 driver (Mesa 23 or later has llvmpipe, which needs no GPU) and the Vulkan loader libvulkan.so.1; Alpine's musl is not supported";
}
