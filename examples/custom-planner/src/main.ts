import { consoleProgress } from "@distilldrive/training";
import { run } from "./run.js";

const { losses, scores } = await run({
  config: { channels: 32, heads: 4, layers: 2 },
  scenes: 40,
  steps: 600,
  learningRate: 1e-3,
  progress: consoleProgress(process.stderr),
});
console.log(`\nloss ${losses[0]?.toFixed(2) ?? "-"} at first, ${losses.at(-1)?.toFixed(2) ?? "-"} at last`);
for (const [name, result] of Object.entries(scores)) {
  if (result === null) continue;
  const { l2, collision } = result.cumulative;
  console.log(`${name.padEnd(18)} L2 ${l2.average.toFixed(2)} m   collision ${(100 * collision.average).toFixed(2)} %   (${result.samples} keyframes)`);
}
// WebGPU's threads would keep the process alive.
process.exit(0);
