/**
 * Regular files in a tar archive (ustar; names up to 100 bytes plus prefix, as npm and SwiftShader's have).
 * @param {Uint8Array} archive
 * @returns {Map<string, Uint8Array>} contents by path
 * @throws {RangeError} when the archive ends in the middle of a file
 */
export function readTar(archive) {
  /** @type {Map<string, Uint8Array>} */
  const files = new Map();
  const text = new TextDecoder();
  /** @type {(start: number, length: number) => string} */
  const field = (start, length) => (text.decode(archive.subarray(start, start + length)).split("\0", 1)[0] ?? "").trim();
  let at = 0;
  while (at + 512 <= archive.length && archive[at] !== 0) {
    const name = field(at, 100);
    const prefix = field(at + 257, 5) === "ustar" ? field(at + 345, 155) : "";
    const size = Number.parseInt(field(at + 124, 12), 8);
    const start = at + 512;
    if (!(start + size <= archive.length)) throw new RangeError(`tar: ${name} is cut short, expected ${size} bytes`);
    const type = archive[at + 156];
    if (type === 0 || type === 0x30) files.set(prefix === "" ? name : `${prefix}/${name}`, archive.subarray(start, start + size));
    at = start + Math.ceil(size / 512) * 512;
  }
  return files;
}
