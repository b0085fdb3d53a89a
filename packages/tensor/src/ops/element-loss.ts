import {
  absoluteError, binaryCrossEntropy, type ElementLoss, elementLoss, elementLossBackward, type ElementLossShape, gaussianFocal, ShapeError, sigmoidFocal, smoothAbsoluteError, squaredError,
  type WeightForm,
} from "@distilldrive/kernels";
import { applyOp, graphOf, type Operand, type Tensor } from "../graph.js";
import type { Draw, OpDefinition, Sample, SampleInput } from "../op.js";
import { formatType, sameShape, sizeOf, type TensorType, typeOf } from "../shape.js";
import { broadcastTo, neg } from "./elementwise.js";
import { defineKernelOp } from "./kernel-op.js";
import { reshape } from "./reshape.js";

/** Weights and average of a loss; both are data and get no gradient. */
export interface LossOptions {
  /** Anything that broadcasts to the prediction, or has its leading axes: 0 leaves an element out, whatever it holds. Default 1. */
  readonly weight?: Operand;
  /** A scalar the weighted sum is divided by, at least 2^-23; default the number of elements. */
  readonly divisor?: Operand;
}

interface Family<Options> {
  readonly name: string;
  readonly loss: (options: Options) => ElementLoss;
  /** The loss depends on x - goal only, so that the goal has a gradient, too. */
  readonly symmetric: boolean;
  readonly labels: boolean;
  /** Range the goals are drawn from. */
  readonly goal: readonly [number, number];
  readonly options: (draw: Draw) => Options;
}

type Attributes<Options> = Options & { readonly weightForm: WeightForm };

const shapeOf = (x: TensorType | undefined, weight: WeightForm): ElementLossShape => ({ rows: x?.shape[0] ?? 0, width: x?.shape[1] ?? 0, weight });

function pair<Options extends object>({ name, loss, symmetric, labels, goal, options }: Family<Options>): { op: OpDefinition<Attributes<Options>>; gradient: OpDefinition<Attributes<Options>> } {
  const samples = (draw: Draw, backward: boolean): Sample<Attributes<Options>> => {
    const [rows, width] = [draw.size(20), draw.size(24)];
    const weightForm = draw.pick(["all", "row", "element"] as const);
    const data = { checkGradient: false as const };
    const inputs: SampleInput[] = [
      { ...typeOf([rows, width]), range: [-4, 4], distinct: 0.01 },
      labels ? { ...typeOf([rows], "i32"), range: [-1, width] } : { ...typeOf([rows, width]), range: goal, ...(symmetric ? { distinct: 0.01 } : data) },
      { ...typeOf(weightForm === "all" ? [1] : weightForm === "row" ? [rows] : [rows, width]), range: [0, 2], ...data },
      { ...typeOf([1]), range: [1, 5], ...data },
      ...(backward ? [typeOf([1])] : []),
    ];
    return { inputs, attributes: { ...options(draw), weightForm } };
  };
  const gradient = defineKernelOp<Attributes<Options>>({
    name: `${name}Backward`,
    inputs: ["x", "goal", "weight", "divisor", "dloss"],
    outputs: ["dx"],
    shape: ([x]) => [typeOf(x?.shape ?? [])],
    kernels: ({ target, inputs: [x], attributes }) => elementLossBackward(loss(attributes), shapeOf(x, attributes.weightForm), target),
    vjp: { none: "second derivatives are not needed" },
    tolerance: () => ({ terms: 4, scale: 8 }),
    samples: (draw) => samples(draw, true),
  });
  const op = defineKernelOp<Attributes<Options>>({
    name,
    inputs: ["x", "goal", "weight", "divisor"],
    outputs: ["loss"],
    shape: () => [typeOf([1])],
    kernels: ({ inputs: [x], attributes }) => elementLoss(loss(attributes), shapeOf(x, attributes.weightForm)),
    vjp: {
      saves: ["x", "goal", "weight", "divisor"],
      recompute: "cheap",
      rule: ({ inputs: [x, wanted, weight, divisor], attributes, cotangents: [dloss], needs }) => {
        if (!x || !wanted || !weight || !divisor || !dloss || !(needs[0] || (symmetric && needs[1]))) return [];
        const dx = applyOp(gradient, [x, wanted, weight, divisor, dloss], attributes);
        return [dx, symmetric && needs[1] ? neg(dx) : undefined];
      },
    },
    tolerance: ([x]) => ({ terms: sizeOf(x?.shape ?? []), scale: 16 }),
    samples: (draw) => samples(draw, false),
  });
  return { op, gradient };
}

const none = (): Record<never, never> => ({});
/** Goals on the predictions' grid, moved: no difference lies on a kink. */
const regression = { symmetric: true, labels: false, goal: [-3.998, 4.002] } as const;
const absolute = pair({ name: "l1Loss", loss: absoluteError, options: none, ...regression });
const smooth = pair<{ readonly beta: number }>({ name: "smoothL1Loss", loss: smoothAbsoluteError, options: (draw) => ({ beta: draw.pick([0.5, 1]) }), ...regression });
const squared = pair({ name: "mseLoss", loss: squaredError, options: none, ...regression });
const crossEntropy = pair<{ readonly positiveWeight: number }>({ name: "bceWithLogitsLoss", loss: binaryCrossEntropy, options: (draw) => ({ positiveWeight: draw.pick([1, 3]) }), symmetric: false, labels: false, goal: [0, 1] });
const focal = pair<FocalOptions>({ name: "sigmoidFocalLoss", loss: sigmoidFocal, options: (draw) => ({ alpha: draw.pick([0.25, 0.5]), gamma: draw.pick([2, 1.5]) }), symmetric: false, labels: true, goal: [0, 1] });
const gaussian = pair<FocalOptions>({ name: "gaussianFocalLoss", loss: gaussianFocal, options: (draw) => ({ alpha: draw.pick([2, 1.5]), gamma: draw.pick([4, 3]) }), symmetric: false, labels: false, goal: [0, 1] });

