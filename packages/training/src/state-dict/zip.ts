import { unzipSync } from "fflate";
import { CheckpointError } from "../errors.js";
import { checksumsOf, crc32 } from "./zip-checksums.js";

/** A zip archive in memory. */
export interface ZipArchive {
  readonly names: readonly string[];
  /** Content of a file. @throws CheckpointError when it is not there or damaged */
  read(name: string): Uint8Array;
}

/** Whether bytes begin like a zip archive, as `torch.save` (since PyTorch 1.6) and `numpy.savez` write. */
export function isZip(file: Uint8Array): boolean {
  return file[0] === 0x50 && file[1] === 0x4b && file[2] === 0x03 && file[3] === 0x04;
}

/**
 * Opens a zip archive; its files are unpacked when they are read.
 * @param where start of messages
 * @param what what the archive should be, and `expected` how that looks and what to do
 * @throws CheckpointError when it is no archive, or is cut off
 */
export function openZip(file: Uint8Array, where: string, what: string, expected: string): ZipArchive {
  if (!isZip(file)) throw new CheckpointError(`${where}: not ${what}, expected ${expected}`);
  const damaged = (cause: unknown): CheckpointError => new CheckpointError(`${where}: the archive is damaged (${cause instanceof Error ? cause.message : String(cause)}). Copy or download it again.`);
  const names: string[] = [];
  let checksums: readonly number[] = [];
  try {
    unzipSync(file, { filter: ({ name }) => (names.push(name), false) });
    checksums = checksumsOf(file, names.length);
  } catch (cause) {
    throw damaged(cause);
  }
  return {
    names,
    read: (name) => {
      let content: Uint8Array | undefined;
      try {
        content = unzipSync(file, { filter: (entry) => entry.name === name })[name];
      } catch (cause) {
        throw damaged(cause);
      }
      if (content === undefined) throw damaged(`no file ${name}`);
      // Of several files of one name the last is read.
      if (crc32(content) !== checksums[names.lastIndexOf(name)]) throw damaged(`the content of ${name} does not have its checksum`);
      return content;
    },
  };
}
