import { InferenceSession, Tensor } from "onnxruntime-web";
import { describe, expect, it } from "vitest";
import { encodeOnnx } from "./onnx-model.js";

describe("encodeOnnx", () => {
  it("writes models that onnxruntime reads: attributes, constants, several operators", async () => {
    const model = encodeOnnx({
      inputs: [{ name: "a", shape: [2, 3] }, { name: "b", shape: [2, 3] }],
      constants: [{ name: "scale", shape: [], data: Float32Array.of(0.5) }, { name: "axis", shape: [1], data: BigInt64Array.of(-1n) }],
      nodes: [
        { op: "Gemm", inputs: ["a", "b"], outputs: ["product"], attributes: { transB: 1, alpha: { float: 2 } } },
        { op: "Mul", inputs: ["product", "scale"], outputs: ["scaled"] },
        { op: "Transpose", inputs: ["scaled"], outputs: ["turned"], attributes: { perm: [1, 0] } },
        { op: "ReduceSum", inputs: ["turned", "axis"], outputs: ["out"], attributes: { keepdims: 0 } },
      ],
      outputs: [{ name: "out", shape: [2] }],
    });
    const session = await InferenceSession.create(model, { executionProviders: ["wasm"] });
    const feeds = { a: new Tensor("float32", Float32Array.of(1, 2, 3, 4, 5, 6), [2, 3]), b: new Tensor("float32", Float32Array.of(1, 0, 0, 0, 1, 1), [2, 3]) };
    // a bᵀ = [[1, 5], [4, 11]]; its columns' sums
    expect([...((await session.run(feeds))["out"]?.data as Float32Array)]).toEqual([5, 16]);
    await session.release();
  });
});
