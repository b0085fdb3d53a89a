import { conv1d, conv2d, targetOf } from "../src/index.js";
import { openBenchDevice } from "./device.js";
import { measure, row } from "./measure.js";

const device = await openBenchDevice();
const target = targetOf(device);
const images = [
  { batch: 96, height: 64, width: 112, channels: 3, outChannels: 16, kernel: 3, stride: 2, padding: 1 },
  { batch: 96, height: 32, width: 56, channels: 16, outChannels: 32, kernel: 3, stride: 2, padding: 1 },
  { batch: 96, height: 16, width: 28, channels: 32, outChannels: 64, kernel: 3, stride: 2, padding: 1 },
];
for (const image of images) {
  const label = `${image.batch}x${image.height}x${image.width}x${image.channels} -> ${image.outChannels}`;
  for (const work of [conv2d.forward({ ...image, bias: true, activation: "relu" }, target), conv2d.backwardInput(image, target), conv2d.backwardWeight(image, target), conv2d.backwardBias(image, target)]) {
    process.stdout.write(`${row(label, await measure(device, work))}\n`);
  }
}
const line = { batch: 64, length: 100, channels: 64, outChannels: 64, kernel: 1 };
for (const work of [conv1d.forward(line, target), conv1d.backwardInput(line, target), conv1d.backwardWeight(line, target)]) {
  process.stdout.write(`${row("conv1d 64x64x100 -> 64", await measure(device, work))}\n`);
}
process.exit(0);
