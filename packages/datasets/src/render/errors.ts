/** A request the camera renderer refuses: unknown frame, invalid pose, impossible image size. */
export class RenderError extends Error {
  override readonly name = "RenderError";
  /** The message alone explains the problem; no stack trace is needed. */
  readonly userFacing = true;
}
