import {
  add, adamw, buffer, concat, div, type Graph, gradients, isFinite, maximum, minimum, mul, reshape, slice, sqrt, stack, sub, sum, sumSquares,
  type NamedVariables, type Tensor, type Variable, where,
} from "@distilldrive/tensor";
import { type OptimizerConfig, learningRateAt } from "./schedule.js";

/** Optimiser state of a set of parameters: first and second moments, by `optimizer.m.<name>` and `optimizer.v.<name>`. */
export interface OptimizerState {
  readonly parameters: NamedVariables;
  readonly m: ReadonlyMap<string, Variable>;
  readonly v: ReadonlyMap<string, Variable>;
  /** 1 once a loss or gradient was not finite: from then on nothing changes any more. */
  readonly halted: Variable;
}

/** Zero moments for every parameter. */
export function optimizerState(parameters: NamedVariables): OptimizerState {
  const moments = (): Map<string, Variable> => new Map([...parameters].map(([name, { shape }]) => [name, buffer(shape)]));
  return { parameters, m: moments(), v: moments(), halted: buffer([]) };
}

/** What one update reports. */
export interface Update {
  /** L2 norm of all gradients together, before clipping. */
  readonly gradientNorm: Tensor;
  /** 1 when the run is halted, after this step. */
  readonly halted: Tensor;
}

/** Numbers the host writes every step. */
export const scalarInput = "optimizer.scalars";

/** Values of {@link scalarInput} for a step (0-based): learning rate and the two bias corrections. */
export function stepScalars(config: OptimizerConfig, step: number, totalSteps: number): Float32Array {
  return Float32Array.of(learningRateAt(config, step, totalSteps), 1 - config.beta1 ** (step + 1), 1 - config.beta2 ** (step + 1));
}

/**
 * Appends the backward pass, global-norm clipping and an AdamW update of every parameter. When the loss or a gradient is
 * not finite, this and every later step leaves all variables as they are, so that the host, which looks only now and
 * then, still finds the state before the bad step.
 */
export function appendUpdate(graph: Graph, loss: Tensor, state: OptimizerState, config: OptimizerConfig): Update {
  const names = [...state.parameters.keys()];
  const grads = gradients(loss, [...state.parameters.values()]);
  return graph.scope("optimizer", () => {
    const squares = grads.map((grad) => sumSquares(grad));
    const norm = sqrt(sum(stack(squares, 0)));
    const halted = maximum(graph.variable(state.halted), sub(1, mul(isFinite(loss), isFinite(norm))));
    const scale = minimum(div(config.clipNorm, add(norm, 1e-6)), 1);
    const gradientScale = where(halted, -1, scale);
    const scalars = graph.input(scalarInput, [3]);
    const hyper = (decay: number): Tensor =>
      concat([slice(scalars, 0, 0, 1), graph.constant([config.beta1, config.beta2, config.eps, decay], [4]), slice(scalars, 0, 1), reshape(gradientScale, [1])], 0);
    const decayed = hyper(config.weightDecay);
    const plain = hyper(0);
    // Other assignments (memory queues, running statistics) must stop with the optimiser.
    graph.mapAssignments((old, value) => where(halted, old, value));
    names.forEach((name, position) => {
      const [parameter, m, v] = [state.parameters.get(name), state.m.get(name), state.v.get(name)];
      const grad = grads[position];
      if (!parameter || !m || !v || !grad) return;
      const next = adamw(graph, parameter, grad, m, v, parameter.shape.length >= 2 ? decayed : plain);
      graph.assign(parameter, next.parameter);
      graph.assign(m, next.m);
      graph.assign(v, next.v);
    });
    graph.assign(state.halted, halted);
    return { gradientNorm: norm, halted };
  });
}
