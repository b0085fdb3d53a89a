/** A peer library that cannot be used; the message tells what to install. */
export class PeerError extends Error {
  override readonly name = "PeerError";
  readonly userFacing = true;
}

/** A benchmark that was asked for wrongly. */
export class BenchError extends Error {
  override readonly name = "BenchError";
  readonly userFacing = true;
}
