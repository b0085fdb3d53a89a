import { zipSync } from "fflate";

/** Opcodes of pickle protocol 2 as text where they are letters. */
const code = (text: string): Uint8Array => new TextEncoder().encode(text);
const int = (value: number): Uint8Array => {
  const bytes = new Uint8Array(5);
  bytes[0] = 0x4a;
  new DataView(bytes.buffer).setInt32(1, value, true);
  return bytes;
};
const text = (value: string): Uint8Array => {
  const content = new TextEncoder().encode(value);
  const bytes = new Uint8Array(5 + content.length);
  bytes[0] = 0x58;
  new DataView(bytes.buffer).setUint32(1, content.length, true);
  bytes.set(content, 5);
  return bytes;
};
const global = (name: string): Uint8Array => {
  const dot = name.lastIndexOf(".");
  return code(`c${name.slice(0, dot)}\n${name.slice(dot + 1)}\n`);
};
const tuple = (values: readonly Uint8Array[]): Uint8Array[] => [code("("), ...values, code("t")];

/** How a tensor lies in its storage; default at the beginning, in row-major order. */
export interface Layout {
  readonly offset?: number;
  readonly strides?: readonly number[];
}

/** A tensor and the bytes of its storage. */
export interface WrittenTensor extends Layout {
  readonly shape: readonly number[];
  /** e.g. FloatStorage */
  readonly storage: string;
  readonly bytes: Uint8Array;
}

/** f32 and i32 tensors as `torch.save` would store them. */
export function writtenTensor({ dtype, shape, data }: { readonly dtype: string; readonly shape: readonly number[]; readonly data: Float32Array | Int32Array | Uint32Array }): WrittenTensor {
  return { shape, storage: dtype === "f32" ? "FloatStorage" : "IntStorage", bytes: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) };
}

/**
 * A file as `torch.save` writes it (zip of a protocol 2 pickle and one file a storage).
 * @param under puts the state dict under this key of a checkpoint
 * @param extra bytes of a value put into the checkpoint before it, e.g. of a call nobody should make
 */
export function writePyTorch(tensors: ReadonlyMap<string, WrittenTensor>, under?: string, extra: readonly Uint8Array[] = []): Uint8Array {
  const files: Record<string, Uint8Array> = {};
  const items = [...tensors].flatMap(([name, { shape, storage, bytes, offset = 0, strides = rowMajor(shape) }], position) => {
    files[`archive/data/${position}`] = bytes;
    return [
      text(name),
      global("torch._utils._rebuild_tensor_v2"),
      ...tuple([
        ...tuple([text("storage"), global(`torch.${storage}`), text(String(position)), text("cpu"), int(bytes.length)]), code("Q"),
        int(offset), ...tuple(shape.map(int)), ...tuple(strides.map(int)), Uint8Array.of(0x89), global("collections.OrderedDict"), code(")R"),
      ]),
      code("R"),
    ];
  });
  const dict = [global("collections.OrderedDict"), code(")R"), code("("), ...items, code("u"), code("}"), text("_metadata"), code("}s"), code("b")];
  const root = under === undefined ? dict : [code("}"), code("("), ...(extra.length > 0 ? [text("extra"), ...extra] : []), text(under), ...dict, code("u")];
  const parts = [Uint8Array.of(0x80, 2), ...root, code(".")];
  const pickle = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    pickle.set(part, at);
    at += part.length;
  }
  return zipSync({ "archive/data.pkl": pickle, ...files, "archive/version": code("3\n") }, { level: 0 });
}

/** A call of a function outside PyTorch, as an attacker would write it. @param name such as "os.system" @param argument of the call */
export function hostileCall(name: string, argument: string): readonly Uint8Array[] {
  return [global(name), ...tuple([text(argument)]), code("R")];
}

function rowMajor(shape: readonly number[]): number[] {
  return shape.map((_, axis) => shape.slice(axis + 1).reduce((a, b) => a * b, 1));
}
