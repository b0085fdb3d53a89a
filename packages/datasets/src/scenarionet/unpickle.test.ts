import { describe, expect, it } from "vitest";
import { NumpyArray, toFloat64 } from "./numpy-array.js";
import type { PickleValue } from "../pickle/values.js";
import { unpickle } from "./unpickle.js";

const bytes = (hex: string): Uint8Array => Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));
const read = (hex: string): PickleValue => unpickle(bytes(hex), "test.pkl");

/** Written by CPython 3 with numpy 2, protocol 4: arrays of many dtypes, sets, tuples, integers of all sizes. */
const VALUES =
  "800495ac030000000000007d94288c026634948c166e756d70792e5f636f72652e6d756c74696172726179948c0c5f7265636f6e737472756374" +
  "9493948c056e756d7079948c076e6461727261799493944b0085944301629487945294284b014b024b03869468058c0564747970659493948c02" +
  "663494898887945294284b038c013c944e4e4e4affffffff4affffffff4b00749462894318000000000000803f00000040000040400000804000" +
  "00a040947494628c02693894680468074b008594680987945294284b014b028594680e8c02693894898887945294284b0368124e4e4e4affffff" +
  "ff4affffffff4b00749462894310ffffffffffffffff0000000000010000947494628c016294680468074b008594680987945294284b014b0285" +
  "94680e8c02623194898887945294284b038c017c944e4e4e4affffffff4affffffff4b007494628943020100947494628c02693494680468074b" +
  "008594680987945294284b014b024b018694680e8c02693494898887945294284b0368124e4e4e4affffffff4affffffff4b0074946289430801" +
  "000000feffffff947494628c07666f727472616e94680468074b008594680987945294284b014b024b038694680e8c0266389489888794529428" +
  "4b0368124e4e4e4affffffff4affffffff4b0074946288433000000000000000000000000000000840000000000000f03f000000000000104000" +
  "000000000000400000000000001440947494628c033e663894680468074b008594680987945294284b014b018594680e8c026638948988879452" +
  "94284b038c013e944e4e4e4affffffff4affffffff4b007494628943083ff8000000000000947494628c02663294680468074b00859468098794" +
  "5294284b014b038594680e8c02663294898887945294284b0368124e4e4e4affffffff4affffffff4b00749462894306003800c0ff7b94749462" +
  "8c0173948f94288c0179948c017894908c0165948f948c017494284b014b024b0386944b044b054b068794284b014b024b034b04749474948c03" +
  "6e6567944afbffffff8c03626967948a0800000000000000108c076e65676c6f6e67948a060000000000ff8c046e6f6e65944e8c05626f6f6c73" +
  "945d94288889658c02666c94473fb999999999999a8c0175948c075ac3bc72696368948c0562797465739443020001948c05616761696e94680b" +
  "8c017a94680468074b008594680987945294284b0129683f8943080000000000000840947494628c05656d70747994680468074b008594680987" +
  "945294284b014b004b028694683f89430094749462752e";

/** The same kind of values without arrays, protocol 0 (text). */
const TEXT =
  "286470300a566c0a70310a286c70320a49310a6149320a6149330a617356740a70330a2849310a49320a7470340a7356660a70350a46302e3235" +
  "0a7356730a70360a56615c7532306163620a70370a7356626f6f6c0a70380a4930310a73566e65670a70390a492d370a73566c6f6e670a703130" +
  "0a4c313138303539313632303731373431313330333432344c0a73566e6f6e650a7031310a4e732e";

/** An object array, protocol 4. */
const OBJECTS =
  "80049594000000000000007d948c016f948c166e756d70792e5f636f72652e6d756c74696172726179948c0c5f7265636f6e7374727563749493" +
  "948c056e756d7079948c076e6461727261799493944b0085944301629487945294284b014b02859468058c0564747970659493948c024f389489" +
  "8887945294284b038c017c944e4e4e4affffffff4affffffff4b3f749462895d94284e4b0165749462732e";

/** {"a": X()} where X reduces to os.system("echo owned > /tmp/owned"), protocol 4. */
const EVIL =
  "80049539000000000000007d948c0161948c05706f736978948c0673797374656d9493948c176563686f206f776e6564203e202f746d702f6f776e65649485945294732e";

function dict(value: PickleValue): Map<PickleValue, PickleValue> {
  if (!(value instanceof Map)) throw new Error("not a dict");
  return value;
}

