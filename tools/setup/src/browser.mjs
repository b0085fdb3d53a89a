import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { installPackages, readRelease } from "./apt.mjs";
import { say } from "./process.mjs";

/** Names of Chromium and its relatives, looked up in PATH. */
const commands = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];
const elsewhere = ["/Applications/Google Chrome.app/Contents/MacOS/Google Chrome", "/Applications/Chromium.app/Contents/MacOS/Chromium"];

/**
 * Chromium for the tests that run in a page: `CHROMIUM_PATH`, or what is in PATH.
 * @param {Readonly<Record<string, string | undefined>>} [env]
 * @returns {string | undefined} undefined where there is none
 */
export function findChromium(env = process.env) {
  const named = env["CHROMIUM_PATH"];
  if (named !== undefined && named !== "") return existsSync(named) ? named : undefined;
  const folders = (env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "");
  return [...commands.flatMap((name) => folders.map((folder) => join(folder, name))), ...elsewhere].find((file) => existsSync(file));
}

/**
 * Make sure that there is a Chromium where that takes no asking: as root on Debian it is installed with apt. Without
 * one the tests that need it are skipped and say so.
 * @returns {void}
 */
export function ensureChromium() {
  if (findChromium() !== undefined) return;
  const release = readRelease();
  if (process.platform !== "linux" || process.getuid?.() !== 0 || release?.id !== "debian") return;
  say("no Chromium here; installing it with apt for the tests that run in a page, about a minute");
  const { ok, summary } = installPackages(release, ["chromium"]);
  say(ok ? `browser  installed ${summary}` : `browser  none, tests in a page are skipped: ${summary}`);
}
