/** A tensor or a size does not fit: message "<where>: <what is wrong>, expected <..>, got <..>. <how to fix>". */
export class ShapeError extends Error {
  override readonly name = "ShapeError";
  readonly userFacing = true;
}

/** An array has another element type than the kernel asks for. */
export class DTypeError extends Error {
  override readonly name = "DTypeError";
  readonly userFacing = true;
}

/** The device cannot run the kernel: too many bindings, invocations, bytes or workgroups. */
export class DeviceLimitError extends Error {
  override readonly name = "DeviceLimitError";
  readonly userFacing = true;
}

/** The driver refused a shader or a dispatch; the message holds its lines and the WGSL around them. */
export class KernelError extends Error {
  override readonly name = "KernelError";
  readonly userFacing = true;
}
