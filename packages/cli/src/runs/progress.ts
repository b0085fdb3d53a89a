import { consoleProgress, type Progress } from "@distilldrive/training";
import type { Io } from "../io.js";

/** A progress bar on a terminal, plain lines through `io.err` otherwise. */
export function ioProgress(io: Io): Progress {
  if (io.terminal) return consoleProgress(process.stderr);
  // Plain lines need nothing of a stream but `write`.
  const lines = { isTTY: false, write: (text: string) => (io.err(text), true) };
  return consoleProgress(lines as unknown as NodeJS.WriteStream);
}
