import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliDecompressSync, gunzipSync } from "node:zlib";
import { cacheFolder } from "./paths.mjs";
import { npmProgram, runQuietly, SetupError, tail } from "./process.mjs";
import { readTar } from "./tar.mjs";

// The npm package carries Chromium's own Vulkan loader and SwiftShader in a 3 MB archive (Linux, x86-64, glibc).
const source = {
  package: "@sparticuz/chromium@147.0.0",
  integrity: "sha512-4ZKeAQQa8up2mt675qSitztLdbQrlf8BKdC5naeap+5Mv1OV1OlJdPoU+EJC/p5sQUJUQmN4r+q5+EhaaOUHpQ==",
  archive: "package/bin/swiftshader.tar.br",
  files: ["libvulkan.so.1", "libvk_swiftshader.so", "vk_swiftshader_icd.json"],
};

/**
 * Whether SwiftShader's binaries run here.
 * @returns {boolean}
 */
export function swiftshaderFits() {
  return process.platform === "linux" && process.arch === "x64";
}

/**
 * Fetch SwiftShader through npm and unpack it into the clone's cache folder. Needs no root.
 * @returns {import("./recorded-adapter.mjs").RecordedAdapter}
 * @throws {SetupError} when npm cannot fetch the package or it is not the expected one
 */
export function unpackSwiftshader() {
  mkdirSync(cacheFolder, { recursive: true });
  const work = mkdtempSync(join(cacheFolder, "swiftshader-"));
  try {
    const npm = npmProgram();
    const packed = runQuietly(npm.command, [...npm.args, "pack", source.package, "--pack-destination", work], { cwd: work });
    const name = readdirSync(work).find((file) => file.endsWith(".tgz"));
    if (!packed.ok || name === undefined) {
      throw new SetupError(`setup: npm could not fetch ${source.package}. Check the network.\n${tail(packed.output, 10)}`);
    }
    const tarball = readFileSync(join(work, name));
    const digest = `sha512-${createHash("sha512").update(tarball).digest("base64")}`;
    if (digest !== source.integrity) {
      throw new SetupError(`setup: ${source.package}: unexpected contents, expected ${source.integrity}, got ${digest}. Nothing was unpacked.`);
    }
    const archive = readTar(gunzipSync(tarball)).get(source.archive);
    if (archive === undefined) throw new SetupError(`setup: ${source.package} holds no ${source.archive}`);
    const contents = readTar(brotliDecompressSync(archive));
    const unpacked = join(work, "unpacked");
    mkdirSync(unpacked);
    for (const file of source.files) {
      const bytes = contents.get(file);
      if (bytes === undefined) throw new SetupError(`setup: ${source.package}: ${source.archive} holds no ${file}`);
      writeFileSync(join(unpacked, file), bytes, { mode: 0o755 });
    }
    const home = join(cacheFolder, "swiftshader");
    rmSync(home, { recursive: true, force: true });
    renameSync(unpacked, home);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return { loader: ".cache/swiftshader/libvulkan.so.1", manifest: ".cache/swiftshader/vk_swiftshader_icd.json" };
}
