/** Element types a kernel can read or write. Every element takes four bytes. */
export type DType = "f32" | "i32" | "u32";

/** One storage buffer of a kernel, bound at `@group(0) @binding(index in bindings)`. */
export interface Binding {
  readonly name: string;
  /** "read": `var<storage, read>`; "write" and "readwrite": `var<storage, read_write>`. "write" promises that every element is overwritten. */
  readonly access: "read" | "write" | "readwrite";
  readonly dtype: DType;
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
