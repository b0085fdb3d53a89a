import { gru as gruKernels, gruBackward, type GruShape, ShapeError } from "@distilldrive/kernels";
import { graphOf, type Operand, type Tensor } from "../graph.js";
import type { Draw, OpDefinition } from "../op.js";
import { formatType, type TensorType, typeOf } from "../shape.js";
import { stack } from "./concat.js";
import type { None } from "./elementwise-op.js";
import { defineKernelOp } from "./kernel-op.js";
import { linear, matmul } from "./matmul.js";
import { sum } from "./reduce.js";
import { reshape } from "./reshape.js";
import { slice } from "./slice.js";

const sizes = (y: TensorType | undefined): GruShape => {
  const [batch = 0, steps = 0, hidden = 0] = y?.shape ?? [];
  return { batch, steps, hidden };
};
const shapeOf = (draw: Draw): GruShape => ({ batch: draw.size(9), steps: draw.integer(1, 4), hidden: draw.size(9) });

/** Recurrent part of one GRU layer: gi [B, T, 3H], weight [3H, H], bias [3H], h0 [B, H] -> y [B, T, H]; gates and previous serve the gradient. */
export const gruOp: OpDefinition<None> = defineKernelOp({
  name: "gru",
  inputs: ["gi", "weight", "bias", "h0"],
  outputs: ["y", "gates", "previous"],
  shape: ([gi, weight, bias, h0]) => {
    const [batch = 0, steps = 0, width = 0] = gi?.shape ?? [];
    const hidden = weight?.shape[1] ?? 0;
    const wanted = { gi: [batch, steps, 3 * hidden], weight: [3 * hidden, hidden], bias: [3 * hidden], h0: [batch, hidden] };
    for (const [name, type] of Object.entries({ gi, weight, bias, h0 })) {
      const expected = typeOf(wanted[name as keyof typeof wanted]);
      if (!type || formatType(type) !== formatType(expected)) {
        throw new ShapeError(`gru: ${name} does not fit, expected ${formatType(expected)}, got ${type ? formatType(type) : "nothing"}. Gates come r, z, n, so inputs [B, T, ${width}] and weights [3H, H] share 3H.`);
      }
    }
    return [typeOf([batch, steps, hidden]), typeOf([batch, steps, 4, hidden]), typeOf([batch, steps, hidden])];
  },
  kernels: ({ target, outputs: [y] }) => gruKernels(sizes(y), target),
  vjp: {
    saves: ["weight", "gates", "previous"],
    differentiable: ["y"],
    recompute: "costly",
    rule: ({ inputs: [, weight], outputs: [, gates, previous], cotangents: [dy], needs }) => {
      if (!weight || !gates || !previous || !dy) return [];
      const [dgi, dgh, dh0] = dy.graph.apply(gruBackwardOp, [gates, previous, weight, dy], {});
      if (!dgh) return [];
      const rows = reshape(dgh, [-1, dgh.at(-1)]);
      const dweight = needs[1] ? matmul(rows, reshape(previous, [-1, previous.at(-1)]), { transposeA: true }) : undefined;
      return [dgi, dweight, needs[2] ? sum(rows, { axes: [0] }) : undefined, dh0];
    },
  },
  tolerance: ([gi, weight]) => ({ terms: (weight?.shape[1] ?? 1) * (gi?.shape[1] ?? 1), scale: 8 }),
  samples: (draw) => {
    const { batch, steps, hidden } = shapeOf(draw);
    return { inputs: [typeOf([batch, steps, 3 * hidden]), { ...typeOf([3 * hidden, hidden]), range: [-0.5, 0.5] }, typeOf([3 * hidden]), typeOf([batch, hidden])], attributes: {} };
  },
});

/** Gradient of {@link gruOp} through time: gates, previous, weight, dy -> dgi, dgh [B, T, 3H], dh0 [B, H]. */
export const gruBackwardOp: OpDefinition<None> = defineKernelOp({
  name: "gruBackward",
  inputs: ["gates", "previous", "weight", "dy"],
  outputs: ["dgi", "dgh", "dh0"],
  shape: ([, , , dy]) => {
    const { batch, steps, hidden } = sizes(dy);
    return [typeOf([batch, steps, 3 * hidden]), typeOf([batch, steps, 3 * hidden]), typeOf([batch, hidden])];
  },
  kernels: ({ target, inputs: [, , , dy] }) => gruBackward(sizes(dy), target),
  vjp: { none: "second derivatives are not needed" },
  tolerance: ([, , , dy]) => ({ terms: 3 * (dy?.shape[2] ?? 1) * (dy?.shape[1] ?? 1), scale: 8 }),
  samples: (draw) => {
    const { batch, steps, hidden } = shapeOf(draw);
    return {
      inputs: [{ ...typeOf([batch, steps, 4, hidden]), range: [0, 1] }, typeOf([batch, steps, hidden]), { ...typeOf([3 * hidden, hidden]), range: [-0.5, 0.5] }, typeOf([batch, steps, hidden])],
      attributes: {},
    };
  },
});

/** Weights of a GRU layer, as PyTorch holds them: gates r, z, n one after another. */
export interface GruLayer {
  /** [3H, I] */
  readonly weightIh: Operand;
  /** [3H, H] */
  readonly weightHh: Operand;
  /** [3H] */
  readonly biasIh: Operand;
  /** [3H]; the part of gate n lies inside the product with r. */
  readonly biasHh: Operand;
}

/**
 * Gated recurrent units over sequences (PyTorch's nn.GRU, batch first).
 * @param x [B, T, I], T >= 1
 * @param layers weights by layer; the first takes I inputs, the others H
 * @param h0 [L, B, H], the states to begin with; default zeros
 * @returns y [B, T, H], the last layer's states, and state [L, B, H], the last states of all layers
 * @throws ShapeError when the shapes do not fit
 */
export function gru(x: Tensor, layers: readonly GruLayer[], h0?: Operand): { readonly y: Tensor; readonly state: Tensor } {
  const graph = graphOf("gru", [x]);
  const [batch, steps] = [x.at(0), x.at(1)];
  const given = h0 === undefined ? undefined : graph.lift(h0);
  if (layers.length === 0 || (given && given.at(0) !== layers.length)) throw new ShapeError(`gru: states do not fit, expected one [B, H] for each of at least one layer, got ${layers.length} layers and ${given ? formatType(given.type) : "no states"}.`);
  let y = x;
  const states = layers.map((layer, number) => {
    const weight = graph.lift(layer.weightHh);
    const hidden = weight.at(1);
    const first = given ? reshape(slice(given, 0, number, number + 1), given.shape.slice(1)) : graph.constant(new Float32Array(batch * hidden), [batch, hidden]);
    const [next] = graph.apply(gruOp, [linear(y, layer.weightIh, layer.biasIh), weight, layer.biasHh, first], {});
    y = next ?? y;
    return reshape(slice(y, 1, steps - 1, steps), [batch, hidden]);
  });
  return { y, state: stack(states, 0) };
}
