/** A mistake in how a graph is built or transformed. */
export class GraphError extends Error {
  override readonly name: string = "GraphError";
  readonly userFacing = true;
}

/** No usable WebGPU adapter or device; the message says what to install. */
export class DeviceError extends Error {
  override readonly name: string = "DeviceError";
  readonly userFacing = true;
}

/** A file of tensors that is damaged or does not fit what it is loaded into. */
export class StateError extends Error {
  override readonly name: string = "StateError";
  readonly userFacing = true;
}
