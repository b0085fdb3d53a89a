import { applyOp, type Graph, type Node, type Tensor } from "../graph.js";
import type { OpDefinition } from "../op.js";
import { permuteOp } from "../ops/permute.js";
import { reshape, reshapeOp } from "../ops/reshape.js";
import { aroundAxis, sameShape, typeOf } from "../shape.js";
import { rewrite, type Rewritten, type Rule } from "./rewrite.js";

/**
 * Common-subexpression elimination, dead-code elimination, removal of ops that change nothing, and the identities that
 * save a kernel: a permutation of a permutation, a slice of a concatenation, a matrix product of a transposed matrix.
 * @param identities false: only what leaves every remaining op as it was traced
 */
export function simplify(graph: Graph, keep: readonly Tensor[], { assign = true, identities = true }: { readonly assign?: boolean; readonly identities?: boolean } = {}): Rewritten {
  const known = new Map<string, readonly Tensor[]>();
  const constants = new Map<Tensor, number | undefined>();
  const rule: Rule = (node, inputs, target) => {
    const { op } = node;
    if (!op) return null;
    const [input] = inputs;
    const [output] = node.outputs;
    if (op.lower.kind === "view" && input && output && sameShape(input.shape, output.shape)) return [input];
    const simpler = identities ? (identity(node, inputs) ?? withLiterals(node, inputs, constants)) : null;
    if (simpler) return [simpler];
    const key = `${op.name}(${inputs.map((tensor) => tensor.toString()).join(",")})${JSON.stringify(node.attributes)}`;
    const twin = known.get(key);
    if (twin) return twin;
    const results = target.copy(node, inputs);
    known.set(key, results);
    return results;
  };
  return rewrite(graph, keep, rule, { assign });
}

const literalOf = (tensor: Tensor | undefined): number | undefined => (tensor?.node.source?.kind === "literal" ? tensor.node.source.value : undefined);

/** What an op with these inputs may be replaced by, to the bit, or null. */
function identity(node: Node, inputs: readonly Tensor[]): Tensor | null {
  const [x, y] = inputs;
  const [output] = node.outputs;
  if (!x || !output) return null;
  /** An operand that alone makes the result: no broadcasting, no conversion. */
  const alone = (operand: Tensor | undefined): Tensor | null => (operand && sameShape(operand.shape, output.shape) && operand.dtype === output.dtype ? operand : null);
  switch (node.op?.name) {
    case "add":
      return literalOf(y) === 0 ? alone(x) : literalOf(x) === 0 ? alone(y) : null;
    case "sub":
      return literalOf(y) === 0 ? alone(x) : null;
    case "mul":
      return literalOf(y) === 1 ? alone(x) : literalOf(x) === 1 ? alone(y) : null;
    case "div":
      return literalOf(y) === 1 ? alone(x) : null;
    case "broadcastTo":
    case "cast":
      return alone(x);
    case "reshape": {
      // A reshape of a reshape: one view of the original.
      const [inner] = x.node.inputs;
      if (x.node.op?.name !== "reshape" || !inner) return null;
      return sameShape(inner.shape, output.shape) ? inner : applyOp(reshapeOp, [inner], { shape: output.shape });
    }
    case "permute":
      return composedPermutation(node, x);
    case "slice":
      return sliceOfConcat(node, x, output);
    case "matmul":
      return productOfTransposed(node, inputs);
    default:
      return null;
  }
}

/** An elementwise op whose operands that are the same number everywhere, such as the seed of a mean's gradient, are inlined. */
function withLiterals(node: Node, inputs: readonly Tensor[], constants: Map<Tensor, number | undefined>): Tensor | null {
  const { op } = node;
  const [output] = node.outputs;
  if (op?.lower.kind !== "elementwise" || !output) return null;
  const inlined = inputs.map((input) => {
    const value = input.node.source ? undefined : numberOf(input, constants);
    return value === undefined ? input : input.graph.literal(value);
  });
  if (inlined.every((input, i) => input === inputs[i])) return null;
  const [type] = op.shape(inlined.map((input) => input.type), node.attributes as never);
  if (!type || !sameShape(type.shape, output.shape)) return null;
  return inlined[0]?.graph.apply(op as unknown as OpDefinition<object>, inlined, node.attributes)[0] ?? null;
}

