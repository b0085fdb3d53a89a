import type { Node, Tensor } from "../graph.js";
import { aroundAxis, sameShape, type Shape, sizeOf } from "../shape.js";
import { costlyFlops, flopsPerElement } from "./fuse.js";

/** A column sum of a graph and what it adds up, seen in the shape of the pass. */
export interface ColumnSum {
  readonly node: Node;
  readonly result: Tensor;
  readonly value: Tensor;
}

/** Column sums and elementwise nodes that one pass over their inputs computes. */
export interface Pass {
  /** Shape all elements are walked in. */
  readonly domain: Shape;
  /** Product of the trailing axes that stay. */
  readonly columns: number;
  /** Elementwise nodes in execution order. */
  readonly nodes: readonly Node[];
  readonly inputs: readonly Tensor[];
  /** Results of elementwise nodes that others read. */
  readonly stored: readonly Tensor[];
  readonly sums: readonly ColumnSum[];
  /** Nodes that the pass takes the place of: all but those it computes a second time, and views between. */
  readonly replaced: ReadonlySet<Node>;
  /** Where it runs: behind node ids up to this number. */
  readonly position: number;
}

/** What a pass is about to become. */
interface Draft {
  readonly domain: Shape;
  readonly columns: number;
  /** Elementwise nodes it takes the place of. */
  readonly owned: ReadonlySet<Node>;
  /** Elementwise nodes it computes although others compute them too. */
  readonly copied: ReadonlySet<Node>;
  readonly sums: readonly ColumnSum[];
}

/** Floating point operations an element may take to be computed again rather than read: about what loading it costs a CPU. */
const recomputableFlops = 2 * costlyFlops;
/** A tensor is small beside the domain from this factor on: most of its reads hit, and computing it is nothing. */
const smallFactor = 8;

/**
 * Finds the passes of a graph, greedily, sum by sum. A pass reads nothing that its results go into, so any choice can be
 * scheduled: it runs behind the last of its inputs and before the first of its readers.
 * @param nodes live nodes in order
 * @param roots tensors that are read from outside
 * @param maxBuffers storage buffers a kernel may use
 * @param smallest elements from which on a sum is looked at
 */
export function findPasses(nodes: readonly Node[], roots: ReadonlySet<Tensor>, maxBuffers: number, smallest: number): readonly Pass[] {
  const search = new Search(nodes, roots, maxBuffers);
  const sums = nodes.filter((node) => isColumnSum(node) && sizeOf(node.inputs[0]?.shape ?? []) >= smallest);
  const passes: Pass[] = [];
  for (const sum of sums) {
    const pass = search.isTaken(sum) ? null : search.passOf(sum, sums);
    if (!pass) continue;
    passes.push(pass);
    search.take(pass);
  }
  return passes;
}

/** Columns, or fours of columns, that fill the lanes of a subgroup of a CPU driver. */
const fullLanes = 8;
/** So few rows may be walked with lanes to spare. */
const fewRows = 64;

/** A sum over leading axes that leaves columns enough for a pass to keep its lanes busy: an invocation walks down each. */
function isColumnSum({ op, inputs: [x], attributes }: Node): boolean {
  if (op?.name !== "sum" || !x || sizeOf(x.shape) === 0) return false;
  const { axis } = attributes as { readonly axis: number };
  const { outer, n, inner } = aroundAxis(x.shape, axis);
  const lanes = inner % 4 === 0 ? inner / 4 : inner;
  return outer === 1 && inner > 1 && (lanes >= fullLanes || n <= fewRows);
}

class Search {
  readonly #readers = new Map<Tensor, Node[]>();
  readonly #passOf = new Map<Node, Pass>();

  constructor(
    nodes: readonly Node[],
    readonly roots: ReadonlySet<Tensor>,
    readonly maxBuffers: number,
  ) {
    for (const node of nodes) {
      for (const input of new Set(node.inputs)) {
        const readers = this.#readers.get(input);
        if (readers) readers.push(node);
        else this.#readers.set(input, [node]);
      }
    }
  }

  isTaken(node: Node): boolean {
    return this.#passOf.has(node);
  }

  take(pass: Pass): void {
    for (const node of pass.replaced) this.#passOf.set(node, pass);
  }

  /** The pass around a sum, together with later ones that it can share its work with; null where there is nothing to gain. */
  passOf(sum: Node, sums: readonly Node[]): Pass | null {
    let draft = this.#around(sum);
    if (!draft) return null;
    for (const other of sums) {
      if (other.id <= sum.id || this.isTaken(other)) continue;
      draft = this.#with(draft, other) ?? draft;
    }
    draft = this.#recomputing(this.#withSiblings(draft));
    draft = this.#withSiblings(this.#withProducers(draft, true));
    return draft.owned.size > 0 || draft.sums.length > 1 ? this.#finished(draft) : null;
  }

