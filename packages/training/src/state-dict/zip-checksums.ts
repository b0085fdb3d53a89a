/** Signature and length of the record at the end of a zip archive, which says where its directory lies. */
const END = { signature: 0x06054b50, bytes: 22 } as const;
/** Likewise where numbers may be longer than 32 bits, and what points to that record. */
const LONG_END = { signature: 0x06064b50, pointerSignature: 0x07064b50, pointerBytes: 20 } as const;
/** An entry of the directory: its fixed part. */
const ENTRY = { signature: 0x02014b50, bytes: 46 } as const;
/** A number that did not fit 32 bits. */
const LONG = 0xffffffff;

/**
 * The checksums of an archive's files, in the order of its directory. The library that unpacks them does not look at these.
 * @param count files in the directory
 * @throws RangeError, or Error, where the directory is no such
 */
export function checksumsOf(file: Uint8Array, count: number): number[] {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  let end = file.length - END.bytes;
  while (view.getUint32(end, true) !== END.signature) end--;
  let at = view.getUint32(end + 16, true);
  const pointer = end - LONG_END.pointerBytes;
  if (at === LONG && pointer >= 0 && view.getUint32(pointer, true) === LONG_END.pointerSignature) {
    const long = Number(view.getBigUint64(pointer + 8, true));
    if (view.getUint32(long, true) === LONG_END.signature) at = Number(view.getBigUint64(long + 48, true));
  }
  return Array.from({ length: count }, () => {
    if (view.getUint32(at, true) !== ENTRY.signature) throw new Error("invalid zip directory");
    const checksum = view.getUint32(at + 16, true);
    at += ENTRY.bytes + view.getUint16(at + 28, true) + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
    return checksum;
  });
}

/** Remainders of the bytes 0 to 255. */
const REMAINDERS = Uint32Array.from({ length: 256 }, (_, byte) => {
  let remainder = byte;
  for (let bit = 0; bit < 8; bit++) remainder = (remainder & 1) === 1 ? (remainder >>> 1) ^ 0xedb88320 : remainder >>> 1;
  return remainder;
});

/** The CRC-32 of bytes, as zip archives store it. */
export function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (let i = 0; i < bytes.length; i++) crc = (crc >>> 8) ^ (REMAINDERS[(crc ^ (bytes[i] ?? 0)) & 255] ?? 0);
  return (crc ^ 0xffffffff) >>> 0;
}
