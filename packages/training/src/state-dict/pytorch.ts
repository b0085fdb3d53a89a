import { DatasetError, type PickleDialect, PickleObject, type PickleValue, readPickle } from "@distilldrive/datasets";
import type { StoredTensor } from "@distilldrive/tensor";
import { CheckpointError } from "../errors.js";
import { ELEMENT_TYPES, readElements } from "./element-types.js";
import { openZip } from "./zip.js";

/** PyTorch's storage classes and what their elements are. */
const storages: Readonly<Record<string, keyof typeof ELEMENT_TYPES>> = {
  FloatStorage: "F32",
  DoubleStorage: "F64",
  HalfStorage: "F16",
  BFloat16Storage: "BF16",
  LongStorage: "I64",
  IntStorage: "I32",
  ShortStorage: "I16",
  CharStorage: "I8",
  ByteStorage: "U8",
  BoolStorage: "BOOL",
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

const REBUILD_TENSOR = "torch._utils._rebuild_tensor_v2";
/** Calls with a tensor as their first argument, which they wrap. */
const wrappers: ReadonlySet<string> = new Set(["torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state"]);
/** A subclass of tensors: the call that makes the tensor, its arguments behind the class. */
const REBUILD_SUBCLASS = "torch._tensor._rebuild_from_type_v2";

/** Values that checkpoints have beside their tensors, as PyTorch's own loading of weights only takes them; what stands for them is never looked at. */
const idle: ReadonlySet<string> = new Set(
  ["Size", "device", "Tensor", "float32", "float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool", "nn.parameter.Parameter", "nn.parameter.Buffer"].map((name) => `torch.${name}`),
);

/** What stands for one of them. */
class IdleValue extends PickleObject {}

/** Tensors in dicts, and nothing else. */
const torch: PickleDialect = {
  subject: "PyTorch",
  advice: "Only tensors and dicts are read from a state dict; this file holds other objects or asks to run code. Save the bare state dict: torch.save(checkpoint[\"state_dict\"], path), from a source you trust.",
  global: (name) => (name === REBUILD_TENSOR || name === REBUILD_SUBCLASS || wrappers.has(name) || idle.has(name) || Object.hasOwn(storages, storageName(name)) ? new TorchGlobal(name) : undefined),
  persistent: (id) => {
    const [kind, type, key] = Array.isArray(id) ? id : [];
    return kind === "storage" && type instanceof TorchGlobal && typeof key === "string" ? new TorchStorage(storageName(type.name), key) : undefined;
  },
  reduce: (callee, args) => {
    if (!(callee instanceof TorchGlobal)) return undefined;
    if (idle.has(callee.name)) return new IdleValue();
    if (wrappers.has(callee.name)) return args[0] instanceof TorchTensor ? args[0] : undefined;
    const made = callee.name === REBUILD_SUBCLASS ? args[2] : args;
    const isTensor = callee.name === REBUILD_TENSOR || (args[0] instanceof TorchGlobal && args[0].name === REBUILD_TENSOR);
    return isTensor && Array.isArray(made) ? rebuild(made) : undefined;
  },
  // `_metadata` of a module's state dict: versions of its modules, which nobody needs here.
  build: (target) => target instanceof Map || target instanceof IdleValue,
};

function rebuild([storage, offset, shape, strides]: readonly PickleValue[]): TorchTensor | undefined {
  return storage instanceof TorchStorage && typeof offset === "number" && isNumbers(shape) && isNumbers(strides) ? new TorchTensor(storage, offset, shape, strides) : undefined;
}

/** Tensors by name, and where in the file they were. */
export interface TorchState {
  readonly tensors: Map<string, StoredTensor>;
  /** Keys of the dicts around them, such as "state_dict"; none for a bare state dict. */
  readonly under: readonly string[];
}

/**
 * Reads the tensors of a `.pth` or `.pt` file: a state dict, or a checkpoint with one in it (the largest dict of tensors, at most
 * two dicts deep). Nothing is executed. Floats become f32 (float64 is rounded), integers i32.
 * @param where the file's name, for messages
 * @throws CheckpointError when it is no such archive, is damaged, names anything but tensors, or holds no tensors
 */
export function decodePyTorch(file: Uint8Array, where: string): TorchState {
  const entries = openZip(file, `import: ${where}`, "a PyTorch file", "the zip format of torch.save (PyTorch 1.6 or newer). Load it in PyTorch and save it again.");
  const pickle = entries.names.find((name) => name === "data.pkl" || name.endsWith("/data.pkl"));
  if (pickle === undefined) throw new CheckpointError(`import: ${where}: no data.pkl in the archive, expected a file of torch.save, got ${entries.names.slice(0, 4).join(", ") || "nothing"}.`);
  const folder = pickle.slice(0, -"data.pkl".length);
  if (entries.names.includes(`${folder}byteorder`) && new TextDecoder().decode(entries.read(`${folder}byteorder`)).trim() !== "little") {
    throw new CheckpointError(`import: ${where}: the numbers are big-endian, expected little-endian ones. Save it again on a little-endian machine.`);
  }
  const { found, under } = stateDict(readRoot(entries.read(pickle), where), where);
  const storage = new Map<string, Uint8Array>();
  const tensors = new Map<string, StoredTensor>();
  for (const [name, tensor] of found) {
    const key = `${folder}data/${tensor.storage.key}`;
    if (!entries.names.includes(key)) throw new CheckpointError(`import: ${where}: "${name}" has no data, expected ${key} in the archive. Copy or download it again.`);
    const data = storage.get(key) ?? entries.read(key);
    storage.set(key, data);
    tensors.set(name, toStored(tensor, data, `import: ${where}: "${name}"`));
  }
  return { tensors, under };
}

function readRoot(bytes: Uint8Array, where: string): PickleValue {
  try {
    return readPickle(bytes, torch, `import: ${where}`);
  } catch (cause) {
    throw cause instanceof DatasetError ? new CheckpointError(cause.message, { cause }) : cause;
  }
}

/** Where checkpoints usually have the weights; preferred among dicts with equally many tensors. */
const usual: readonly string[] = ["state_dict", "model", "model_state_dict"];

/** The largest dict of tensors: the root, or one in it. */
function stateDict(root: PickleValue, where: string): { readonly found: ReadonlyMap<string, TorchTensor>; readonly under: readonly string[] } {
  const candidates: { found: ReadonlyMap<string, TorchTensor>; under: readonly string[] }[] = [];
  const visit = (value: PickleValue, under: readonly string[]): void => {
    if (!(value instanceof Map)) return;
    const found = new Map<string, TorchTensor>();
    for (const [name, item] of value) {
      if (typeof name !== "string") continue;
      if (item instanceof TorchTensor) found.set(name, item);
      else if (under.length < 2) visit(item, [...under, name]);
    }
    candidates.push({ found, under });
  };
  visit(root, []);
  const rank = ({ under }: { under: readonly string[] }): number => (under.length === 0 ? -1 : (usual.indexOf(under.at(-1) ?? "") + usual.length + 1) % (usual.length + 1));
  const [best] = candidates.sort((a, b) => b.found.size - a.found.size || rank(a) - rank(b));
  if (best === undefined || best.found.size === 0) throw new CheckpointError(`import: ${where}: no tensors, expected a state dict or a checkpoint with one under "state_dict". Save model.state_dict().`);
  return best;
}

function toStored({ storage: { type }, ...window }: TorchTensor, bytes: Uint8Array, where: string): StoredTensor {
  const kind = storages[type];
  if (kind === undefined) throw new CheckpointError(`${where}: unknown storage ${type}, expected ${Object.keys(storages).join(", ")}.`);
  return readElements(ELEMENT_TYPES[kind], bytes, window, where);
}

/** `torch.FloatStorage` -> `FloatStorage`. */
function storageName(name: string): string {
  return /^torch\.(\w+Storage)$/.exec(name)?.[1] ?? "";
}

function isNumbers(value: PickleValue | undefined): value is number[] {
  return Array.isArray(value) && value.every((n) => typeof n === "number");
}
