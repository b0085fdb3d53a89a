import { Command } from "commander";
import type { Io } from "./io.js";

/** Exit status of a command: 0 ok, 1 failed, 2 wrong usage. */
export type ExitStatus = 0 | 1 | 2;

/** What every command file is given: the world, and where to put its exit status. */
export interface Context {
  readonly io: Io;
  /** Called once by the command that ran. */
  readonly finish: (status: ExitStatus) => void;
}

/**
 * A command with its examples at the end of `--help`.
 * @param name as typed, e.g. "inspect"
 * @param description one sentence
 * @param examples what to type after `$`, each with what it does
 */
export function describeCommand(name: string, description: string, examples: readonly (readonly [line: string, does: string])[]): Command {
  const width = Math.max(...examples.map(([line]) => line.length));
  const lines = examples.map(([line, does]) => `  $ ${line.padEnd(width)}  ${does}`);
  return new Command(name).description(description).addHelpText("after", `\nExamples:\n${lines.join("\n")}`);
}

/**
 * One JSON document on standard output, for `--json`.
 * @param io where to
 * @param value anything JSON can hold
 */
export function writeJson(io: Io, value: unknown): void {
  io.out(`${JSON.stringify(value, null, 2)}\n`);
}
