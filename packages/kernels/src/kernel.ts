/** Element types a kernel computes with. Every element takes four bytes, unless it is stored as f16. */
export type DType = "f32" | "i32" | "u32";

/**
 * One storage buffer of a kernel, bound at `@group(0) @binding(index in bindings)`.
 * The bound range must hold {@link bindingBytes} bytes: shaders may see the buffer as `array<vec4f>`, so it is a multiple of 16
 * and never empty. What lies behind `length` may be read (and ignored) but is never written.
 */
export interface Binding {
  readonly name: string;
  /** "read": `var<storage, read>`; "write" and "readwrite": `var<storage, read_write>`. "write" promises that every element is overwritten. */
  readonly access: "read" | "write" | "readwrite";
  readonly dtype: DType;
  /** How the elements lie in memory where that is not `dtype` itself: f32 values in half precision. */
  readonly storedAs?: "f16";
  /** Number of elements. */
  readonly length: number;
}

/** A 32-bit uniform field. Fields are packed in order, four bytes each, behind the storage bindings at `@binding(bindings.length)`. */
export interface UniformField {
  readonly name: string;
  readonly type: "u32" | "i32" | "f32";
  readonly value: number;
}

/** Work a kernel does, for rooflines and tuning. */
export interface Cost {
  /** Floating point operations. */
  readonly flops: number;
  /** Bytes read and written at least once. */
  readonly bytes: number;
}

/** What kernel generators may rely on; derived from a `GPUDevice` with {@link targetOf}. */
export interface KernelTarget {
  /** "software": a CPU driver (llvmpipe, SwiftShader, WARP); "gpu": anything else. They want opposite kernels. */
  readonly class: "software" | "gpu";
  /** Subgroup size when the device has the `subgroups` feature and the size is fixed, else 0. */
  readonly subgroupSize: number;
  readonly f16: boolean;
  /** Measured winners among the candidates of an operation; without it every family follows its own rules. */
  readonly tuning?: Tuning;
  readonly limits: {
    readonly maxComputeInvocationsPerWorkgroup: number;
    readonly maxComputeWorkgroupStorageSize: number;
    readonly maxComputeWorkgroupsPerDimension: number;
    readonly maxStorageBufferBindingSize: number;
    readonly maxStorageBuffersPerShaderStage: number;
  };
}

/** Arrays by binding name, for {@link Kernel.reference}. */
export type Arrays = Readonly<Record<string, Float64Array>>;

/** A kernel as data: shader, bindings, uniforms, grid, cost, and the plain-loop float64 code it must agree with. */
export interface Kernel {
  /** Name with the variant, e.g. `matmul.nt.subgroup`. */
  readonly name: string;
  /** A complete WGSL module with the entry point `main`. Sizes are uniforms, so the same text serves many shapes. */
  readonly wgsl: string;
  readonly bindings: readonly Binding[];
  readonly uniforms: readonly UniformField[];
  /** Workgroups in x, y, z. A zero anywhere means there is nothing to do. */
  readonly grid: readonly [number, number, number];
  readonly cost: Cost;
  /**
   * The same computation in float64 plain loops.
   * @param inputs every binding whose access is not "write", by name
   * @returns every binding whose access is not "read", by name
   */
  reference(inputs: Arrays): Record<string, Float64Array>;
}

/** One step of a {@link KernelSequence}. */
export interface KernelStep {
  readonly kernel: Kernel;
  /** Tensor name by binding name: an external tensor of the sequence or one of its temporaries. Every binding is listed. */
  readonly bind: Readonly<Record<string, string>>;
}

/** A scratch tensor that lives only while its sequence runs. */
export interface Temporary {
  readonly name: string;
  readonly dtype: DType;
  /** Number of elements. */
  readonly length: number;
}

/** Several dispatches that make one operation, run in order in one compute pass. */
export interface KernelSequence {
  readonly name: string;
  readonly kernels: readonly KernelStep[];
  /** Written by one step, read by later ones. Any other tensor name in a `bind` belongs to the caller. */
  readonly temporaries: readonly Temporary[];
}

/** Bytes a buffer range bound to `binding` must hold: `4 * length` (stored as f16: `2 * length`), at least 16 and rounded up to 16. */
export function bindingBytes({ length, storedAs }: { readonly length: number; readonly storedAs?: "f16" | undefined }): number {
  return Math.max(16, Math.ceil((length * (storedAs === "f16" ? 2 : 4)) / 16) * 16);
}

/** One way to compute an operation: a kernel family with its tile, or a different order of steps. */
export interface Candidate {
  /** Unique among the candidates of its operation and stable across releases: it is what a tuning cache stores. */
  readonly name: string;
  /** Builds the kernels; called for the chosen candidate only. */
  build(): KernelSequence;
}

/** Chooses among candidates: winners measured on an adapter, or a recorder that collects what there is to measure. */
export interface Tuning {
  /**
   * @param key the operation and its size buckets, e.g. `matmul.nt 2048x512x512`
   * @returns the name of a candidate, or undefined to take the first
   */
  choose(key: string, candidates: readonly Candidate[]): string | undefined;
}

/** One kernel as a sequence whose tensors are named like its bindings. */
export function sequenceOf(kernel: Kernel): KernelSequence {
  const bind = Object.fromEntries(kernel.bindings.map(({ name }) => [name, name]));
  return { name: kernel.name, kernels: [{ kernel, bind }], temporaries: [] };
}

/** Work of all steps together. */
export function sequenceCost(sequence: KernelSequence): Cost {
  let flops = 0;
  let bytes = 0;
  for (const { kernel } of sequence.kernels) {
    flops += kernel.cost.flops;
    bytes += kernel.cost.bytes;
  }
  return { flops, bytes };
}

/**
 * Runs the float64 references of a sequence's kernels in order.
 * @param inputs every external tensor that is read, by name
 * @returns every external tensor that is written, by name
 */
export function sequenceReference(sequence: KernelSequence, inputs: Arrays): Record<string, Float64Array> {
  const tensors = new Map(Object.entries(inputs));
  const written = new Set<string>();
  for (const { kernel, bind } of sequence.kernels) {
    const arrays: Record<string, Float64Array> = {};
    for (const { name, access } of kernel.bindings) {
      if (access === "write") continue;
      const tensor = tensors.get(bind[name] ?? "");
      if (tensor === undefined) throw new Error(`sequenceReference: "${sequence.name}" reads "${bind[name] ?? name}", which nothing wrote. Pass it in inputs.`);
      arrays[name] = tensor;
    }
    for (const [name, array] of Object.entries(kernel.reference(arrays))) {
      const tensor = bind[name] ?? name;
      tensors.set(tensor, array);
      written.add(tensor);
    }
  }
  const temporary = new Set(sequence.temporaries.map(({ name }) => name));
  return Object.fromEntries([...tensors].filter(([name]) => written.has(name) && !temporary.has(name)));
}