  /** A draft with one sum and its producers. */
  #around(node: Node): Draft | null {
    const [x] = node.inputs;
    const [result] = node.outputs;
    if (!x || !result) return null;
    const base = unviewed(x);
    const columns = sizeOf(result.shape);
    const value = isElementwise(base.node) && splitsAt(base.shape, columns) ? base : x;
    const draft: Draft = { domain: value.shape, columns, owned: new Set(), copied: new Set(), sums: [{ node, result, value }] };
    const owning = this.#owning(draft, [value.node]);
    return this.#withProducers(owning ?? draft);
  }

  /** The draft with another sum: of a value that it computes or reads, or whose own draft reads one of its large inputs. */
  #with(draft: Draft, node: Node): Draft | null {
    const [x] = node.inputs;
    const [result] = node.outputs;
    if (!x || !result || sizeOf(result.shape) !== draft.columns || sizeOf(x.shape) !== sizeOf(draft.domain)) return null;
    const views = [x];
    for (let [last] = views; last?.node.op?.name === "reshape"; last = views[0]) views.unshift(...last.node.inputs);
    const large = this.#largeInputs(draft);
    const value = views.find((view) => sameShape(view.shape, draft.domain) && (draft.owned.has(view.node) || large.has(view)));
    if (value) return this.#valid({ ...draft, sums: [...draft.sums, { node, result, value }] });
    const own = this.#around(node);
    if (!own || !sameShape(own.domain, draft.domain)) return null;
    const shares = [...this.#largeInputs(own)].some((input) => large.has(input) || draft.owned.has(input.node)) || [...own.owned].some((each) => draft.owned.has(each) || each.outputs.some((output) => large.has(output)));
    if (!shares) return null;
    const joined = this.#valid({ ...draft, owned: new Set([...draft.owned, ...own.owned]), sums: [...draft.sums, ...own.sums] });
    return joined && this.#withProducers(joined);
  }

  /**
   * Takes in elementwise nodes whose results the draft reads, as far as they can be computed there in place of where they are.
   * @param all also those that elementwise kernels read, which might compute them in registers otherwise
   */
  #withProducers(draft: Draft, all = false): Draft {
    let grown = draft;
    const refused = new Set<Node>();
    for (;;) {
      const next = this.#inputs(grown).find(({ node }) => isElementwise(node) && !refused.has(node));
      if (!next) return grown;
      const readers = this.#outsideReaders(grown, next);
      const elsewhere = readers.length > 0 && readers.every(isElementwise) && !this.roots.has(next);
      const owning = all || !elsewhere ? this.#owning(grown, [next.node]) : null;
      if (owning) grown = owning;
      else refused.add(next.node);
    }
  }

  /** Takes in the elementwise readers of a result where that is all of them: it need not be stored then, and they need not read it. */
  #withSiblings(draft: Draft): Draft {
    let grown = draft;
    const refused = new Set<Tensor>();
    for (;;) {
      const next = this.#stored(grown).find((tensor) => !refused.has(tensor));
      if (!next) return grown;
      refused.add(next);
      const outside = this.#outsideReaders(grown, next);
      const fitting = !this.roots.has(next) && outside.every(({ outputs: [result] }) => result && sameShape(result.shape, grown.domain));
      const owning = fitting ? this.#owning(grown, outside) : null;
      if (owning) grown = owning;
    }
  }

  /** Computes large inputs again from the other inputs and small tensors, where that is cheap. */
  #recomputing(draft: Draft): Draft {
    let grown = draft;
    for (const input of this.#largeInputs(draft)) {
      const others = this.#largeInputs(grown);
      others.delete(input);
      const copied = new Set<Node>();
      const available = (tensor: Tensor): boolean => {
        if (others.has(tensor) || (tensor !== input && isSmall(tensor, grown.domain) && this.#isReadable(tensor)) || copied.has(tensor.node)) return true;
        if (!isElementwise(tensor.node) || !sameShape(tensor.shape, grown.domain)) return false;
        if (!tensor.node.inputs.every(available)) return false;
        copied.add(tensor.node);
        return true;
      };
      if (!available(input)) continue;
      const flops = [...copied].reduce((total, node) => total + flopsPerElement(node), 0);
      if (flops <= recomputableFlops) grown = this.#valid({ ...grown, copied: new Set([...grown.copied, ...copied]) }) ?? grown;
    }
    return grown;
  }

  /** Whether a tensor will be in memory: passes found so far keep some of theirs in registers. */
  #isReadable(tensor: Tensor): boolean {
    const pass = this.#passOf.get(tensor.node);
    return !pass || pass.stored.includes(tensor) || pass.sums.some(({ result }) => result === tensor);
  }

  /** The draft with these nodes in it, or null where that is not possible. */
  #owning(draft: Draft, nodes: readonly Node[]): Draft | null {
    for (const node of nodes) {
      const [output] = node.outputs;
      if (!output || !isElementwise(node) || this.isTaken(node)) return null;
      if (sameShape(output.shape, draft.domain)) continue;
      // A smaller value is computed for every element, and cannot be stored.
      const inside = !this.roots.has(output) && this.#outsideReaders(draft, output).length === 0;
      if (!inside || output.shape.length > draft.domain.length || flopsPerElement(node) >= costlyFlops) return null;
    }
    return this.#valid({ ...draft, owned: new Set([...draft.owned, ...nodes]) });
  }

  /** The draft itself where it can be scheduled and a kernel has enough bindings for it. */
  #valid(draft: Draft): Draft | null {
    const { after, before } = this.#between(draft);
    const inputs = this.#inputs(draft);
    const sums = draft.sums.length;
    const buffers = Math.max(inputs.length + this.#stored(draft).length + sums, 1 + sums);
    const bySum = inputs.some(({ node }) => draft.sums.some((sum) => sum.node === node));
    return after < before && buffers <= this.maxBuffers && inputs.length > 0 && !bySum ? draft : null;
  }

  /** Tensors a draft reads from memory, but literals; the last made first. */
  #inputs({ owned, copied, sums }: Draft): Tensor[] {
    const nodes = [...owned, ...copied];
    const read = new Set([...nodes.flatMap(({ inputs }) => inputs), ...sums.map(({ value }) => value)]);
    return [...read].filter(({ node }) => !owned.has(node) && !copied.has(node) && node.source?.kind !== "literal").sort((a, b) => b.node.id - a.node.id || a.index - b.index);
  }

  #largeInputs(draft: Draft): Set<Tensor> {
    return new Set(this.#inputs(draft).filter((input) => !isSmall(input, draft.domain)));
  }

  /** Results of a draft's elementwise nodes that others need. */
  #stored(draft: Draft): Tensor[] {
    return [...draft.owned].sort((a, b) => a.id - b.id).flatMap(({ outputs }) => outputs.filter((output) => this.roots.has(output) || this.#outsideReaders(draft, output).length > 0));
  }

  /** Nodes outside the draft that read a tensor. */
  #outsideReaders(draft: Draft, tensor: Tensor): readonly Node[] {
    return (this.#readers.get(tensor) ?? []).filter((reader) => !draft.owned.has(reader) && !this.#isSummed(draft, reader));
  }

  /** Whether a node is a sum of the draft, or a view that only its sums read. */
  #isSummed(draft: Draft, node: Node): boolean {
    if (draft.sums.some((sum) => sum.node === node)) return true;
    return node.op?.name === "reshape" && node.outputs.every((output) => !this.roots.has(output) && (this.#readers.get(output) ?? []).every((reader) => this.#isSummed(draft, reader)));
  }

  /** Where the last input of a draft is made, and where its first reader runs. */
  #between(draft: Draft): { readonly after: number; readonly before: number } {
    const place = (node: Node): number => this.#passOf.get(node)?.position ?? node.id;
    const readers = [...this.#stored(draft), ...draft.sums.map(({ result }) => result)].flatMap((tensor) => this.#outsideReaders(draft, tensor));
    return { after: Math.max(-1, ...this.#inputs(draft).map(({ node }) => place(node))), before: Math.min(Number.POSITIVE_INFINITY, ...readers.map(place)) };
  }

  #finished(draft: Draft): Pass {
    const { domain, columns, owned, copied, sums } = draft;
    const replaced = new Set([...owned, ...sums.map(({ node }) => node)]);
    for (const { node: { inputs: [x] } } of sums) {
      for (let view = x; view?.node.op?.name === "reshape" && this.#isSummed(draft, view.node); [view] = view.node.inputs) replaced.add(view.node);
    }
    const { after, before } = this.#between(draft);
    const first = Math.min(...[...replaced].map(({ id }) => id));
    return {
      domain,
      columns,
      nodes: [...owned, ...copied].sort((a, b) => a.id - b.id),
      inputs: this.#inputs(draft).reverse(),
      stored: this.#stored(draft),
      sums,
      replaced,
      position: first > after ? first : (after + Math.min(before, Math.floor(after) + 1)) / 2,
    };
  }
}

function isElementwise({ op }: Node): boolean {
  return op?.lower.kind === "elementwise";
}

/** Whether a tensor is so much smaller than the domain that reading or computing it costs next to nothing. */
function isSmall({ node, shape }: Tensor, domain: Shape): boolean {
  return node.source?.kind === "literal" || smallFactor * sizeOf(shape) <= sizeOf(domain);
}

/** What a tensor is a reshaped view of. */
function unviewed(tensor: Tensor): Tensor {
  let base = tensor;
  for (let [input] = base.node.inputs; base.node.op?.name === "reshape" && input; [input] = base.node.inputs) base = input;
  return base;
}

/** Whether trailing axes of a shape have this many elements together. */
function splitsAt(shape: Shape, columns: number): boolean {
  return shape.some((_, axis) => sizeOf(shape.slice(axis)) === columns);
}
