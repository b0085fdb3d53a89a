import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/**
 * Path of a file or folder of the shared data (real scenes, golden vectors), or null where it is absent: the folder
 * DISTILLDRIVE_SHARED, else `shared` beside the repository. A test that gets null skips; the reason is printed here.
 *
 * @param parts path inside that folder
 */
export function sharedPath(...parts: string[]): string | null {
  const root = process.env["DISTILLDRIVE_SHARED"] ?? fileURLToPath(new URL("../../../../shared", import.meta.url));
  const path = join(root, ...parts);
  if (existsSync(path)) return path;
  process.stdout.write(`skip: ${parts.join("/")} is not there (set DISTILLDRIVE_SHARED to the folder that holds it)\n`);
  return null;
}
