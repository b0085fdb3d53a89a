import { bufferUsage, deviceWork, type DType, fromHalf, mapRead } from "@distilldrive/kernels";

/** A typed range of a buffer. */
export interface ReadRange {
  readonly buffer: GPUBuffer;
  /** Bytes. */
  readonly offset: number;
  /** Elements. */
  readonly length: number;
  readonly dtype: DType;
  readonly storedAs?: "f16" | undefined;
}

/** Copies ranges to the host: one staging buffer, one submit, one map. */
export async function readBuffers(device: GPUDevice, ranges: readonly ReadRange[]): Promise<(Float32Array | Int32Array | Uint32Array)[]> {
  let total = 0;
  const sizes = ranges.map(({ length, storedAs }) => (storedAs === "f16" ? 4 * Math.ceil(length / 2) : 4 * length));
  const offsets = sizes.map((size) => {
    const at = total;
    total += size;
    return at;
  });
  const staging = device.createBuffer({ label: "readback", size: Math.max(4, total), usage: bufferUsage.mapRead | bufferUsage.copyDst });
  try {
    const encoder = device.createCommandEncoder();
    ranges.forEach(({ buffer, offset, length }, position) => {
      if (length > 0) encoder.copyBufferToBuffer(buffer, offset, staging, offsets[position] ?? 0, sizes[position]);
    });
    device.queue.submit([encoder.finish()]);
    await deviceWork(staging.mapAsync(mapRead));
    const bytes = staging.getMappedRange().slice(0);
    return ranges.map(({ length, dtype, storedAs }, position) => {
      const at = offsets[position] ?? 0;
      if (storedAs === "f16") return fromHalf(new Uint16Array(bytes, at, length));
      return dtype === "f32" ? new Float32Array(bytes, at, length) : dtype === "i32" ? new Int32Array(bytes, at, length) : new Uint32Array(bytes, at, length);
    });
  } finally {
    staging.destroy();
  }
}
