import { DatasetError, type PickleDialect, PickleObject, type PickleValue, readPickle } from "@distilldrive/datasets";
import { fromHalf } from "@distilldrive/kernels";
import type { StoredTensor } from "@distilldrive/tensor";
import { unzipSync } from "fflate";
import { CheckpointError } from "../errors.js";

interface ElementType {
  readonly bytes: number;
  readonly dtype: "f32" | "i32";
  /** "bits": the four bytes as they are (a number would lose the payload of a NaN). */
  readonly read: "bits" | ((view: DataView, at: number) => number);
}

/** How the elements of one of PyTorch's storage classes become ours. Wider numbers are rounded to float32 or refused where they do not fit. */
const storages: Readonly<Record<string, ElementType>> = {
  FloatStorage: { bytes: 4, dtype: "f32", read: "bits" },
  DoubleStorage: { bytes: 8, dtype: "f32", read: (view, at) => view.getFloat64(at, true) },
  HalfStorage: { bytes: 2, dtype: "f32", read: (view, at) => fromHalf(Uint16Array.of(view.getUint16(at, true)))[0] ?? 0 },
  BFloat16Storage: { bytes: 2, dtype: "f32", read: (view, at) => brainFloat(view.getUint16(at, true)) },
  LongStorage: { bytes: 8, dtype: "i32", read: (view, at) => Number(view.getBigInt64(at, true)) },
  IntStorage: { bytes: 4, dtype: "i32", read: "bits" },
  ShortStorage: { bytes: 2, dtype: "i32", read: (view, at) => view.getInt16(at, true) },
  CharStorage: { bytes: 1, dtype: "i32", read: (view, at) => view.getInt8(at) },
  ByteStorage: { bytes: 1, dtype: "i32", read: (view, at) => view.getUint8(at) },
  BoolStorage: { bytes: 1, dtype: "i32", read: (view, at) => view.getUint8(at) },
};

/** A name that a state dict may mention; a marker, nothing is callable. */
class TorchGlobal extends PickleObject {
  constructor(readonly name: string) {
    super();
  }
}

/** A storage as a persistent id names it. */
class TorchStorage extends PickleObject {
  constructor(
    readonly type: string,
    /** Its file in the archive, below `data/`. */
    readonly key: string,
  ) {
    super();
  }
}

/** A tensor as pickled: a window of a storage. */
class TorchTensor extends PickleObject {
  constructor(
    readonly storage: TorchStorage,
    /** Elements. */
    readonly offset: number,
    readonly shape: readonly number[],
    /** Elements. */
    readonly strides: readonly number[],
  ) {
    super();
  }
}

const callables: readonly string[] = ["collections.OrderedDict", "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_parameter"];

/** Tensors in dicts, and nothing else. */
const torch: PickleDialect = {
  subject: "PyTorch",
  advice: "Only tensors and dicts are read from a state dict; this file holds other objects or asks to run code. Save the bare state dict: torch.save(checkpoint[\"state_dict\"], path), from a source you trust.",
  global: (name) => (callables.includes(name) || Object.hasOwn(storages, storageName(name)) ? new TorchGlobal(name) : undefined),
  persistent: (id) => {
    const [kind, type, key] = Array.isArray(id) ? id : [];
    return kind === "storage" && type instanceof TorchGlobal && typeof key === "string" ? new TorchStorage(storageName(type.name), key) : undefined;
  },
  reduce: (callee, args) => {
    if (!(callee instanceof TorchGlobal)) return undefined;
    if (callee.name === "collections.OrderedDict") return orderedDict(args[0]);
    if (callee.name === "torch._utils._rebuild_parameter") return args[0] instanceof TorchTensor ? args[0] : undefined;
    const [storage, offset, shape, strides] = args;
    return storage instanceof TorchStorage && typeof offset === "number" && isNumbers(shape) && isNumbers(strides) ? new TorchTensor(storage, offset, shape, strides) : undefined;
  },
  // `_metadata` of a module's state dict: versions of its modules, which nobody needs here.
  build: (target) => target instanceof Map,
};

/** Whether bytes begin like a zip archive, as `torch.save` writes since PyTorch 1.6. */
export function isPyTorchFile(file: Uint8Array): boolean {
  return file[0] === 0x50 && file[1] === 0x4b && file[2] === 0x03 && file[3] === 0x04;
}

/**
 * Reads the tensors of a `.pth` or `.pt` file: a state dict, or a checkpoint with one under "state_dict" or "model". Nothing is
 * executed. Floats become f32 (float64 is rounded), integers i32.
 * @param where the file's name, for messages
 * @throws CheckpointError when it is no such archive, is damaged, names anything but tensors, or holds no tensors
 */
