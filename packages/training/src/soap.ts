import {
  abs, adamDirection, add, decayedStep, div, equal, expandDims, greater, Graph, matmul, maximum, mean, mul, oneHot, orthonormalise, reshape, sum, type Tensor, type Variable, where,
} from "@distilldrive/tensor";
import type { OptimizerConfig } from "./schedule.js";
import type { Preconditioner, UpdateUnit } from "./update-units.js";

/** New values of a unit's variables, to be assigned. */
export type Changes = (readonly [Variable, Tensor])[];

/** `count` matrices out of a variable. */
function matrices(graph: Graph, variable: Variable, count: number, rows: number, columns: number): Tensor {
  return reshape(graph.variable(variable), [count, rows, columns]);
}

/**
 * One SOAP step (Vyas et al. 2024, algorithm 3): Adam in the eigenbasis of Shampoo's preconditioners, which take in the gradient afterwards.
 * @param gradient of all parameters of the unit, as many elements as they have together
 * @param hyper as for `adamw`; where its gradientScale is negative nothing changes
 * @param skip scalar, 1 where the preconditioners must not take in the gradient
 * @param scale scalar the gradient is multiplied by
 */
export function soapStep(unit: UpdateUnit & { readonly soap: NonNullable<UpdateUnit["soap"]> }, gradient: Tensor, hyper: Tensor, skip: Tensor, scale: Tensor, config: OptimizerConfig): { readonly parameter: Tensor; readonly changes: Changes } {
  const { graph } = gradient;
  const { count, rows, columns, left, right } = unit.soap;
  const g = reshape(gradient, [count, rows, columns]);
  const basis = (side: Preconditioner): Tensor => matrices(graph, side.basis, count, side.size, side.size);
  const rotated = rotate(g, left && basis(left), right && basis(right), true);
  const { direction, m, v } = adamDirection(rotated, unit.m, unit.v, hyper);
  const step = rotate(direction, left && basis(left), right && basis(right), false);
  const parameter = decayedStep(unit.parameter, step, hyper);
  const changes: Changes = [[unit.m, m], [unit.v, v]];
  const beta = config.soap.shampooBeta ?? config.beta2;
  const share = mul(mul(scale, scale), 1 - beta);
  const remember = (side: Preconditioner, product: Tensor): void => {
    const old = matrices(graph, side.statistics, count, side.size, side.size);
    const now = where(skip, old, add(mul(old, beta), mul(product, share)));
    changes.push([side.statistics, reshape(now, side.statistics.shape)]);
  };
  if (left) remember(left, matmul(g, g, { transposeB: true }));
  if (right) remember(right, matmul(g, g, { transposeA: true }));
  return { parameter, changes };
}

/** left^T x right into the eigenbasis, or left x right^T back out of it; a missing basis changes nothing. */
function rotate(x: Tensor, left: Tensor | null, right: Tensor | null, into: boolean): Tensor {
  const rows = left ? matmul(left, x, { transposeA: into }) : x;
  return right ? matmul(rows, right, { transposeB: !into }) : rows;
}

/**
 * The graph that refreshes the eigenbases of all units: eigenvectors are sorted by their estimated eigenvalues, take one
 * power iteration and are made orthonormal again (QR); second moments are sorted along, first moments carried over into the new basis.
 * It runs on its own every `preconditionFrequency` steps, without any input.
 * @param halted variable; where it is not 0 nothing changes
 */
export function traceRefresh(units: readonly UpdateUnit[], halted: Variable): Graph {
  const graph = new Graph();
  for (const { soap, m, v } of units) {
    if (!soap) continue;
    const { count, rows, columns } = soap;
    const left = soap.left && refreshed(graph, soap.left, count);
    const right = soap.right && refreshed(graph, soap.right, count);
    const means = matrices(graph, m, count, rows, columns);
    const squares = matrices(graph, v, count, rows, columns);
    graph.assign(m, reshape(rotate(means, left && left.turn, right && right.turn, true), m.shape));
    graph.assign(v, reshape(rotate(squares, left && left.order, right && right.order, true), v.shape));
  }
  const stop = graph.variable(halted);
  graph.mapAssignments((old, value) => where(stop, old, value));
  return graph;
}

/** The next basis; `order` [count, n, n] sorts the old one's columns, `turn` leads from it to the next. */
function refreshed(graph: Graph, { size, statistics, basis }: Preconditioner, count: number): { readonly order: Tensor; readonly turn: Tensor } {
  const old = matrices(graph, basis, count, size, size);
  const grown = matmul(matrices(graph, statistics, count, size, size), old);
  const estimates = sum(mul(old, grown), { axes: [1] });
  const [mine, other] = [expandDims(estimates, 2), expandDims(estimates, 1)];
  const index = graph.constant(Float32Array.from({ length: size }, (_, i) => i), [size]);
  const before = maximum(greater(other, mine), mul(equal(other, mine), greater(expandDims(index, 1), index)));
  const order = oneHot(sum(before, { axes: [2] }), size);
  // Entries around 1 whatever the size of the gradients, because the QR step squares them.
  const level = add(mean(abs(grown), { axes: [1, 2], keepDims: true }), 1e-30);
  const next = orthonormalise(matmul(div(grown, level), order));
  graph.assign(basis, reshape(next, basis.shape));
  return { order, turn: matmul(old, next, { transposeA: true }) };
}
