import { applyOp, type Graph, type Node, type Tensor } from "../graph.js";
import { type MatmulAttributes, matmulOp } from "../ops/matmul.js";
import { reshape } from "../ops/reshape.js";
import { sameShape, sizeOf } from "../shape.js";
import { countReaders, liveNodes, rewrite, rewriteInPlace, rootsOf, type Rewritten, type Rule } from "./rewrite.js";

/** A matrix product on its way to more epilogue. */
interface Product {
  readonly attributes: MatmulAttributes;
  readonly operands: readonly Tensor[];
  readonly bias: Tensor | undefined;
  readonly residual: Tensor | undefined;
  readonly key: Tensor | undefined;
}

/**
 * Epilogue peephole: scale, bias, activation, dropout and residual that follow a matrix product move into it, where nobody
 * else needs what lies between, so that the result is written once.
 */
export function fuseEpilogues(graph: Graph, keep: readonly Tensor[]): Rewritten {
  return rewrite(graph, keep, fusing(graph, rootsOf(graph, keep), false));
}

/**
 * {@link fuseEpilogues} within a graph that is about to be differentiated: only what leaves the gradient as cheap as before.
 * Behind gelu, or behind relu and a residual, the gradient would have to compute the product again.
 * @param roots tensors that may be read later on
 */
export function fuseEpiloguesInPlace(graph: Graph, roots: readonly Tensor[]): void {
  rewriteInPlace(graph, roots, fusing(graph, roots, true));
}

function fusing(graph: Graph, roots: readonly Tensor[], differentiated: boolean): Rule {
  const readers = countReaders(liveNodes(graph, roots), roots);
  const counts = new Map<Tensor, number>();
  return (node, inputs, _, now) => {
    for (const input of node.inputs) {
      const tensor = now(input);
      if (tensor) counts.set(tensor, readers.get(input) ?? 0);
    }
    const [output] = node.outputs;
    if (!output || node.source) return null;
    /** The product a tensor is a view of, when it has as many readers as given and what lies between has one. */
    const product = (x: Tensor | undefined, uses = 1): Product | null => {
      let seen = x;
      for (let allowed = uses; seen; allowed = 1) {
        if ((counts.get(seen) ?? 1) !== allowed) return null;
        if (seen.node.op?.name !== "reshape") return seen.node.op?.name === "matmul" ? productOf(seen.node) : null;
        [seen] = seen.node.inputs;
      }
      return null;
    };
    const made = absorb(node, inputs, product, differentiated);
    return made && [reshape(made, output.shape)];
  };
}

/** The product with an elementwise node in its epilogue, or null when it is none of them. */
function absorb(node: Node, inputs: readonly Tensor[], product: (x: Tensor | undefined, uses?: number) => Product | null, differentiated: boolean): Tensor | null {
  const [x, y] = inputs;
  const [output] = node.outputs;
  if (!x || !output) return null;
  switch (node.op?.name) {
    case "add":
      return y ? (plus(product(x), y, output, differentiated) ?? plus(product(y), x, output, differentiated)) : null;
    case "mul":
      if (!y) return null;
      return times(product(x), y) ?? times(product(y), x) ?? (differentiated ? null : (gelu(x, y, product) ?? gelu(y, x, product)));
    case "relu":
      return activated(product(x), "relu");
    case "dropout": {
      const before = product(x);
      if (!before || !y || before.residual || before.key) return null;
      return build({ ...before, key: y, attributes: { ...before.attributes, dropout: node.attributes as { readonly rate: number; readonly opId: number } } });
    }
    default:
      return null;
  }
}

/** + bias [N], or + residual of the result's shape. */
function plus(before: Product | null, term: Tensor, output: Tensor, differentiated: boolean): Tensor | null {
  if (!before || before.residual || term.dtype !== "f32") return null;
  const { attributes } = before;
  const width = output.shape.at(-1) ?? 1;
  const isRow = sizeOf(term.shape) === width && (term.shape.at(-1) ?? 1) === width && widthOf(before) === width;
  if (isRow && sizeOf(output.shape) !== width && !before.bias && !before.key && attributes.activation === "none") {
    return build({ ...before, bias: reshape(term, [width]), attributes: { ...attributes, bias: true } });
  }
  if (!sameShape(term.shape, output.shape) || sizeOf(term.shape) !== outSize(before)) return null;
  if (differentiated && attributes.activation !== "none") return null;
  return build({ ...before, residual: term, attributes: { ...attributes, residual: true } });
}

/** * scale, a number. */
function times(before: Product | null, factor: Tensor): Tensor | null {
  const { source } = factor.node;
  if (!before || source?.kind !== "literal" || !isPlain(before) || before.bias || (before.attributes.scale ?? 1) !== 1) return null;
  return build({ ...before, attributes: { ...before.attributes, scale: source.value } });
}

/** x * normalCdf(x) */
function gelu(x: Tensor, distribution: Tensor, product: (x: Tensor | undefined, uses?: number) => Product | null): Tensor | null {
  if (distribution.node.op?.name !== "normalCdf" || distribution.node.inputs[0] !== x) return null;
  return activated(product(x, 2), "gelu");
}

function activated(before: Product | null, activation: "relu" | "gelu"): Tensor | null {
  return before && isPlain(before) ? build({ ...before, attributes: { ...before.attributes, activation } }) : null;
}

/** No activation, dropout or residual yet. */
const isPlain = ({ attributes, residual, key }: Product): boolean => attributes.activation === "none" && !residual && !key;

function productOf(node: Node): Product | null {
  const attributes = node.attributes as MatmulAttributes;
  if (attributes.reduceBatch) return null;
  const rest = node.inputs.slice(2);
  const bias = attributes.bias ? rest.shift() : undefined;
  const residual = attributes.residual ? rest.shift() : undefined;
  return { attributes, operands: node.inputs.slice(0, 2), bias, residual, key: attributes.dropout ? rest.shift() : undefined };
}

function sizesOf({ operands: [a, b], attributes: { transposeA, transposeB } }: Product): { batch: number; m: number; n: number } {
  return { batch: Math.max(a?.shape[0] ?? 1, b?.shape[0] ?? 1), m: a?.shape[transposeA ? 2 : 1] ?? 1, n: b?.shape[transposeB ? 1 : 2] ?? 1 };
}

const widthOf = (product: Product): number => sizesOf(product).n;

const outSize = (product: Product): number => {
  const { batch, m, n } = sizesOf(product);
  return batch * m * n;
};

function build(product: Product): Tensor {
  const { operands, attributes, bias, residual, key } = product;
  const { batch, m, n } = sizesOf(product);
  const epilogue = [bias, residual && reshape(residual, [batch, m, n]), key].filter((tensor) => tensor !== undefined);
  return applyOp(matmulOp, [...operands, ...epilogue], attributes);
}
