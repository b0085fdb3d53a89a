import { attention, randomKey, targetOf } from "../src/index.js";
import { openBenchDevice } from "./device.js";
import { measure, row } from "./measure.js";

const device = await openBenchDevice();
const target = targetOf(device);
const shapes = [
  { batch: 600, queries: 1, keys: 4, heads: 8, dim: 8 },
  { batch: 400, queries: 13, keys: 13, heads: 8, dim: 8 },
  { batch: 16, queries: 50, keys: 50, heads: 8, dim: 8 },
  { batch: 16, queries: 50, keys: 50, heads: 8, dim: 16 },
];
for (const shape of shapes) {
  for (const dropout of [0, 0.1]) {
    const options = { ...shape, mask: true, dropout, opId: 1 };
    const inputs = { keyPaddingMask: new Float32Array(shape.batch * shape.keys), key: randomKey(1, 1) };
    const label = `${shape.batch} x ${shape.queries} x ${shape.keys} d${shape.dim} drop ${dropout}`;
    process.stdout.write(`${row(label, await measure(device, attention.forward(options, target), inputs))}\n`);
    process.stdout.write(`${row(label, await measure(device, attention.backward(options, target), inputs))}\n`);
  }
}
process.exit(0);
