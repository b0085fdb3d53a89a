import { spawn, spawnSync } from "node:child_process";

/**
 * One line to the user about what set-up does.
 * @param {string} text
 * @returns {void}
 */
export function say(text) {
  process.stderr.write(`setup    ${text}\n`);
}

/** Something set-up cannot do; its message tells the user what to do instead. */
export class SetupError extends Error {
  /** Printed without a stack. */
  userFacing = true;
  /** @override */
  name = "SetupError";
}

/**
 * Run a program quietly; its output is kept for the error message.
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ cwd?: string, env?: Record<string, string>, timeout?: number }} [options] env is added to the
 *   process's own; timeout in ms
 * @returns {{ ok: boolean, output: string, stdout: string }} ok is true for exit status 0
 */
export function runQuietly(command, args, options = {}) {
  const child = spawnSync(command, args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    encoding: "utf8",
    maxBuffer: 1 << 28,
    stdio: ["ignore", "pipe", "pipe"],
    timeout: options.timeout,
    shell: command.endsWith(".cmd"),
  });
  const stdout = child.stdout ?? "";
  const output = `${stdout}${child.stderr ?? ""}${child.error ? `\n${child.error.message}` : ""}`;
  return { ok: child.status === 0, output, stdout };
}

/**
 * Run a program on the user's terminal; interrupts reach it and its exit status comes back.
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ cwd?: string, env?: Record<string, string> }} [options] env is added to the process's own
 * @returns {Promise<number>} the exit status, 128 + signal number when a signal ended it
 */
export function runInForeground(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: options.cwd, env: { ...process.env, ...options.env }, stdio: "inherit" });
    /** @type {(signal: NodeJS.Signals) => void} */
    const forward = (signal) => void child.kill(signal);
    /** @type {NodeJS.Signals[]} */
    const signals = ["SIGINT", "SIGTERM", "SIGHUP"];
    for (const signal of signals) process.on(signal, forward);
    child.on("error", reject);
    child.on("close", (code, signal) => {
      for (const name of signals) process.off(name, forward);
      resolve(code ?? 128 + (signal === "SIGINT" ? 2 : signal === "SIGTERM" ? 15 : signal === "SIGHUP" ? 1 : 9));
    });
  });
}

/**
 * How to start npm: the very npm that started this process where there is one.
 * @returns {{ command: string, args: string[] }}
 */
export function npmProgram() {
  const cli = process.env.npm_execpath;
  if (cli !== undefined && /npm-cli\.[cm]?js$/.test(cli)) return { command: process.execPath, args: [cli] };
  return { command: process.platform === "win32" ? "npm.cmd" : "npm", args: [] };
}

/**
 * The last lines of a program's output, stack frames left out.
 * @param {string} output
 * @param {number} [lines]
 * @returns {string}
 */
export function tail(output, lines = 30) {
  return output.trimEnd().split("\n").filter((line) => !/^ {4}at /.test(line)).slice(-lines).join("\n");
}
