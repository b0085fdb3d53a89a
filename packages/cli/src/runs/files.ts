import { constants } from "node:fs";
import { access, mkdir, mkdtemp, readdir, rmdir, stat } from "node:fs/promises";
import path from "node:path";
import writeFileAtomic from "write-file-atomic";
import { RunError } from "../errors.js";

/**
 * Writes a file and the folders above it: to a temporary file that is flushed to disk and renamed, so that nobody ever
 * sees half of it.
 * @throws RunError when it cannot be written
 */
export async function writeWhole(file: string, content: string | Uint8Array): Promise<void> {
  try {
    await mkdir(path.dirname(file), { recursive: true });
    await writeFileAtomic(file, typeof content === "string" ? content : Buffer.from(content.buffer, content.byteOffset, content.byteLength));
  } catch (cause) {
    throw new RunError(`${file}: the file cannot be written (${reasonOf(cause)}). Check the path, its permissions and free space.`);
  }
}

/**
 * Makes sure that a folder exists or could be made, without leaving anything: a long run must not fail at its end.
 * @param where start of the message, e.g. "train teacher"
 * @throws RunError naming what is in the way
 */
export async function requireWritable(folder: string, where: string): Promise<void> {
  for (let at = path.resolve(folder); ; at = path.dirname(at)) {
    const info = await stat(at).catch((cause: unknown) => {
      // Above a missing folder, or above something that is no folder, the next one tells.
      if (["ENOENT", "ENOTDIR"].includes(codeOf(cause)) && path.dirname(at) !== at) return null;
      throw new RunError(`${where}: ${folder} cannot be written (${reasonOf(cause)}). Choose another --out.`);
    });
    if (info === null) continue;
    if (!info.isDirectory()) throw new RunError(`${where}: ${folder} cannot be written, expected a folder, got the file ${at} in its place. Choose another --out.`);
    // Permissions are not all: some file systems (/proc) grant them and make nothing. Making folders there in one call never returns.
    await access(at, constants.W_OK | constants.X_OK)
      .then(() => mkdtemp(path.join(at, ".distilldrive-")))
      .then(rmdir)
      .catch((cause: unknown) => {
        throw new RunError(`${where}: ${folder} cannot be written (${reasonOf(cause)}), expected a place where folders can be made. Choose another --out.`);
      });
    return;
  }
}

/** Names in a folder; none where it does not exist. @throws RunError when it is there but cannot be listed */
export async function listFolder(folder: string): Promise<string[]> {
  return readdir(folder).catch((cause: unknown) => {
    if (codeOf(cause) === "ENOENT") return [];
    throw new RunError(`${folder}: cannot be listed (${reasonOf(cause)}). Give a folder that you may read.`);
  });
}

/** "ENOENT: no such file or directory" of a failed file operation. */
export function reasonOf(cause: unknown): string {
  return cause instanceof Error ? cause.message.replace(/, \w+ '.*$/, "") : String(cause);
}

function codeOf(cause: unknown): string {
  return cause instanceof Error && "code" in cause ? String(cause.code) : "";
}
