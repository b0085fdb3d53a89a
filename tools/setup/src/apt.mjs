import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseDeb822Sources, parseOneLineSources, withBackports } from "./apt-sources.mjs";
import { runQuietly, tail } from "./process.mjs";

/** What a machine without a usable driver lacks. */
export const driverPackages = ["mesa-vulkan-drivers", "libvulkan1"];

/**
 * @typedef {{ id: string, like: string[], codename: string }} Release fields ID, ID_LIKE and VERSION_CODENAME of os-release
 */

/**
 * @param {string} text contents of /etc/os-release
 * @returns {Release}
 */
export function parseRelease(text) {
  /** @type {(name: string) => string} */
  const field = (name) => new RegExp(`^${name}=["']?([^"'\n]*)`, "m").exec(text)?.[1] ?? "";
  return { id: field("ID"), like: field("ID_LIKE").split(" "), codename: field("VERSION_CODENAME") };
}

/**
 * @returns {Release | undefined} undefined where there is no os-release file
 */
export function readRelease() {
  return existsSync("/etc/os-release") ? parseRelease(readFileSync("/etc/os-release", "utf8")) : undefined;
}

/**
 * @param {Release} release
 * @returns {boolean}
 */
export function usesApt(release) {
  return [release.id, ...release.like].some((id) => id === "debian" || id === "ubuntu");
}

/**
 * Install a current llvmpipe as root. Debian 12's own Mesa 22.3 is refused by Dawn, so there the packages come
 * from bookworm-backports, through the mirrors the machine already uses.
 * @param {Release} release
 * @param {{ dryRun?: boolean }} [options] dryRun: let apt say what it would install
 * @returns {{ ok: boolean, summary: string }} summary: what was done, or the end of apt's complaint
 */
export function installDriver(release, options = {}) {
  return installPackages(release, driverPackages, { ...options, backports: release.codename === "bookworm" });
}

/**
 * Install packages as root. Package lists and, for backports, the sources file are temporary: the packages are all that stays.
 * @param {Release} release
 * @param {readonly string[]} packages the first one's version is reported
 * @param {{ dryRun?: boolean, backports?: boolean }} [options] backports: from that suite; dryRun: let apt say what it would install
 * @returns {{ ok: boolean, summary: string }} summary: what was done, or the end of apt's complaint
 */
export function installPackages(release, packages, { dryRun = false, backports = false } = {}) {
  const work = mkdtempSync(join(tmpdir(), "distilldrive-apt-"));
  try {
    const lists = join(work, "lists");
    mkdirSync(join(lists, "partial"), { recursive: true });
    chmodSync(work, 0o755); // apt reads them as user _apt
    const settings = ["-q", "-o", `Dir::State::lists=${lists}`, "-o", "DPkg::Lock::Timeout=120", "-o", "Acquire::Retries=3"];
    const target = [];
    let origin = `${release.id} ${release.codename}`;
    if (backports) {
      const text = withBackports(configuredSources(), release.codename);
      if (text === undefined) return { ok: false, summary: `apt has no network source for ${release.codename}` };
      const file = join(work, "distilldrive.sources");
      writeFileSync(file, text);
      settings.push("-o", `Dir::Etc::SourceList=${file}`, "-o", "Dir::Etc::SourceParts=/dev/null");
      origin = `${release.codename}-backports`;
      target.push("-t", origin);
    }
    const env = { DEBIAN_FRONTEND: "noninteractive", LC_ALL: "C.UTF-8" };
    const update = runQuietly("apt-get", [...settings, "update"], { env });
    if (!update.ok) return { ok: false, summary: tail(update.output, 5) };
    const flags = ["-y", "--no-install-recommends", ...target, ...(dryRun ? ["--dry-run"] : [])];
    const install = runQuietly("apt-get", [...settings, "install", ...flags, ...packages], { env });
    if (!install.ok) return { ok: false, summary: tail(install.output, 5) };
    const version = new RegExp(`^(?:Setting up|Inst) ${packages[0]}(?::\\S+)? (?:\\[\\S+\\] )?\\(?([^\\s)]+)`, "m").exec(install.output)?.[1];
    return { ok: true, summary: `${packages.join(" and ")}${version === undefined ? "" : ` ${version}`} from ${origin}` };
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/**
 * Everything in /etc/apt/sources.list and /etc/apt/sources.list.d.
 * @returns {import("./apt-sources.mjs").AptSource[]}
 */
function configuredSources() {
  const folder = "/etc/apt/sources.list.d";
  const files = ["/etc/apt/sources.list", ...(existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : [])];
  return files.filter((file) => existsSync(file)).flatMap((file) => {
    if (file.endsWith(".list")) return parseOneLineSources(readFileSync(file, "utf8"));
    return file.endsWith(".sources") ? parseDeb822Sources(readFileSync(file, "utf8")) : [];
  });
}
