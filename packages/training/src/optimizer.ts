import {
  add, adamw, buffer, concat, div, Graph, gradients, greaterEqual, isFinite, less, maximum, minimum, mul, type NamedVariables, packAdd, packAlignment, packTensors, reshape,
  sizeOf, slice, sqrt, stack, sub, sum, sumSquares, type Tensor, type Variable, where,
} from "@distilldrive/tensor";
import { groupParameters } from "./parameter-groups.js";
import { learningRateAt, type OptimizerConfig, type PrecisionConfig } from "./schedule.js";
import { type Changes, soapStep } from "./soap.js";
import { type OptimizerState, type UpdateUnit, updateUnits } from "./update-units.js";

/** An optimiser of a set of parameters with all its state on the device. */
export interface Optimizer extends OptimizerState {
  readonly config: OptimizerConfig;
  /** 1 once a loss or gradient was not finite (and no loss scale to lower): from then on nothing changes any more. */
  readonly halted: Variable;
  /** The factor on the loss: fixed, or variables. */
  readonly lossScale: number | { readonly scale: Variable; readonly goodSteps: Variable; readonly growthSteps: number };
  /** Sums of gradients, one a unit, where several batches make a step; they begin anew with every step, so nobody saves them. */
  readonly accumulators: readonly Variable[];
}

const initialScale = 65536;
const smallestScale = 1;

/**
 * The optimiser of a model's parameters.
 * @param precision half precision brings a loss scale; default f32
 * @throws ConfigError for groups that name no parameter
 */
export function createOptimizer(parameters: NamedVariables, config: OptimizerConfig, precision?: PrecisionConfig): Optimizer {
  const { units, variables, packs } = updateUnits(groupParameters(parameters, config), config);
  const halted = buffer([]);
  const dynamic = precision?.storage === "mixed" && precision.lossScale === "dynamic";
  const scaling = dynamic ? { scale: buffer([], { kind: "constant", value: initialScale }), goodSteps: buffer([]), growthSteps: precision.growthSteps } : null;
  const lossScale = scaling ?? (precision?.storage === "mixed" && typeof precision.lossScale === "number" ? precision.lossScale : 1);
  const own: [string, Variable][] = [["optimizer.halted", halted]];
  if (scaling) own.push(["optimizer.lossScale", scaling.scale], ["optimizer.goodSteps", scaling.goodSteps]);
  return {
    config,
    units,
    variables: new Map([...variables, ...own]),
    packs,
    halted,
    lossScale,
    accumulators: config.accumulate > 1 ? units.map(({ parameters: parts }) => buffer([packedSize(parts)])) : [],
  };
}

function packedSize(parts: readonly Variable[]): number {
  return parts.reduce((size, { shape }) => size + Math.ceil(sizeOf(shape) / packAlignment) * packAlignment, 0);
}

/** What one update reports, by the names metrics show. */
export interface Update {
  /** L2 norm of all gradients together, before clipping, without the loss scale; -1 where it was not finite and the step was skipped. */
  readonly gradientNorm: Tensor;
  /** 1 when the run is halted, after this step. */
  readonly halted: Tensor;
  /** With dynamic scaling: the factor this step had. */
  readonly lossScale?: Tensor;
}

/** Numbers the host writes every step. */
export const scalarInput = "optimizer.scalars";
/** [1]: 1 in the first of the batches that make a step. */
export const restartInput = "optimizer.restart";

/** Values of {@link scalarInput} for a step (0-based): learning rate, the two bias corrections, 1 where SOAP only looks, decay of the moving average. */
export function stepScalars(config: OptimizerConfig, step: number, totalSteps: number): Float32Array {
  // SOAP's first step only starts the preconditioners: its moments have seen one gradient less.
  const seen = config.kind === "soap" ? Math.max(1, step) : step + 1;
  return Float32Array.of(learningRateAt(config, step, totalSteps), 1 - config.beta1 ** seen, 1 - config.beta2 ** seen, config.kind === "soap" && step === 0 ? 1 : 0, emaDecayAt(config, step));
}

