import { openDevice } from "@distilldrive/tensor";
import { fit } from "../fit.js";
import { optimizerSchema } from "../schedule.js";
import { toyTask } from "./toy-task.js";

// Child process of the resume test: trains the toy into argv[2] and prints every step, so that the parent can kill it.
const [, , out = "", resume = ""] = process.argv;
const device = await openDevice();
const result = await fit({
  device,
  task: toyTask(),
  out,
  steps: 20,
  seed: 7,
  optimizer: optimizerSchema.parse({ warmupSteps: 2 }),
  checkpointEvery: 5,
  keep: 2,
  logEvery: 3,
  resume: resume === "resume",
  run: {},
  progress: {
    start: () => undefined,
    stop: () => undefined,
    update: ({ step }) => {
      process.stdout.write(`step ${step}\n`);
    },
  },
});
process.stdout.write(`done ${result.step}\n`);
device.close();