export function decodePyTorch(file: Uint8Array, where: string): Map<string, StoredTensor> {
  if (!isPyTorchFile(file)) throw new CheckpointError(`import: ${where}: not a PyTorch file, expected the zip format of torch.save (PyTorch 1.6 or newer), got other bytes. Load it in PyTorch and save it again.`);
  let entries: Record<string, Uint8Array>;
  try {
    entries = unzipSync(file);
  } catch (cause) {
    throw new CheckpointError(`import: ${where}: the archive is damaged (${cause instanceof Error ? cause.message : String(cause)}). Copy or download it again.`);
  }
  const pickle = Object.keys(entries).find((name) => name === "data.pkl" || name.endsWith("/data.pkl"));
  const bytes = pickle === undefined ? undefined : entries[pickle];
  if (pickle === undefined || bytes === undefined) throw new CheckpointError(`import: ${where}: no data.pkl in the archive, expected a file of torch.save, got ${Object.keys(entries).slice(0, 4).join(", ") || "nothing"}.`);
  const folder = pickle.slice(0, -"data.pkl".length);
  const tensors = new Map<string, StoredTensor>();
  for (const [name, tensor] of stateDict(readRoot(bytes, where), where)) {
    const key = `${folder}data/${tensor.storage.key}`;
    const data = entries[key];
    if (data === undefined) throw new CheckpointError(`import: ${where}: "${name}" has no data, expected ${key} in the archive. Copy or download it again.`);
    tensors.set(name, toStored(tensor, data, `import: ${where}: "${name}"`));
  }
  return tensors;
}

function readRoot(bytes: Uint8Array, where: string): PickleValue {
  try {
    return readPickle(bytes, torch, `import: ${where}`);
  } catch (cause) {
    throw cause instanceof DatasetError ? new CheckpointError(cause.message, { cause }) : cause;
  }
}

/** The tensors of a dict by name: of the root, or of what checkpoints put them under. */
function stateDict(root: PickleValue, where: string): Map<string, TorchTensor> {
  const within = root instanceof Map ? [root, root.get("state_dict"), root.get("model")] : [];
  for (const candidate of within) {
    if (!(candidate instanceof Map)) continue;
    const tensors = new Map<string, TorchTensor>();
    for (const [name, value] of candidate) if (typeof name === "string" && value instanceof TorchTensor) tensors.set(name, value);
    if (tensors.size > 0) return tensors;
  }
  throw new CheckpointError(`import: ${where}: no tensors, expected a state dict or a checkpoint with one under "state_dict". Save model.state_dict().`);
}

function toStored({ storage: { type }, offset, shape, strides }: TorchTensor, bytes: Uint8Array, where: string): StoredTensor {
  const kind = storages[type];
  if (kind === undefined) throw new CheckpointError(`${where}: unknown storage ${type}, expected ${Object.keys(storages).join(", ")}.`);
  const size = shape.reduce((a, b) => a * b, 1);
  const data = kind.dtype === "f32" ? new Float32Array(size) : new Int32Array(size);
  const last = size === 0 ? -1 : offset + shape.reduce((at, extent, axis) => at + (extent - 1) * (strides[axis] ?? 0), 0);
  if ((last + 1) * kind.bytes > bytes.byteLength) throw new CheckpointError(`${where}: the data is cut off, expected ${(last + 1) * kind.bytes} bytes, got ${bytes.byteLength}. Copy or download it again.`);
  const words = new Uint32Array(data.buffer);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const index = shape.map(() => 0);
  for (let i = 0, at = offset; i < size; i++) {
    const value = kind.read === "bits" ? undefined : kind.read(view, at * kind.bytes);
    if (value === undefined) words[i] = view.getUint32(at * kind.bytes, true);
    else data[i] = value;
    if (kind.dtype === "i32" && value !== undefined && data[i] !== value) throw new CheckpointError(`${where}: element ${i} does not fit, expected a 32-bit integer, got ${value}.`);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const step = strides[axis] ?? 0;
      index[axis] = (index[axis] ?? 0) + 1;
      at += step;
      if ((index[axis] ?? 0) < (shape[axis] ?? 0)) break;
      at -= step * (shape[axis] ?? 0);
      index[axis] = 0;
    }
  }
  return { dtype: kind.dtype, shape, data };
}

/** `torch.FloatStorage` -> `FloatStorage`. */
function storageName(name: string): string {
  return /^torch\.(\w+Storage)$/.exec(name)?.[1] ?? "";
}

function orderedDict(items: PickleValue | undefined): Map<PickleValue, PickleValue> {
  const pairs = Array.isArray(items) ? items : [];
  return new Map(pairs.flatMap((pair) => (Array.isArray(pair) && pair.length === 2 ? [[pair[0] ?? null, pair[1] ?? null] as const] : [])));
}

function isNumbers(value: PickleValue | undefined): value is number[] {
  return Array.isArray(value) && value.every((n) => typeof n === "number");
}

/** bfloat16 is the upper half of a float32. */
function brainFloat(bits: number): number {
  return new DataView(Uint32Array.of(bits * 65536).buffer).getFloat32(0, true);
}