/** Decay of the moving average in a step (0-based): short at first, so that a short run does not remember its initial values. */
function emaDecayAt({ emaDecay }: OptimizerConfig, step: number): number {
  return Math.min(emaDecay, (1 + step) / (10 + step));
}

/** Whether the eigenbases are refreshed after a step (0-based), and how often: the first time they are far from settled. */
export function refreshesAfter({ kind, soap }: OptimizerConfig, step: number): number {
  if (kind !== "soap" || step % soap.preconditionFrequency !== 0) return 0;
  return step === 0 ? 4 : 1;
}

/** Gradients of the loss by unit, times the loss scale and divided by the batches of a step. */
function unitGradients(graph: Graph, loss: Tensor, { units, config, lossScale }: Optimizer): { readonly parts: readonly Tensor[] }[] {
  const scale = typeof lossScale === "number" ? lossScale : graph.variable(lossScale.scale);
  const plain = scale === 1 && config.accumulate === 1;
  const grads = gradients(plain ? loss : mul(loss, typeof scale === "number" ? scale / config.accumulate : div(scale, config.accumulate)), units.flatMap(({ parameters }) => parameters));
  let first = 0;
  return units.map(({ parameters }) => ({ parts: grads.slice(first, (first += parameters.length)) }));
}

/**
 * Appends backward pass, clipping and update to the graph of a loss: the whole step, where one batch makes it. When loss or gradient is not finite, this
 * and every later step leaves all variables as they are, so that the host, which looks only now and then, still finds the state
 * before the bad step. With dynamic loss scaling a gradient that is not finite skips the update and lowers the scale instead.
 */
export function appendUpdate(graph: Graph, loss: Tensor, optimizer: Optimizer): Update {
  const parts = unitGradients(graph, loss, optimizer);
  return graph.scope("optimizer", () => update(graph, optimizer, parts.map(({ parts: own }) => flatOf(own)), isFinite(loss)));
}

function flatOf(parts: readonly Tensor[]): Tensor {
  const [only] = parts;
  return only && parts.length === 1 ? only : packTensors(parts);
}

/**
 * Appends the backward pass and adds the gradients to the optimiser's sums: one batch of several that make a step. The run halts as in {@link appendUpdate}.
 */
export function appendAccumulation(graph: Graph, loss: Tensor, optimizer: Optimizer): void {
  const parts = unitGradients(graph, loss, optimizer);
  graph.scope("optimizer", () => {
    const restart = graph.input(restartInput, [1]);
    const sums = optimizer.accumulators.map((accumulator, index) => packAdd(graph, accumulator, restart, parts[index]?.parts ?? []));
    const fine = typeof optimizer.lossScale === "number" ? mul(isFinite(loss), isFinite(normOf(sums))) : isFinite(loss);
    const halted = maximum(graph.variable(optimizer.halted), sub(1, fine));
    graph.mapAssignments((old, value) => where(halted, old, value));
    optimizer.accumulators.forEach((accumulator, index) => {
      const value = sums[index];
      if (value) graph.assign(accumulator, value);
    });
    graph.assign(optimizer.halted, halted);
  });
}

/** The graph that makes a step of the summed gradients; it runs after the last of the batches. */
export function traceUpdate(optimizer: Optimizer): { readonly graph: Graph; readonly update: Update } {
  const graph = new Graph();
  const done = graph.scope("optimizer", () => {
    const grads = optimizer.units.map(({ parameters: [first, ...others] }, index) => {
      const accumulator = optimizer.accumulators[index];
      if (!accumulator || !first) throw new RangeError("traceUpdate: the optimiser has no sums of gradients.");
      const total = graph.variable(accumulator);
      return others.length === 0 ? slice(total, 0, 0, sizeOf(first.shape)) : total;
    });
    return update(graph, optimizer, grads, graph.literal(1));
  });
  return { graph, update: done };
}

function normOf(grads: readonly Tensor[]): Tensor {
  return sqrt(sum(stack(grads.map((grad) => sumSquares(grad)), 0)));
}

