import { DatasetError } from "../errors.js";

const [QUOTE, BACKSLASH, COMMA, OPEN, CLOSE, OPEN_BRACE, CLOSE_BRACE] = [...'"\\,[]{}'].map((c) => c.charCodeAt(0)) as [number, number, number, number, number, number, number];

const BYTE_ORDER_MARK: readonly number[] = [0xef, 0xbb, 0xbf];

/**
 * Parses a JSON array of objects object by object, as its bytes arrive. nuScenes' tables need this: the sample_data table
 * of the full set has more characters than a JavaScript string can hold.
 * @param where start of every message, e.g. `nuScenes: v1.0-mini/sample.json`
 * @param each is given every object, in order
 * @throws DatasetError when the bytes are no JSON array of objects, or end too early, naming the entry
 */
export async function parseArray(chunks: AsyncIterable<Uint8Array>, where: string, each: (entry: unknown) => void): Promise<void> {
  const decoder = new TextDecoder();
  let count = 0;
  let depth = 0;
  let [inString, escaped, finished] = [false, false, false];
  // Whether an entry may begin, and whether the array may end or go on behind a comma.
  let [mayBegin, mayEnd, begun] = [true, true, false];
  let carried: Uint8Array[] = [];
  const damaged = (what: string): DatasetError =>
    new DatasetError(`${where}: entry ${count}: ${what}, expected a JSON array of objects. The file is damaged or cut off: copy it again.`);
  for await (const chunk of chunks) {
    let start = 0;
    for (let i = 0; i < chunk.length; i++) {
      const byte = chunk[i] as number;
      if (inString) {
        if (escaped) escaped = false;
        else if (byte === BACKSLASH) escaped = true;
        else if (byte === QUOTE) inString = false;
        continue;
      }
      if (depth >= 2) {
        if (byte === QUOTE) inString = true;
        else if (byte === OPEN_BRACE || byte === OPEN) depth++;
        else if (byte === CLOSE_BRACE || byte === CLOSE) depth--;
        if (depth > 1) continue;
        const text = [...carried.map((part) => decoder.decode(part, { stream: true })), decoder.decode(chunk.subarray(start, i + 1))].join("");
        carried = [];
        try {
          each(JSON.parse(text) as unknown);
        } catch (cause) {
          if (!(cause instanceof SyntaxError)) throw cause;
          throw damaged(`no JSON (${cause.message})`);
        }
        count++;
        [mayBegin, mayEnd] = [false, true];
        continue;
      }
      // White space, and the mark that some editors put in front.
      if (byte <= 32 || (!begun && BYTE_ORDER_MARK.includes(byte))) continue;
      if (depth === 0 && byte === OPEN && !finished) [depth, begun] = [1, true];
      else if (depth === 1 && byte === OPEN_BRACE && mayBegin) [depth, start] = [2, i];
      else if (depth === 1 && byte === CLOSE && mayEnd) [depth, finished] = [0, true];
      else if (depth === 1 && byte === COMMA && !mayBegin) [mayBegin, mayEnd] = [true, false];
      else throw damaged(`unexpected "${String.fromCharCode(byte)}"`);
    }
    if (depth >= 2) carried.push(chunk.slice(start));
  }
  if (!finished) throw damaged("the file ends");
}
