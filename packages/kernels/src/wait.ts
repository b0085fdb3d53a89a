/** What Node has and pages have not: a turn of the event loop that may block. */
interface Host {
  readonly process?: { readonly versions?: { readonly node?: string } };
  readonly setImmediate?: (turn: () => void) => unknown;
}

const { process, setImmediate } = globalThis as Host;
const turns = process?.versions?.node === undefined ? undefined : setImmediate;
/** Milliseconds of the longest pause. */
const longest = 0.5;
/** Share of the time waited so far that a pause takes: so much later at most is the end noticed. */
const share = 1 / 20;

let cell: Int32Array | undefined;
let waiting = 0;
let began = 0;
let pausing = false;

/**
 * Waits for a promise of the device: work done, or a buffer mapped. In Node, Dawn asks the device for its state in every turn of the event
 * loop, which keeps a core busy as long as something is awaited: the very core that a CPU driver computes on. So the loop is slowed
 * down with short pauses of the thread. In a page this is a plain `await`.
 */
export async function deviceWork<T>(promise: Promise<T>): Promise<T> {
  if (turns === undefined) return promise;
  if (waiting++ === 0) began = performance.now();
  if (!pausing) {
    pausing = true;
    turns(pause);
  }
  try {
    return await promise;
  } finally {
    waiting--;
  }
}

function pause(): void {
  pausing = waiting > 0;
  if (!pausing) return;
  cell ??= new Int32Array(new SharedArrayBuffer(4));
  Atomics.wait(cell, 0, 0, Math.min(longest, (performance.now() - began) * share));
  turns?.(pause);
}