function update(graph: Graph, optimizer: Optimizer, grads: readonly Tensor[], lossFinite: Tensor): Update {
  const { config, units, lossScale } = optimizer;
  const scale = typeof lossScale === "number" ? graph.literal(lossScale) : graph.variable(lossScale.scale);
  const scaledNorm = normOf(grads);
  const finite = isFinite(scaledNorm);
  const norm = lossScale === 1 ? scaledNorm : div(scaledNorm, scale);
  const hopeless = typeof lossScale === "number" ? sub(1, mul(lossFinite, finite)) : maximum(sub(1, lossFinite), mul(sub(1, finite), less(scale, 2 * smallestScale)));
  const halted = maximum(graph.variable(optimizer.halted), hopeless);
  const skip = typeof lossScale === "number" ? halted : maximum(halted, sub(1, finite));
  const clip = minimum(div(config.clipNorm, add(norm, 1e-6)), 1);
  const gradientScale = lossScale === 1 ? clip : div(clip, scale);
  const scalars = graph.input(scalarInput, [5]);
  // Other assignments (memory queues, running statistics) must stop with the optimiser.
  graph.mapAssignments((old, value) => where(halted, old, value));
  units.forEach((unit, index) => {
    const grad = grads[index];
    if (!grad) return;
    const hyper = hyperOf(graph, unit, config, scalars, skip, gradientScale);
    for (const [variable, value] of changesOf(unit, grad, hyper, skip, gradientScale, config, slice(scalars, 0, 4))) graph.assign(variable, value);
  });
  if (typeof lossScale !== "number") {
    const good = add(graph.variable(lossScale.goodSteps), 1);
    const grown = greaterEqual(good, lossScale.growthSteps);
    const next = where(finite, where(grown, minimum(mul(scale, 2), 2 ** 24), scale), maximum(div(scale, 2), smallestScale));
    graph.assign(lossScale.scale, where(halted, scale, next));
    graph.assign(lossScale.goodSteps, where(halted, graph.variable(lossScale.goodSteps), mul(good, mul(finite, sub(1, grown)))));
  }
  graph.assign(optimizer.halted, halted);
  const skipped = typeof lossScale !== "number";
  return { gradientNorm: skipped ? where(finite, norm, -1) : norm, halted, ...(skipped ? { lossScale: scale } : {}) };
}

/** The `hyper` buffer of AdamW for a unit. */
function hyperOf(graph: Graph, unit: UpdateUnit, config: OptimizerConfig, scalars: Tensor, skip: Tensor, gradientScale: Tensor): Tensor {
  const constants = graph.constant([config.beta1, config.beta2, config.eps, unit.weightDecay], [4]);
  // In SOAP's first step everything but the preconditioners stays as it is.
  const still = config.kind === "soap" ? maximum(skip, reshape(slice(scalars, 0, 3, 4), [])) : skip;
  const rate = slice(scalars, 0, 0, 1);
  return concat([unit.learningRateFactor === 1 ? rate : mul(rate, unit.learningRateFactor), constants, slice(scalars, 0, 1, 3), reshape(where(still, -1, gradientScale), [1])], 0);
}

function changesOf(unit: UpdateUnit, grad: Tensor, hyper: Tensor, skip: Tensor, gradientScale: Tensor, config: OptimizerConfig, emaDecay: Tensor): Changes {
  const { graph } = grad;
  const { soap } = unit;
  const changes: Changes = [];
  let parameter: Tensor;
  if (soap) {
    const step = soapStep({ ...unit, soap }, grad, hyper, skip, gradientScale, config);
    parameter = step.parameter;
    changes.push(...step.changes);
  } else {
    const next = adamw(graph, unit.parameter, grad, unit.m, unit.v, hyper);
    parameter = next.parameter;
    changes.push([unit.m, next.m], [unit.v, next.v]);
  }
  changes.push([unit.parameter, parameter]);
  if (unit.ema) {
    const old = graph.variable(unit.ema);
    changes.push([unit.ema, where(skip, old, add(old, mul(sub(parameter, old), sub(1, emaDecay))))]);
  }
  return changes;
}
