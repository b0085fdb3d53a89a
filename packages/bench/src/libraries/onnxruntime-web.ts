import type * as Ort from "onnxruntime-web";
import { encodeOnnx, type OnnxGraph, type OnnxNode } from "../onnx-model.js";
import { definitionOf } from "../problems/index.js";
import type { Problem } from "../problems/problem.js";
import { layerNormEps } from "../problems/rows.js";
import { importPeer } from "./import-peer.js";
import { fromLibrary, type Layouts, toLibrary } from "./layout.js";
import type { Library } from "./library.js";

/** A problem as a graph of ONNX operators, in ONNX's own layouts. */
interface Model {
  readonly layouts: Layouts;
  readonly nodes: readonly OnnxNode[];
  readonly constants?: OnnxGraph["constants"];
}

/** onnxruntime-web on its CPU backend, WebAssembly: it has no gradients. */
export async function onnxLibrary(version: string): Promise<Library> {
  const ort = await importPeer("onnxruntime-web", "onnxruntime-web", () => import("onnxruntime-web"));
  return {
    name: "onnxruntime-web",
    version,
    remark: "runs on its WebAssembly backend, on the CPU; its WebGPU backend does not finish a first run on Dawn in Node. It has no gradients.",
    prepare: async (problem, direction, values) => {
      if (direction !== "forward") return undefined;
      const { inputs, outShape } = definitionOf(problem);
      const { layouts, nodes, constants = [] } = modelOf(problem);
      const placed = inputs.map(({ name, shape }) => ({ name, ...toLibrary(name, values[name] ?? new Float32Array(0), shape, layouts) }));
      const order = layouts["out"];
      const outputs = [{ name: "out", shape: order ? order.map((axis) => outShape[axis] ?? 1) : outShape }];
      const session = await ort.InferenceSession.create(encodeOnnx({ nodes, constants, inputs: placed.map(({ name, shape }) => ({ name, shape })), outputs }), { executionProviders: ["wasm"] });
      const feeds = Object.fromEntries(placed.map(({ name, data, shape }) => [name, new ort.Tensor("float32", data, shape)]));
      let runs: Promise<Ort.InferenceSession.OnnxValueMapType>[] = [];
      return {
        launch: () => {
          // A session does one run at a time.
          const before = runs.at(-1) ?? Promise.resolve();
          runs.push(Promise.resolve(before).then(() => session.run(feeds)));
        },
        settle: async () => {
          await Promise.all(runs);
          runs = runs.slice(-1);
        },
        read: async () => {
          const result = await runs.at(-1);
          const data = await result?.["out"]?.getData();
          return { out: fromLibrary("out", data instanceof Float32Array ? data : new Float32Array(0), outShape, layouts) };
        },
        dispose: () => {
          void session.release();
        },
      };
    },
  };
}

function integers(name: string, values: readonly number[]): NonNullable<OnnxGraph["constants"]>[number] {
  return { name, shape: [values.length], data: BigInt64Array.from(values, BigInt) };
}

function scalar(name: string, value: number): NonNullable<OnnxGraph["constants"]>[number] {
  return { name, shape: [], data: Float32Array.of(value) };
}

function modelOf(problem: Problem): Model {
  switch (problem.op) {
    case "matmul":
      return { layouts: {}, nodes: [{ op: "Gemm", inputs: ["a", "b"], outputs: ["out"], attributes: { transA: problem.form === "TN" ? 1 : 0, transB: problem.form === "NT" ? 1 : 0 } }] };
    case "attention": {
      const { batch, queries, keys, heads, dim } = problem;
      const split = (name: string, perm: readonly number[], shape: string): OnnxNode[] => [
        { op: "Reshape", inputs: [name, shape], outputs: [`${name}.split`] },
        { op: "Transpose", inputs: [`${name}.split`], outputs: [`${name}.heads`], attributes: { perm } },
      ];
      return {
        layouts: {},
        constants: [integers("queries", [batch, queries, heads, dim]), integers("keys", [batch, keys, heads, dim]), integers("joined", [batch, queries, heads * dim]), scalar("scale", 1 / Math.sqrt(dim))],
        nodes: [
          ...split("q", [0, 2, 1, 3], "queries"),
          ...split("k", [0, 2, 3, 1], "keys"),
          ...split("v", [0, 2, 1, 3], "keys"),
          { op: "Mul", inputs: ["q.heads", "scale"], outputs: ["q.scaled"] },
          { op: "MatMul", inputs: ["q.scaled", "k.heads"], outputs: ["scores"] },
          { op: "Softmax", inputs: ["scores"], outputs: ["weights"], attributes: { axis: -1 } },
          { op: "MatMul", inputs: ["weights", "v.heads"], outputs: ["gathered"] },
          { op: "Transpose", inputs: ["gathered"], outputs: ["rows"], attributes: { perm: [0, 2, 1, 3] } },
          { op: "Reshape", inputs: ["rows", "joined"], outputs: ["out"] },
        ],
      };
    }
    case "conv1d": {
      const padding = (problem.kernel - 1) / 2;
      return { layouts: {}, nodes: [{ op: "Conv", inputs: ["x", "weight"], outputs: ["out"], attributes: { kernel_shape: [problem.kernel], pads: [padding, padding] } }] };
    }
    case "conv2d": {
      const padding = (problem.kernel - 1) / 2;
      return {
        layouts: { x: [0, 3, 1, 2], weight: [0, 3, 1, 2], out: [0, 3, 1, 2] },
        nodes: [{ op: "Conv", inputs: ["x", "weight"], outputs: ["out"], attributes: { kernel_shape: [problem.kernel, problem.kernel], pads: [padding, padding, padding, padding] } }],
      };
    }
    case "softmax":
      return { layouts: {}, nodes: [{ op: "Softmax", inputs: ["x"], outputs: ["out"], attributes: { axis: -1 } }] };
    case "layerNorm":
      return { layouts: {}, nodes: [{ op: "LayerNormalization", inputs: ["x", "weight", "bias"], outputs: ["out"], attributes: { axis: -1, epsilon: { float: layerNormEps } } }] };
    case "klDivergence":
      return {
        layouts: {},
        constants: [integers("axis", [-1])],
        nodes: [
          { op: "LogSoftmax", inputs: ["x"], outputs: ["logits"], attributes: { axis: -1 } },
          { op: "Log", inputs: ["target"], outputs: ["logs"] },
          { op: "Sub", inputs: ["logs", "logits"], outputs: ["difference"] },
          { op: "Mul", inputs: ["target", "difference"], outputs: ["terms"] },
          { op: "ReduceSum", inputs: ["terms", "axis"], outputs: ["out"], attributes: { keepdims: 0 } },
        ],
      };
    case "chain":
      return {
        layouts: {},
        nodes: [
          { op: "Mul", inputs: ["x", "scale"], outputs: ["scaled"] },
          { op: "Add", inputs: ["scaled", "shift"], outputs: ["shifted"] },
          { op: "Relu", inputs: ["shifted"], outputs: ["active"] },
          { op: "Add", inputs: ["active", "residual"], outputs: ["out"] },
        ],
      };
  }
}