/** The number every element of a tensor is, where it is made of numbers alone. */
function numberOf(tensor: Tensor, constants: Map<Tensor, number | undefined>): number | undefined {
  if (tensor.node.source) return literalOf(tensor);
  if (constants.has(tensor)) return constants.get(tensor);
  const { op, inputs, attributes } = tensor.node;
  const values = op?.lower.kind === "kernels" ? [] : inputs.map((input) => numberOf(input, constants));
  const numbers = values.filter((value) => value !== undefined);
  let value: number | undefined;
  if (op && numbers.length > 0 && numbers.length === inputs.length) {
    const scalar = typeOf([]);
    const [result] = op.reference(numbers.map((each) => Float64Array.of(each)), attributes as never, { inputs: numbers.map(() => scalar), outputs: [scalar] });
    value = result?.[0] === undefined ? undefined : Math.fround(result[0]);
  }
  constants.set(tensor, value);
  return value;
}

/** permute(permute(x)) is one permutation, or none. */
function composedPermutation(node: Node, x: Tensor): Tensor | null {
  const [inner] = x.node.inputs;
  if (x.node.op?.name !== "permute" || !inner) return null;
  const outer = (node.attributes as { readonly order: readonly number[] }).order;
  const first = (x.node.attributes as { readonly order: readonly number[] }).order;
  const order = outer.map((axis) => first[axis] ?? 0);
  return order.every((axis, i) => axis === i) ? inner : applyOp(permuteOp, [inner], { order });
}

/** matmul(transpose(a), b) is the matmul that reads a as it is, and likewise for b. */
function productOfTransposed(node: Node, inputs: readonly Tensor[]): Tensor | null {
  if (!node.op) return null;
  const flags = { ...(node.attributes as { readonly transposeA: boolean; readonly transposeB: boolean }) };
  const [a, b] = inputs.map(untransposed);
  if (a) flags.transposeA = !flags.transposeA;
  if (b) flags.transposeB = !flags.transposeB;
  if (!a && !b) return null;
  const operands = inputs.map((input, position) => [a, b][position] ?? input);
  return operands[0]?.graph.apply(node.op as unknown as OpDefinition<object>, operands, flags)[0] ?? null;
}

/** What a transposed matrix [B, M, N] is the transpose of, as [B, N, M]. */
function untransposed(matrix: Tensor): Tensor | null {
  const permuted = matrix.node.op?.name === "reshape" ? matrix.node.inputs[0] : matrix;
  const [x] = permuted?.node.inputs ?? [];
  if (permuted?.node.op?.name !== "permute" || !x) return null;
  const { order } = permuted.node.attributes as { readonly order: readonly number[] };
  const rank = order.length;
  const swaps = order.every((axis, i) => axis === (i === rank - 1 ? rank - 2 : i === rank - 2 ? rank - 1 : i));
  const [batch = 1, m = 1, n = 1] = matrix.shape;
  if (!swaps || rank < 2 || x.at(-1) !== m || x.at(-2) !== n) return null;
  return reshape(x, [batch, n, m]);
}

/** The part of a concatenation that is exactly one of the tensors joined. */
function sliceOfConcat(node: Node, x: Tensor, output: Tensor): Tensor | null {
  if (x.node.op?.name !== "concat") return null;
  const { axis } = x.node.attributes as { readonly axis: number };
  const { start } = node.attributes as { readonly start: readonly number[] };
  let from = 0;
  for (const part of x.node.inputs) {
    if (from === start[axis] && sameShape(part.shape, output.shape)) return part;
    from += aroundAxis(part.shape, axis).n;
  }
  return null;
}
