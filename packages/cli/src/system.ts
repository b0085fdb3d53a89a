import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { arch, availableParallelism, platform, release, totalmem } from "node:os";
import { fileURLToPath } from "node:url";

/** The machine and the versions that matter for WebGPU. */
export interface System {
  readonly distilldrive: string;
  /** Name and version of the operating system, e.g. "Debian GNU/Linux 12 (bookworm), Linux 6.1". */
  readonly os: string;
  /** Field ID of os-release, e.g. "debian"; the platform's name elsewhere. */
  readonly distribution: string;
  /** Field VERSION_CODENAME of os-release, e.g. "bookworm"; "" elsewhere. */
  readonly codename: string;
  readonly architecture: string;
  readonly cores: number;
  /** bytes */
  readonly memory: number;
  readonly node: string;
  /** Version of npm `webgpu`, undefined when it is not installed. */
  readonly webgpu: string | undefined;
  /** Environment variables that choose the Vulkan driver. */
  readonly driverVariables: Readonly<Record<string, string>>;
}

const driverVariables = ["VK_DRIVER_FILES", "VK_ICD_FILENAMES", "VK_LOADER_DRIVERS_SELECT", "MESA_VK_DEVICE_SELECT", "LIBGL_ALWAYS_SOFTWARE"];

/** Version of this package; its package.json is one folder up from both src and dist. */
export function packageVersion(): string {
  const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as { version: string };
  return version;
}

/** Commit of the clone this package runs from, "-dirty" behind it where tracked files were changed; null outside of a clone. */
export function sourceCommit(): string | null {
  try {
    const cwd = fileURLToPath(new URL("..", import.meta.url));
    return execFileSync("git", ["describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"], { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  } catch {
    return null;
  }
}

/**
 * Read what the system says about itself.
 * @param env environment to look for driver variables in
 * @param webgpu version of npm `webgpu`, undefined when it is not installed
 */
export function readSystem(env: Readonly<Record<string, string | undefined>>, webgpu: string | undefined): System {
  const osRelease = existsSync("/etc/os-release") ? readFileSync("/etc/os-release", "utf8") : "";
  const field = (name: string): string => new RegExp(`^${name}=["']?([^"'\n]*)`, "m").exec(osRelease)?.[1] ?? "";
  const kernel = `${platform()} ${release()}`;
  return {
    distilldrive: packageVersion(),
    os: osRelease === "" ? kernel : `${field("PRETTY_NAME")}, ${kernel}`,
    distribution: field("ID") || platform(),
    codename: field("VERSION_CODENAME"),
    architecture: arch(),
    cores: availableParallelism(),
    memory: totalmem(),
    node: process.versions.node,
    webgpu,
    driverVariables: Object.fromEntries(driverVariables.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]]))),
  };
}
