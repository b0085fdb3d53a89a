/** A process that opens the device and makes one training step of the teacher, and tells how long that took. */
import { deviceWork } from "@distilldrive/kernels";
import { openDevice } from "@distilldrive/tensor";
import { type ModelSize, teacherOfSize } from "./models/tasks.js";
import { trainingStep } from "./models/training-step.js";
import type { StartTimes } from "./start-time.js";

process.once("message", (size: ModelSize) => {
  void start(size).then((times) => process.send?.(times, undefined, undefined, () => process.exit(0)));
});

async function start(size: ModelSize): Promise<StartTimes> {
  const { task } = teacherOfSize(size);
  const began = performance.now();
  const device = await openDevice();
  const opened = performance.now();
  const step = await trainingStep(device, task);
  const compiled = performance.now();
  step.launch();
  await deviceWork(step.settle());
  const ran = performance.now();
  return { openMs: opened - began, compileMs: compiled - opened, firstStepMs: ran - compiled, totalMs: ran - began };
}