describe("unpickle", () => {
  it("reads numpy arrays of every number type, order and byte order", () => {
    const values = dict(read(VALUES));
    const array = (key: string): { shape: readonly number[]; data: number[] } => {
      const found = values.get(key);
      if (!(found instanceof NumpyArray)) throw new Error(`${key} is no array`);
      return { shape: found.shape, data: Array.from(toFloat64(found, key)) };
    };
    expect(array("f4")).toEqual({ shape: [2, 3], data: [0, 1, 2, 3, 4, 5] });
    expect(array("fortran")).toEqual({ shape: [2, 3], data: [0, 1, 2, 3, 4, 5] });
    expect(array("i8")).toEqual({ shape: [2], data: [-1, 2 ** 40] });
    expect(array("b")).toEqual({ shape: [2], data: [1, 0] });
    expect(array("i4")).toEqual({ shape: [2, 1], data: [1, -2] });
    expect(array(">f8")).toEqual({ shape: [1], data: [1.5] });
    expect(array("f2")).toEqual({ shape: [3], data: [0.5, -2, 65504] });
    expect(array("z")).toEqual({ shape: [], data: [3] });
    expect(array("empty")).toEqual({ shape: [0, 2], data: [] });
    expect(values.get("again")).toBe(values.get("f4"));
  });

  it("reads plain values of binary and of text pickles", () => {
    const values = dict(read(VALUES));
    expect(values.get("s")).toEqual(new Set(["x", "y"]));
    expect(values.get("e")).toEqual(new Set());
    expect(values.get("t")).toEqual([1, [2, 3], [4, 5, 6], [1, 2, 3, 4]]);
    expect(["neg", "big", "neglong", "none", "bools", "fl", "u"].map((key) => values.get(key))).toEqual([
      -5, 2n ** 60n, -(2 ** 40), null, [true, false], 0.1, "Zürich",
    ]);
    expect(values.get("bytes")).toEqual(Uint8Array.of(0, 1));
    const text = new Map<PickleValue, PickleValue>([["l", [1, 2, 3]], ["t", [1, 2]], ["f", 0.25], ["s", "a€b"], ["bool", true], ["neg", -7], ["long", 2n ** 70n], ["none", null]]);
    expect(read(TEXT)).toEqual(text);
  });

  it("refuses foreign globals by name and byte, in every spelling", () => {
    const advice = "Only numpy arrays are read from pickles; this file asks to run code. Get it again from a source you trust.";
    expect(() => read(EVIL)).toThrow(`test.pkl: refused global "posix.system" at byte 34. ${advice}`);
    const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);
    expect(() => unpickle(ascii("cos\nsystem\n(S'ls'\ntR."), "a")).toThrow('a: refused global "os.system" at byte 0');
    expect(() => unpickle(ascii("(S'ls'\nios\nsystem\n."), "a")).toThrow('a: refused global "os.system" at byte 7');
    expect(() => unpickle(ascii("cbuiltins\neval\n."), "a")).toThrow('refused global "builtins.eval"');
    expect(() => unpickle(Uint8Array.of(0x80, 4, 0x29, 0x29, 0x81, 0x2e), "a")).toThrow("refused opcode NEWOBJ at byte 4");
  });

  it("has no way to call or pollute anything", () => {
    // REDUCE of a list, of a dtype with odd arguments, BUILD of a dict; a "__proto__" key stays a key.
    for (const hex of ["80045d29522e", "80047d7d622e"]) expect(() => read(hex)).toThrow("not a readable pickle");
    const values = dict(read("80047d8c095f5f70726f746f5f5f8c017873" + "2e"));
    expect(values.get("__proto__")).toBe("x");
    expect(({} as Record<string, unknown>)["x"]).toBeUndefined();
  });

  it("says what is wrong with a file cut anywhere, and with files that are no pickles", () => {
    const whole = bytes(VALUES);
    for (let cut = 1; cut < whole.length; cut += 7) {
      expect(() => unpickle(whole.subarray(0, cut), "cut.pkl"), `cut at ${cut}`).toThrow(/^cut.pkl: the file is truncated, expected \d+ more bytes/);
    }
    expect(() => unpickle(new Uint8Array(0), "e.pkl")).toThrow("e.pkl: the file is empty");
    expect(() => unpickle(new TextEncoder().encode('{"a": 1}'), "e.pkl")).toThrow("e.pkl: not a readable pickle");
    expect(() => unpickle(Uint8Array.of(0x80, 9, 0x2e), "e.pkl")).toThrow("pickle protocol 9, expected 0 to 5");
    expect(() => unpickle(Uint8Array.of(0x80, 4, 0x68, 3, 0x2e), "e.pkl")).toThrow("memo entry 3 was never stored");
  });

  it("refuses arrays of objects when their numbers are asked for", () => {
    const array = dict(read(OBJECTS)).get("o");
    expect(() => (array instanceof NumpyArray ? toFloat64(array, "a.pkl: o") : null)).toThrow('a.pkl: o: expected an array of numbers (f8, f4, f2, i8, u8, i4, u4, i2, u2, i1, u1, b1), got dtype "O8"');
  });
});
