import type { DatasetFiles } from "./files.js";

/** Files of a folder on disk (Node only). */
export async function diskFiles(folder: string): Promise<DatasetFiles> {
  const { createReadStream } = await import("node:fs");
  const { readdir, stat } = await import("node:fs/promises");
  const root = folder.replace(/[/\\]+$/, "");
  const locate = (path: string): string => (path === "" ? root : `${root}/${path}`);
  return {
    name: `${root}/`,
    open: async (path) => {
      const info = await stat(locate(path)).catch(() => null);
      return info?.isFile() === true ? createReadStream(locate(path), { highWaterMark: 1 << 20 }) : null;
    },
    list: async (path) => (await readdir(locate(path)).catch((): string[] => [])).sort(),
    locate,
  };
}
