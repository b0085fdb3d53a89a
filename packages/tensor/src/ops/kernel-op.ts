import { type Kernel, type KernelSequence, portableTarget, sequenceCost, sequenceOf, sequenceReference } from "@distilldrive/kernels";
import { defineOp, expandNames, type LowerContext, type OpDefinition } from "../op.js";

/** A declared op whose reference and cost are those of its kernels. */
export type KernelOp<Attributes> = Omit<OpDefinition<Attributes>, "lower" | "reference" | "cost"> & {
  readonly kernels: (context: LowerContext<Attributes>) => Kernel | KernelSequence;
  readonly inPlace?: Readonly<Record<string, string>>;
};

/**
 * Declares an op that kernels compute. Its reference is the kernels' own float64 reference, its cost their cost; kernel
 * bindings carry the names of the op's inputs and outputs.
 */
export function defineKernelOp<Attributes extends object>({ kernels, inPlace, ...op }: KernelOp<Attributes>): OpDefinition<Attributes> {
  const sequence = (context: LowerContext<Attributes>): KernelSequence => {
    const lowered = kernels(context);
    return "kernels" in lowered ? lowered : sequenceOf(lowered);
  };
  return defineOp<Attributes>({
    ...op,
    lower: { kind: "kernels", lower: kernels, ...(inPlace ? { inPlace } : {}) },
    cost: (inputs, outputs, attributes) => sequenceCost(sequence({ target: portableTarget, inputs, outputs, attributes })),
    reference: (arrays, attributes, types) => {
      const names = expandNames(op.inputs, arrays.length);
      const named = Object.fromEntries(arrays.map((array, i) => [names[i] ?? "", Float64Array.from(array)]));
      const results = sequenceReference(sequence({ target: portableTarget, ...types, attributes }), named);
      return expandNames(op.outputs, types.outputs.length).map((name) => {
        const result = results[inPlace?.[name] ?? name];
        if (!result) throw new Error(`${op.name}: its kernels' reference does not compute "${name}". Bind it in the kernel sequence.`);
        return result;
      });
    },
  });
}

/** The same sequence with external tensors under other names: how optional inputs get the names of variadic ones. */
export function renameTensors(sequence: KernelSequence, names: Readonly<Record<string, string>>): KernelSequence {
  return {
    ...sequence,
    kernels: sequence.kernels.map(({ kernel, bind }) => ({
      kernel,
      bind: Object.fromEntries(Object.entries(bind).map(([binding, tensor]) => [binding, names[tensor] ?? tensor])),
    })),
  };
}
