import { bufferUsage } from "@distilldrive/kernels";
import type * as Ort from "onnxruntime-web/webgpu";
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

/**
 * onnxruntime-web on its WebGPU backend, given our device; tensors stay in GPU buffers. It has no gradients.
 * @throws PeerError when it is not installed
 */
export async function onnxLibrary(version: string, gpu: GPUDevice): Promise<Library> {
  const ort = await importPeer("onnxruntime-web", "onnxruntime-web", () => import("onnxruntime-web/webgpu"));
  copySharedMemory(gpu.queue);
  Object.assign(ort.env.webgpu, { device: gpu });
  const upload = (data: Float32Array): GPUBuffer => {
    const buffer = gpu.createBuffer({ size: Math.max(16, Math.ceil(data.byteLength / 16) * 16), usage: bufferUsage.storage | bufferUsage.copyDst | bufferUsage.copySrc });
    gpu.queue.writeBuffer(buffer, 0, data.buffer, data.byteOffset, data.byteLength);
    return buffer;
  };
  return {
    name: "onnxruntime-web",
    version,
    remark: "its WebGPU backend, which has no gradients.",
    prepare: async (problem, direction, values) => {
      if (direction !== "forward") return undefined;
      const { inputs, outShape } = definitionOf(problem);
      const { layouts, nodes, constants = [] } = modelOf(problem);
      const placed = inputs.map(({ name, shape }) => ({ name, ...toLibrary(name, values[name] ?? new Float32Array(0), shape, layouts) }));
      const order = layouts["out"];
      const outputs = [{ name: "out", shape: order ? order.map((axis) => outShape[axis] ?? 1) : outShape }];
      const model = encodeOnnx({ nodes, constants, inputs: placed.map(({ name, shape }) => ({ name, shape })), outputs });
      const session = await ort.InferenceSession.create(model, { executionProviders: ["webgpu"], preferredOutputLocation: "gpu-buffer" });
      const buffers = placed.map(({ data }) => upload(data));
      const feeds = Object.fromEntries(placed.map(({ name, shape }, index) => [name, ort.Tensor.fromGpuBuffer(buffers[index] as GPUBuffer, { dataType: "float32", dims: shape })]));
      // A session does one run at a time.
      let runs = 0;
      let latest: Ort.Tensor | undefined;
      const drain = async (): Promise<void> => {
        for (; runs > 0; runs--) {
          latest?.dispose();
          latest = (await session.run(feeds))["out"];
        }
      };
      return {
        launch: () => {
          runs++;
        },
        settle: async () => {
          await drain();
          await gpu.queue.onSubmittedWorkDone();
        },
        read: async () => {
          const data: unknown = await latest?.getData();
          return { out: fromLibrary("out", data instanceof Float32Array ? data : new Float32Array(0), outShape, layouts) };
        },
        dispose: () => {
          latest?.dispose();
          for (const buffer of buffers) buffer.destroy();
          // The session stays: releasing the last one destroys the device, which is ours.
        },
      };
    },
  };
}

/** The library writes from its WebAssembly memory, which is shared; Dawn's binding for Node takes plain memory only. */
function copySharedMemory(queue: GPUQueue): void {
  const original = queue.writeBuffer.bind(queue);
  const copying: typeof original = (buffer, offset, data, ...range) => {
    const source = data as ArrayBufferView | ArrayBufferLike;
    const memory = ArrayBuffer.isView(source) ? source.buffer : source;
    if (!(memory instanceof SharedArrayBuffer)) {
      original(buffer, offset, data, ...range);
      return;
    }
    const shared = ArrayBuffer.isView(source) ? new Uint8Array(memory, source.byteOffset, source.byteLength) : new Uint8Array(memory);
    original(buffer, offset, new Uint8Array(shared), ...range);
  };
  Object.defineProperty(queue, "writeBuffer", { value: copying, configurable: true });
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
