import { decodeRawSafetensors, StateError, type StoredTensor } from "@distilldrive/tensor";
import { CheckpointError } from "../errors.js";
import { ELEMENT_TYPES, readElements } from "./element-types.js";
import { decodeNpz } from "./npz.js";
import { decodePyTorch } from "./pytorch.js";
import { isZip, openZip } from "./zip.js";

/** Named tensors of a file that some training wrote. */
export interface StateDict {
  readonly format: "PyTorch" | "safetensors" | "numpy";
  /** Floats as f32, integers as i32. */
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** Keys of the dicts around the tensors, such as "state_dict"; PyTorch only. */
  readonly under: readonly string[];
  /** Strings the file has beside its tensors; safetensors only. */
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * Reads a state dict: a PyTorch file (`.pth`, `.pt`; nothing is executed), safetensors or a numpy archive. Which of them is told by
 * the content. Floats of other widths are rounded to f32, integers must fit 32 bits.
 * @param where the file's name, for messages
 * @throws CheckpointError when it is none of them, is damaged, or holds anything but tensors
 */
export function decodeStateDict(file: Uint8Array, where: string): StateDict {
  if (isZip(file)) {
    const { names } = openZip(file, `import: ${where}`, "an archive", "a zip file.");
    if (names.some((name) => /(?:^|\/)data\.pkl$/.test(name))) return { format: "PyTorch", ...decodePyTorch(file, where), metadata: {} };
    if (names.some((name) => name.endsWith(".npy"))) return { format: "numpy", tensors: numpyTensors(file, where), under: [], metadata: {} };
    throw new CheckpointError(`import: ${where}: a zip archive of something else, expected data.pkl (PyTorch) or .npy files (numpy) in it, got ${names.slice(0, 4).join(", ") || "nothing"}.`);
  }
  // A safetensors file: the length of its header, and the header's brace.
  if (file[8] === 0x7b) return { format: "safetensors", ...safetensors(file, where), under: [] };
  const old = file[0] === 0x80 ? " This may be PyTorch's format from before 1.6, or a bare pickle: load it in PyTorch and save it again." : "";
  const got = file.length === 0 ? "an empty file" : `bytes that begin with ${[...file.subarray(0, 4)].map((byte) => byte.toString(16).padStart(2, "0")).join(" ")}`;
  throw new CheckpointError(`import: ${where}: no state dict, expected a .pth or .pt file of torch.save, a .safetensors or an .npz file, got ${got}.${old}`);
}

function safetensors(file: Uint8Array, where: string): Pick<StateDict, "tensors" | "metadata"> {
  try {
    const { tensors, metadata } = decodeRawSafetensors(file, `import: ${where}`);
    const types: Readonly<Partial<Record<string, (typeof ELEMENT_TYPES)[keyof typeof ELEMENT_TYPES]>>> = ELEMENT_TYPES;
    const read = [...tensors].map(([name, { dtype, shape, bytes }]): [string, StoredTensor] => {
      const type = types[dtype];
      if (type === undefined) throw new CheckpointError(`import: ${where}: "${name}" has elements of type ${dtype}, expected ${Object.keys(types).join(", ")}. Convert it first.`);
      const wanted = shape.reduce((a, b) => a * b, type.bytes);
      if (bytes.byteLength > wanted) throw new CheckpointError(`import: ${where}: "${name}" has more data than its shape, expected ${wanted} bytes for ${dtype} [${shape.join(", ")}], got ${bytes.byteLength}. The file is damaged.`);
      return [name, readElements(type, bytes, { shape }, `import: ${where}: "${name}"`)];
    });
    return { tensors: new Map(read), metadata };
  } catch (cause) {
    throw cause instanceof StateError ? new CheckpointError(cause.message, { cause }) : cause;
  }
}

function numpyTensors(file: Uint8Array, where: string): Map<string, StoredTensor> {
  const archive = decodeNpz(file, `import: ${where}`);
  const read = archive.names.map((name): [string, StoredTensor] => {
    const { shape, integer, values } = archive.get(name);
    if (!integer) return [name, { shape, dtype: "f32", data: Float32Array.from(values) }];
    const data = Int32Array.from(values);
    const wide = data.findIndex((value, i) => value !== values[i]);
    if (wide >= 0) throw new CheckpointError(`import: ${where}: "${name}": element ${wide} does not fit, expected a 32-bit integer, got ${values[wide] ?? ""}.`);
    return [name, { shape, dtype: "i32", data }];
  });
  return new Map(read);
}
