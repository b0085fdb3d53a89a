/** WebGPU buffer usage flags by value: Node has no such globals. */
export const bufferUsage = { mapRead: 0x1, copySrc: 0x4, copyDst: 0x8, uniform: 0x40, storage: 0x80, indirect: 0x100, queryResolve: 0x200 } as const;
/** `GPUMapMode.READ`. */
export const mapRead = 0x1;
/** `GPUShaderStage.COMPUTE`. */
export const computeStage = 0x4;
