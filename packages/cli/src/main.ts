import { type Command, CommanderError } from "commander";
import { type Context, describeCommand, type ExitStatus, writeJson } from "./command.js";
import { benchCommand } from "./commands/bench.js";
import { dataCommand } from "./commands/data.js";
import { demoCommand } from "./commands/demo.js";
import { doctorCommand } from "./commands/doctor.js";
import { evaluateCommand } from "./commands/evaluate.js";
import { exportCommand } from "./commands/export.js";
import { importCommand } from "./commands/import.js";
import { parityCommand } from "./commands/parity.js";
import { reportCommand } from "./commands/report.js";
import { studyCommand } from "./commands/study.js";
import { trainCommand } from "./commands/train.js";
import { tuneCommand } from "./commands/tune.js";
import { UsageError } from "./errors.js";
import { type Io, processIo } from "./io.js";
import { packageVersion } from "./system.js";

/** Every command, one file each, in the order `--help` lists them. */
const commands: readonly ((context: Context) => Command)[] = [demoCommand, dataCommand, trainCommand, evaluateCommand, studyCommand, reportCommand, importCommand, exportCommand, parityCommand, benchCommand, tuneCommand, doctorCommand];

/**
 * The `distilldrive` command.
 * @param argv what was typed after `distilldrive`
 * @param io streams, environment and interrupts; default the process's own
 * @returns exit status: 0 ok, 1 failed, 2 wrong usage, 130 interrupted
 */
export async function main(argv: readonly string[], io: Io = processIo()): Promise<number> {
  let status: ExitStatus = 0;
  const program = describeCommand("distilldrive", "Train and run the DistillDrive planner anywhere WebGPU runs.", [
    ["npx distilldrive demo", "everything once, on synthetic scenes"],
    ["npx distilldrive train teacher --data data/ --val 0655,1094 --out runs/teacher", "train on scenes of your own"],
    ["npx distilldrive doctor", "what WebGPU finds on this machine"],
    ["npx distilldrive <command> --help", "options and examples of a command"],
  ]).version(packageVersion(), "-V, --version", "print the version");
  const context: Context = { io, finish: (value) => (status = value) };
  for (const command of commands) program.addCommand(command(context));
  prepare(program, io);
  try {
    await program.parseAsync(argv, { from: "user" });
    return status;
  } catch (error) {
    return reportError(error, argv, io);
  }
}

/** Make a command and all below it throw instead of ending the process, and leave error printing to {@link reportError}. */
function prepare(command: Command, io: Io): void {
  command
    .allowExcessArguments(false)
    .configureOutput({ writeOut: io.out, writeErr: io.err, outputError: () => undefined })
    .exitOverride((error) => {
      // Without any command commander prints the help as an error; it has said all there is to say.
      if (error.exitCode === 0 || error.code === "commander.help") throw error;
      throw new UsageError(usageMessage(pathOf(command), error));
    });
  for (const child of command.commands) prepare(child, io);
}

/** "distilldrive train teacher" for the command of that name. */
function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`;
}

/** Commander's "error: unknown option '--x'\n(Did you mean --y?)" in this project's form. */
function usageMessage(path: string, error: CommanderError): string {
  const [what = "", hint] = error.message.replace(/^error: /, "").replaceAll("'", '"').replace(/\.$/, "").split("\n");
  const suggestion = hint === undefined ? "" : ` ${hint.replace(/^\((.*)\)$/, "$1").replace(/^Did you mean (\S+)\?$/, 'Did you mean "$1"?')}`;
  return `${path}: ${what}.${suggestion} See: ${path} --help`;
}

function reportError(error: unknown, argv: readonly string[], io: Io): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (io.interrupted.aborted && error === io.interrupted.reason) return 130;
  const failure = error instanceof Error ? error : new Error(String(error));
  const userFacing = "userFacing" in failure && failure.userFacing === true;
  const stack = failure.stack ?? failure.message;
  if (argv.includes("--json")) writeJson(io, { error: { name: failure.name, message: failure.message } });
  if (userFacing) {
    io.err(`${io.env.DISTILLDRIVE_DEBUG === "1" ? stack : failure.message}\n`);
  } else {
    io.err(`${stack}\n\nThis is a fault in distilldrive, not in what you typed. Please report it with these lines and the output of: distilldrive doctor\n`);
  }
  return failure instanceof UsageError ? 2 : 1;
}
