/**
 * The WebGPU usage flags, as numbers of the specification: Node has no `GPUBufferUsage` globals unless the host
 * program installs them, and a library should not.
 */
export const BUFFER_USAGE = { mapRead: 0x1, copySrc: 0x4, copyDst: 0x8, index: 0x10, vertex: 0x20, uniform: 0x40, storage: 0x80 } as const;
/** Texture usage flags. */
export const TEXTURE_USAGE = { copySrc: 0x1, textureBinding: 0x4, renderAttachment: 0x10 } as const;
/** Shader stage flags. */
export const SHADER_STAGE = { vertex: 0x1, fragment: 0x2, compute: 0x4 } as const;
/** `GPUMapMode.READ`. */
export const MAP_READ = 0x1;