/** Every element-wise loss and its gradient. */
export const elementLossOps: readonly unknown[] = [absolute, smooth, squared, crossEntropy, focal, gaussian].flatMap(({ op, gradient }) => [op, gradient]);

interface FocalOptions {
  readonly alpha: number;
  readonly gamma: number;
}

/**
 * The form of a weight and its values. Leading axes come before broadcasting: [R] weighs the rows of [R, R].
 * @throws ShapeError when it neither has the leading axes of x nor broadcasts to it
 */
function weightOf(x: Tensor, weight: Operand): { readonly form: WeightForm; readonly values: Tensor } {
  const values = x.graph.lift(weight);
  const { shape } = values;
  if (sizeOf(shape) === 1) return { form: "all", values: reshape(values, [1]) };
  const axes = shape.length === x.shape.length ? shape.findLastIndex((n) => n !== 1) + 1 : shape.length;
  if (axes < x.shape.length && sameShape(shape.slice(0, axes), x.shape.slice(0, axes))) return { form: "row", values: reshape(values, [sizeOf(shape)]) };
  return { form: "element", values: sameShape(shape, x.shape) ? values : broadcastTo(values, x.shape) };
}

function regress<Options extends object>(op: OpDefinition<Attributes<Options>>, prediction: Tensor, goal: Operand, own: Options, { weight = 1, divisor }: LossOptions): Tensor {
  const graph = graphOf(op.name, [prediction]);
  const whole = sizeOf(prediction.shape);
  const { form, values } = weightOf(prediction, weight);
  // Rows are what shares a weight; otherwise one long row, which moves four elements at a time.
  const rows = form === "row" ? sizeOf(values.shape) : 1;
  const sizes = [rows, rows === 0 ? 0 : whole / rows];
  const inputs = [
    reshape(prediction, sizes),
    reshape(broadcastTo(graph.lift(goal), prediction.shape), sizes),
    form === "element" ? reshape(values, sizes) : values,
    reshape(graph.lift(divisor ?? Math.max(1, whole)), [1]),
  ];
  return reshape(applyOp(op, inputs, { ...own, weightForm: form }), []);
}

/**
 * Mean absolute error: the weighted sum of |prediction - goal|, divided.
 * @param goal anything that broadcasts to the prediction; has a gradient, too
 * @returns scalar
 * @throws ShapeError when weight or goal do not fit
 */
export function l1Loss(prediction: Tensor, goal: Operand, options: LossOptions = {}): Tensor {
  return regress(absolute.op, prediction, goal, {}, options);
}

/** Smooth L1 (Huber over beta): squared below `beta` (default 1), absolute above; see {@link l1Loss}. */
export function smoothL1Loss(prediction: Tensor, goal: Operand, { beta = 1, ...options }: LossOptions & { readonly beta?: number } = {}): Tensor {
  return regress(smooth.op, prediction, goal, { beta }, options);
}

/** Mean squared error; see {@link l1Loss}. */
export function mseLoss(prediction: Tensor, goal: Operand, options: LossOptions = {}): Tensor {
  return regress(squared.op, prediction, goal, {}, options);
}

/** Binary cross entropy of logits with goals in [0, 1], which are data; `positiveWeight` (default 1) multiplies the positives' part. */
export function bceWithLogitsLoss(logits: Tensor, goal: Operand, { positiveWeight = 1, ...options }: LossOptions & { readonly positiveWeight?: number } = {}): Tensor {
  return regress(crossEntropy.op, logits, goal, { positiveWeight }, options);
}

/** CornerNet's focal loss of logits against a heat map in [0, 1] whose ones are the centres; `alpha` default 2, `gamma` default 4. */
export function gaussianFocalLoss(logits: Tensor, heat: Operand, { alpha = 2, gamma = 4, ...options }: LossOptions & Partial<FocalOptions> = {}): Tensor {
  return regress(gaussian.op, logits, heat, { alpha, gamma }, options);
}

/**
 * Sigmoid focal loss of every class (Lin et al., 2017), weighted, summed and divided.
 * @param logits [R, C]
 * @param labels [R] i32; a label outside [0, C) is background
 * @param options `alpha` default 0.25, `gamma` default 2; `weight` [R], [R, 1] or [R, C]
 * @returns scalar
 * @throws ShapeError when the shapes do not fit
 */
export function sigmoidFocalLoss(logits: Tensor, labels: Tensor, { alpha = 0.25, gamma = 2, weight = 1, divisor }: LossOptions & Partial<FocalOptions> = {}): Tensor {
  const graph = graphOf("sigmoidFocalLoss", [logits]);
  if (logits.shape.length !== 2 || labels.dtype !== "i32" || !sameShape(labels.shape, logits.shape.slice(0, 1))) {
    throw new ShapeError(`sigmoidFocalLoss: logits and labels do not fit, expected f32[R, C] and i32[R], got ${formatType(logits.type)} and ${formatType(labels.type)}. Reshape them.`);
  }
  const { form, values } = weightOf(logits, weight);
  const inputs = [logits, labels, values, reshape(graph.lift(divisor ?? Math.max(1, sizeOf(logits.shape))), [1])];
  return reshape(applyOp(focal.op, inputs, { alpha, gamma, weightForm: form }), []);
}
