import { buffer, packed, sizeOf, type Variable } from "@distilldrive/tensor";
import type { ParameterGroup } from "./parameter-groups.js";
import type { OptimizerConfig } from "./schedule.js";

/** One preconditioner of SOAP: a running mean of products of gradients, and the basis of its eigenvectors; [count, size, size] together. */
export interface Preconditioner {
  readonly size: number;
  readonly statistics: Variable;
  readonly basis: Variable;
}

/** Parameters that the same few dispatches update, and their state. Each variable is one of its own, or a packed one over all of them. */
export interface UpdateUnit {
  readonly learningRateFactor: number;
  readonly weightDecay: number;
  readonly parameters: readonly Variable[];
  readonly parameter: Variable;
  readonly m: Variable;
  readonly v: Variable;
  readonly ema: Variable | null;
  /** SOAP's view of the parameters, `count` matrices [rows, columns]; null for plain AdamW. */
  readonly soap: { readonly count: number; readonly rows: number; readonly columns: number; readonly left: Preconditioner | null; readonly right: Preconditioner | null } | null;
}

/** What the optimiser keeps on the device. */
export interface OptimizerState {
  readonly units: readonly UpdateUnit[];
  /** By the names they have in checkpoints. */
  readonly variables: ReadonlyMap<string, Variable>;
  /** Packed variables, for the store. */
  readonly packs: readonly Variable[];
}

/** Elements in one packed variable: 64 MiB, which every device can bind; larger parameters are packed alone. */
const mostElements = 2 ** 24;

/**
 * Divides parameters into units and makes their state: first and second moments `optimizer.m.<name>`, `optimizer.v.<name>`; for
 * SOAP also `optimizer.left.<name>`, `.leftBasis.`, `.right.`, `.rightBasis.`; moving averages `ema.<name>`.
 */
export function updateUnits(groups: readonly ParameterGroup[], config: OptimizerConfig): OptimizerState {
  const maker = new UnitMaker(config);
  for (const group of groups) {
    const plain: Named[] = [];
    const matrices = new Map<string, Named[]>();
    for (const named of group.parameters) {
      const shape = config.kind === "soap" ? matrixShape(named[1], config) : null;
      if (!shape) plain.push(named);
      else {
        // Matrices are treated together when they lie side by side without gaps.
        const key = shape.rows % 8 === 0 && shape.columns % 8 === 0 ? `${shape.rows} ${shape.columns}` : named[0];
        matrices.set(key, [...(matrices.get(key) ?? []), named]);
      }
    }
    for (const parts of chunks(plain)) maker.add(group, parts, false);
    for (const same of matrices.values()) for (const parts of chunks(same)) maker.add(group, parts, true);
  }
  return maker;
}

type Named = readonly [string, Variable];

class UnitMaker implements OptimizerState {
  readonly units: UpdateUnit[] = [];
  readonly variables = new Map<string, Variable>();
  readonly packs: Variable[] = [];

  constructor(readonly config: OptimizerConfig) {}

  add({ learningRateFactor, weightDecay }: ParameterGroup, named: readonly Named[], preconditioned: boolean): void {
    const [first] = named;
    if (!first) return;
    const parameters = named.map(([, variable]) => variable);
    const own = (kind: string, make: (variable: Variable) => Variable): Variable =>
      this.#together(
        named.map(([name, variable]) => {
          const made = make(variable);
          this.variables.set(`${kind}.${name}`, made);
          return made;
        }),
      );
    const zeros = ({ shape }: Variable): Variable => buffer(shape);
    const side = (name: string, size: number): Preconditioner | null =>
      size > this.config.soap.maxPreconditionDim
        ? null
        : { size, statistics: own(`optimizer.${name}`, () => buffer([size, size])), basis: own(`optimizer.${name}Basis`, () => buffer([size, size], { kind: "data", data: identity(size) })) };
    const shape = preconditioned ? matrixShape(first[1], this.config) : null;
    this.units.push({
      learningRateFactor,
      weightDecay,
      parameters,
      parameter: this.#together(parameters),
      m: own("optimizer.m", zeros),
      v: own("optimizer.v", zeros),
      ema: this.config.emaDecay > 0 ? own("ema", zeros) : null,
      soap: shape && { ...shape, count: named.length, left: side("left", shape.rows), right: side("right", shape.columns) },
    });
  }

  #together(variables: readonly Variable[]): Variable {
    const [only] = variables;
    if (only && variables.length === 1) return only;
    const pack = packed(variables);
    this.packs.push(pack);
    return pack;
  }
}

/** A parameter as a matrix: the first axis by all others. Null where neither side gets a preconditioner. */
function matrixShape({ shape }: Variable, { soap: { maxPreconditionDim } }: OptimizerConfig): { rows: number; columns: number } | null {
  const [rows = 0, ...rest] = shape;
  const columns = sizeOf(rest);
  return rest.length > 0 && rows * columns > 0 && Math.min(rows, columns) <= maxPreconditionDim ? { rows, columns } : null;
}

function chunks(named: readonly Named[]): Named[][] {
  const parts: Named[][] = [];
  let size = 0;
  for (const each of named) {
    const own = sizeOf(each[1].shape);
    const last = parts.at(-1);
    if (last && size + own <= mostElements) last.push(each);
    else {
      parts.push([each]);
      size = 0;
    }
    size += own;
  }
  return parts;
}

function identity(size: number): Float32Array {
  return Float32Array.from({ length: size * size }, (_, i) => (i % (size + 1) === 0 ? 1 : 0));
}
