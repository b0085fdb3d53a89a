import { DatasetError } from "../errors.js";
import { PlainGlobal, plainGlobal, plainValue } from "./plain.js";
import { PickleObject, type PickleValue } from "./values.js";

/** What a kind of file may mention besides plain values. Everything it does not know is refused by name; nothing is executed. */
export interface PickleDialect {
  /** Its subject, for messages: "numpy". */
  readonly subject: string;
  /** What to do about a refused file. */
  readonly advice: string;
  /** The marker for a global such as `numpy.dtype`; undefined refuses it. */
  global(name: string): PickleObject | undefined;
  /** The result of a call the subject writes; undefined for any other. */
  reduce(callee: PickleObject, args: readonly PickleValue[]): PickleValue | undefined;
  /** Sets the state of a value; false for one that takes none. */
  build(target: PickleValue, state: PickleValue): boolean;
  /** The value of a persistent id; undefined, or no such function, refuses it. */
  persistent?(id: PickleValue): PickleValue | undefined;
}

/** Opcodes that would build or fetch foreign objects: refused whatever their operands are. */
const REFUSED: ReadonlyMap<number, string> = new Map([
  [0x6f, "OBJ"],
  [0x81, "NEWOBJ"],
  [0x92, "NEWOBJ_EX"],
  [0x82, "EXT1"],
  [0x83, "EXT2"],
  [0x84, "EXT4"],
  [0x50, "PERSID"],
  [0x97, "NEXT_BUFFER"],
  [0x98, "READONLY_BUFFER"],
]);

/**
 * Reads a Python pickle (protocols 0 to 5) in a dialect. Nothing is ever executed: a global the dialect does not know is refused by
 * name, before anything behind it is read.
 * @param bytes the whole file
 * @param where start of every message, e.g. `scenarioNet: data/scene-0061.pkl`
 * @throws DatasetError for a foreign global, a truncated file or something that is not a pickle, with the byte offset
 */
export function readPickle(bytes: Uint8Array, dialect: PickleDialect, where: string): PickleValue {
  return new Unpickler(bytes, dialect, where).run();
}

class Unpickler {
  private position = 0;
  private opcodeAt = 0;
  private stack: PickleValue[] = [];
  private readonly marks: PickleValue[][] = [];
  private readonly memo = new Map<number, PickleValue>();
  private readonly view: DataView;
  private readonly text = new TextDecoder("utf-8");

