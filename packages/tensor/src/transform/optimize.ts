import type { Graph, Tensor } from "../graph.js";
import { fuseEpilogues } from "./epilogue.js";
import { fuseSums } from "./fuse-sums.js";
import { pushSlices } from "./push-slices.js";
import { recompute } from "./recompute.js";
import type { Rewritten } from "./rewrite.js";
import { simplify } from "./simplify.js";
import { verify } from "./verify.js";

/** What to compile. */
export interface OptimizeOptions {
  /** Tensors to keep besides the outputs. */
  readonly keep: readonly Tensor[];
  /** false: variables stay as they are. */
  readonly assign: boolean;
  /** false: only dead and duplicate nodes go, every other op stays as it was traced. */
  readonly transform: boolean;
  /** How often to look for the moment of the highest memory use and recompute cheap results behind it. Default 0. */
  readonly recomputations?: number;
  /** Storage buffers a kernel may use. Default: what every device offers. */
  readonly maxBuffers?: number;
  /** Elements from which on a column sum takes in the work before it. Default 0. */
  readonly smallestSum?: number;
}

/** A graph on its way through the transforms. */
class Pipeline {
  constructor(
    readonly graph: Graph,
    readonly keep: readonly Tensor[],
    readonly resolve: (tensor: Tensor) => Tensor | undefined,
  ) {}

  then(name: string, transform: (graph: Graph, keep: readonly Tensor[]) => Rewritten): Pipeline {
    const { graph, resolve } = transform(this.graph, this.keep);
    verify(graph, name);
    const keep = this.keep.flatMap((tensor) => resolve(tensor) ?? []);
    return new Pipeline(graph, keep, (tensor) => {
      const known = this.resolve(tensor);
      return known && resolve(known);
    });
  }
}

/**
 * The graph that is planned: the traced one with duplicates merged, identities and dead code gone, only the rows computed
 * that somebody reads, matrix products with their epilogues, and column sums with the elementwise work before them. Every transform's result is verified.
 * @throws GraphError naming the transform and the node when a transform is wrong
 */
export function optimize(graph: Graph, { keep, assign, transform, recomputations = 0, maxBuffers, smallestSum }: OptimizeOptions): Rewritten {
  verify(graph, "trace");
  const start = new Pipeline(graph, keep, (tensor) => graph.resolve(tensor)).then("simplify", (g, kept) => simplify(g, kept, { assign, identities: transform }));
  if (!transform) return start;
  const read = graph.dropsDeadRows ? start.then("pushSlices", pushSlices) : start;
  let made = read.then("fuseEpilogues", fuseEpilogues).then("simplify", (g, kept) => simplify(g, kept));
  // Behind these two duplicates are not merged any more: that would undo what is computed twice on purpose.
  made = made.then("fuseSums", (g, kept) => fuseSums(g, kept, maxBuffers, smallestSum));
  for (let round = 0; round < recomputations; round++) made = made.then("recompute", recompute);
  return made;
}
