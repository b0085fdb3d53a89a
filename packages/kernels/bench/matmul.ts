import { matmulPlan, targetOf } from "../src/index.js";
import { openBenchDevice } from "./device.js";
import { measure, row } from "./measure.js";

const device = await openBenchDevice();
const target = targetOf(device);
process.stdout.write(`${device.adapterInfo.description} class ${target.class} subgroup ${target.subgroupSize}\n`);
const layouts = { nn: {}, nt: { transposeB: true }, tn: { transposeA: true } } as const;
const shapes = [
  ["nn", 1344, 512, 512], ["nt", 1344, 512, 512], ["tn", 1344, 512, 512],
  ["nn", 4000, 64, 64], ["nn", 4000, 256, 64], ["nn", 800, 128, 128], ["nn", 300, 64, 64],
  ["nt", 4000, 64, 64], ["nt", 4000, 64, 256],
  ["tn", 64, 64, 4000], ["tn", 64, 256, 4000], ["tn", 128, 128, 800],
] as const;
for (const [layout, m, n, k] of shapes) {
  process.stdout.write(`${row(`${layout} ${m}x${n}x${k}`, await measure(device, matmulPlan({ m, n, k, ...layouts[layout] }, target)))}\n`);
}
process.exit(0);