  constructor(
    private readonly bytes: Uint8Array,
    private readonly dialect: PickleDialect,
    private readonly where: string,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  run(): PickleValue {
    if (this.bytes.length === 0) throw new DatasetError(`${this.where}: the file is empty, expected a pickle. Download it again.`);
    for (;;) {
      this.opcodeAt = this.position;
      const opcode = this.u8();
      if (opcode === 0x2e /* STOP */) return this.pop();
      this.step(opcode);
    }
  }

  private step(opcode: number): void {
    switch (opcode) {
      case 0x80: { // PROTO
        const version = this.u8();
        if (version > 5) this.corrupt(`pickle protocol ${version}, expected 0 to 5`);
        return;
      }
      case 0x95: // FRAME: a hint for buffered readers
        this.take(8);
        return;
      case 0x28: // MARK
        this.marks.push(this.stack);
        this.stack = [];
        return;
      case 0x30: // POP
        this.pop();
        return;
      case 0x31: // POP_MARK
        this.popMark();
        return;
      case 0x32: // DUP
        return this.push(this.top());

      case 0x70: // PUT
        this.memo.set(this.decimal(), this.top());
        return;
      case 0x71: // BINPUT
        this.memo.set(this.u8(), this.top());
        return;
      case 0x72: // LONG_BINPUT
        this.memo.set(this.u32(), this.top());
        return;
      case 0x94: // MEMOIZE
        this.memo.set(this.memo.size, this.top());
        return;
      case 0x67: // GET
        return this.recall(this.decimal());
      case 0x68: // BINGET
        return this.recall(this.u8());
      case 0x6a: // LONG_BINGET
        return this.recall(this.u32());

      case 0x4e: // NONE
        return this.push(null);
      case 0x88: // NEWTRUE
        return this.push(true);
      case 0x89: // NEWFALSE
        return this.push(false);
      case 0x49: { // INT, also the booleans of protocol 0
        const line = this.line();
        return this.push(line === "01" ? true : line === "00" ? false : this.numeral(line));
      }
      case 0x4c: // LONG
        return this.push(this.numeral(this.line().replace(/L$/, "")));
      case 0x46: // FLOAT
        return this.push(this.float(this.line()));
      case 0x4a: // BININT
        return this.push(this.view.getInt32(this.take(4), true));
      case 0x4b: // BININT1
        return this.push(this.u8());
      case 0x4d: // BININT2
        return this.push(this.view.getUint16(this.take(2), true));
      case 0x8a: // LONG1
        return this.push(this.bigInteger(this.u8()));
      case 0x8b: // LONG4
        return this.push(this.bigInteger(this.u32()));
      case 0x47: // BINFLOAT
        return this.push(this.view.getFloat64(this.take(8), false));

      case 0x43: // SHORT_BINBYTES
        return this.push(this.raw(this.u8()));
      case 0x42: // BINBYTES
        return this.push(this.raw(this.u32()));
      case 0x8e: // BINBYTES8
      case 0x96: // BYTEARRAY8
        return this.push(this.raw(this.u64()));
      case 0x8c: // SHORT_BINUNICODE
      case 0x55: // SHORT_BINSTRING
        return this.push(this.text.decode(this.raw(this.u8())));
      case 0x58: // BINUNICODE
      case 0x54: // BINSTRING
        return this.push(this.text.decode(this.raw(this.u32())));
      case 0x8d: // BINUNICODE8
        return this.push(this.text.decode(this.raw(this.u64())));
      case 0x56: // UNICODE
        return this.push(this.escapedLine());
      case 0x53: // STRING
        return this.push(this.line().replace(/^(['"])(.*)\1$/, "$2"));

      case 0x29: // EMPTY_TUPLE
      case 0x5d: // EMPTY_LIST
        return this.push([]);
      case 0x85: // TUPLE1
      case 0x86: // TUPLE2
      case 0x87: { // TUPLE3
        const count = opcode - 0x84;
        if (this.stack.length < count) this.corrupt("a tuple of missing values");
        return this.push(this.stack.splice(this.stack.length - count));
      }
      case 0x74: // TUPLE
      case 0x6c: // LIST
        return this.push(this.popMark());
      case 0x61: { // APPEND
        const item = this.pop();
        this.list().push(item);
        return;
      }
      case 0x65: { // APPENDS
        const items = this.popMark();
        const list = this.list();
        for (const item of items) list.push(item);
        return;
      }
      case 0x7d: // EMPTY_DICT
        return this.push(new Map());
      case 0x64: { // DICT
        const items = this.popMark();
        this.push(new Map());
        return this.setItems(items);
      }
      case 0x73: { // SETITEM
        const value = this.pop();
        const key = this.pop();
        return this.setItems([key, value]);
      }
      case 0x75: // SETITEMS
        return this.setItems(this.popMark());
      case 0x8f: // EMPTY_SET
        return this.push(new Set());
      case 0x90: { // ADDITEMS
        const items = this.popMark();
        const set = this.top();
        if (!(set instanceof Set)) return this.corrupt("items added to something that is not a set");
        for (const item of items) set.add(item);
        return;
      }
      case 0x91: // FROZENSET
        return this.push(new Set(this.popMark()));

      case 0x63: { // GLOBAL
        const module = this.line();
        return this.global(module, this.line());
      }
      case 0x69: { // INST
        const module = this.line();
        return this.refuse(`${module}.${this.line()}`);
      }
      case 0x93: { // STACK_GLOBAL
        const name = this.pop();
        const module = this.pop();
        if (typeof name !== "string" || typeof module !== "string") return this.corrupt("a global without a name");
        return this.global(module, name);
      }
      case 0x52: { // REDUCE
        const args = this.pop();
        return this.reduce(this.pop(), args);
      }
      case 0x51: // BINPERSID
        return this.persistent(this.pop());
      case 0x62: { // BUILD
        const state = this.pop();
        return this.build(this.top(), state);
      }
      default: {
        const name = REFUSED.get(opcode);
        if (name !== undefined) this.refuseOpcode(name);
        this.corrupt(`byte 0x${opcode.toString(16).padStart(2, "0")} is no pickle opcode`);
      }
    }
  }

  private global(module: string, name: string): void {
    const known = plainGlobal(`${module}.${name}`) ?? this.dialect.global(`${module}.${name}`);
    this.push(known ?? this.refuse(`${module}.${name}`));
  }

  private reduce(callee: PickleValue, args: PickleValue): void {
    if (!(callee instanceof PickleObject) || !Array.isArray(args)) this.corrupt(`a call of something that is not a ${this.dialect.subject} constructor`);
    const made = callee instanceof PlainGlobal ? plainValue(callee, args) : this.dialect.reduce(callee, args);
    if (made === undefined) this.corrupt(`a call ${this.dialect.subject} does not write`);
    this.push(made);
  }

  private build(target: PickleValue, state: PickleValue): void {
    if (!this.dialect.build(target, state)) this.corrupt(`the state of an object that is not one of ${this.dialect.subject}`);
  }

  private persistent(id: PickleValue): void {
    const value = this.dialect.persistent?.(id);
    if (value === undefined) this.refuseOpcode("BINPERSID");
    this.push(value);
  }

  private setItems(items: readonly PickleValue[]): void {
    const dict = this.top();
    if (!(dict instanceof Map)) this.corrupt("keys set on something that is not a dict");
    for (let i = 0; i + 1 < items.length; i += 2) dict.set(items[i] ?? null, items[i + 1] ?? null);
  }

  private list(): PickleValue[] {
    const list = this.top();
    return Array.isArray(list) ? list : this.corrupt("items appended to something that is not a list");
  }

  private push(value: PickleValue): void {
    this.stack.push(value);
  }

  private top(): PickleValue {
    const value = this.stack[this.stack.length - 1];
    return value === undefined ? this.corrupt("a value is missing from the stack") : value;
  }

  private pop(): PickleValue {
    const value = this.stack.pop();
    return value === undefined ? this.corrupt("a value is missing from the stack") : value;
  }

  private popMark(): PickleValue[] {
    const items = this.stack;
    this.stack = this.marks.pop() ?? this.corrupt("a mark is missing from the stack");
    return items;
  }

  private recall(index: number): void {
    this.push(this.memo.get(index) ?? (this.memo.has(index) ? null : this.corrupt(`memo entry ${index} was never stored`)));
  }

  /** Start of the next `count` bytes, which are consumed. */
  private take(count: number): number {
    const start = this.position;
    if (start + count > this.bytes.length) {
      throw new DatasetError(
        `${this.where}: the file is truncated, expected ${start + count - this.bytes.length} more bytes after byte ${this.bytes.length}, got the end of the file. Copy or download it again.`,
      );
    }
    this.position = start + count;
    return start;
  }

  private raw(count: number): Uint8Array {
    const start = this.take(count);
    return this.bytes.subarray(start, start + count);
  }

  private u8(): number {
    return this.view.getUint8(this.take(1));
  }

  private u32(): number {
    return this.view.getUint32(this.take(4), true);
  }

  private u64(): number {
    return Number(this.view.getBigUint64(this.take(8), true));
  }

  private line(): string {
    return this.text.decode(this.lineBytes()).replace(/\r$/, "");
  }

  /** Text of protocol 0: a byte a character up to 255, others escaped. */
  private escapedLine(): string {
    const bytes = this.lineBytes();
    const parts: string[] = [];
    for (let at = 0; at < bytes.length; at += 4096) parts.push(String.fromCharCode(...bytes.subarray(at, at + 4096)));
    return parts.join("").replace(/\r$/, "").replace(/\\u([0-9a-fA-F]{4})|\\U([0-9a-fA-F]{8})/g, (_, short?: string, long?: string) => {
      const code = parseInt(short ?? long ?? "", 16);
      return code <= 0x10ffff ? String.fromCodePoint(code) : this.corrupt("text with an impossible character");
    });
  }

  /** Bytes up to the next line feed, which is consumed. */
  private lineBytes(): Uint8Array {
    const end = this.bytes.indexOf(0x0a, this.position);
    const start = this.take((end < 0 ? this.bytes.length : end) + 1 - this.position);
    return this.bytes.subarray(start, this.position - 1);
  }

  private decimal(): number {
    return this.float(this.line());
  }

  private float(text: string): number {
    const value = text === "nan" ? NaN : text === "inf" ? Infinity : text === "-inf" ? -Infinity : Number(text);
    if (text === "" || (Number.isNaN(value) && text !== "nan")) this.corrupt(`"${text.slice(0, 20)}" is no number`);
    return value;
  }

  private numeral(text: string): number | bigint {
    const value = this.float(text);
    return Number.isSafeInteger(value) || !/^-?\d+$/.test(text) ? value : BigInt(text);
  }

  /** Little-endian two's complement of `count` bytes. */
  private bigInteger(count: number): number | bigint {
    const bytes = this.raw(count);
    let value = 0n;
    for (let i = count - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i] ?? 0);
    value = BigInt.asIntN(8 * count, value);
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : value;
  }

  private refuse(name: string): never {
    throw new DatasetError(`${this.where}: refused global "${name}" at byte ${this.opcodeAt}. ${this.dialect.advice}`);
  }

  private refuseOpcode(name: string): never {
    throw new DatasetError(`${this.where}: refused opcode ${name} at byte ${this.opcodeAt}. ${this.dialect.advice}`);
  }

  private corrupt(what: string): never {
    throw new DatasetError(
      `${this.where}: not a readable pickle: ${what} (at byte ${this.opcodeAt}). Check that this is the file you mean, and copy or download it again.`,
    );
  }
}
