import type { NumpyArchive } from "@distilldrive/training";

/** An archive that knows which of its arrays were read. */
export interface WatchedArchive extends NumpyArchive {
  /** Names nobody has asked for the values of. */
  readonly unread: () => string[];
}

/** Watches an archive: what is neither an input nor compared must be told. */
export function watched(archive: NumpyArchive): WatchedArchive {
  const read = new Set<string>();
  return {
    names: archive.names,
    has: (name) => archive.has(name),
    get: (name) => {
      read.add(name);
      return archive.get(name);
    },
    unread: () => archive.names.filter((name) => !read.has(name)),
  };
}
