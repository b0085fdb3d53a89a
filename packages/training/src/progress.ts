import { Presets, SingleBar } from "cli-progress";

/** Numbers a progress display shows. */
export interface ProgressState {
  readonly step: number;
  readonly totalSteps: number;
  readonly loss: number;
  readonly terms: Readonly<Record<string, number>>;
  readonly samplesPerSecond: number;
  /** s. */
  readonly secondsLeft: number;
}

/** Where training progress goes. */
export interface Progress {
  start(name: string, totalSteps: number, step: number): void;
  update(state: ProgressState): void;
  stop(): void;
  /** Something out of the ordinary, in a line of its own. */
  note?(text: string): void;
}

/** `1:02:03` or `12:40`. */
export function formatDuration(seconds: number): string {
  if (!Number.isFinite(seconds)) return "--:--";
  const whole = Math.max(0, Math.round(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (n: number): string => String(n).padStart(2, "0");
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${two(minutes)}:${two(rest)}`;
}

/** `reg 0.41 cls 0.52`. */
function formatTerms(terms: Readonly<Record<string, number>>): string {
  return Object.entries(terms)
    .map(([name, value]) => `${name} ${value.toPrecision(3)}`)
    .join(" ");
}

/** A bar on a terminal, otherwise one plain line every `seconds`. */
export function consoleProgress(stream: NodeJS.WriteStream, seconds = 10): Progress {
  return stream.isTTY ? barProgress(stream) : lineProgress(stream, seconds);
}

/** Shows nothing. */
export const silentProgress: Progress = { start: () => undefined, update: () => undefined, stop: () => undefined };

function barProgress(stream: NodeJS.WriteStream): Progress {
  const bar = new SingleBar(
    {
      stream,
      format: "{name}  {bar}  {value}/{total}  loss {loss}  {terms}  {speed} samples/s  {left} left",
      barsize: 20,
      hideCursor: true,
      autopadding: true,
    },
    Presets.shades_classic,
  );
  let shown = false;
  return {
    start: (name, totalSteps, step) => {
      shown = true;
      bar.start(totalSteps, step, { name, loss: "-", terms: "", speed: "-", left: "--:--" });
    },
    update: (state) => {
      bar.update(state.step, {
        loss: state.loss.toPrecision(4),
        terms: formatTerms(state.terms),
        speed: state.samplesPerSecond.toPrecision(3),
        left: formatDuration(state.secondsLeft),
      });
    },
    stop: () => {
      shown = false;
      bar.stop();
    },
    note: (text) => {
      stream.write(`${shown ? "\n" : ""}${text}\n`);
    },
  };
}

function lineProgress(stream: NodeJS.WriteStream, seconds: number): Progress {
  let name = "";
  let printed = Number.NEGATIVE_INFINITY;
  return {
    start: (task) => {
      name = task;
    },
    update: (state) => {
      const now = performance.now();
      if (state.step < state.totalSteps && now - printed < 1000 * seconds) return;
      printed = now;
      stream.write(
        `${name}  step ${state.step}/${state.totalSteps}  loss ${state.loss.toPrecision(4)}  ${formatTerms(state.terms)}  ${state.samplesPerSecond.toPrecision(3)} samples/s  ${formatDuration(state.secondsLeft)} left\n`,
      );
    },
    stop: () => undefined,
    note: (text) => {
      stream.write(`${text}\n`);
    },
  };
}
