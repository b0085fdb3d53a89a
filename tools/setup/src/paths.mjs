import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** Root folder of the clone. */
export const repositoryRoot = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "..");

/** Folder for what set-up unpacks and remembers; ignored by git, safe to delete. */
export const cacheFolder = join(repositoryRoot, ".cache");
