import { openDevice } from "@distilldrive/tensor";
import { fit } from "../fit.js";
import { TOY_SETTINGS, toyTask } from "./toy-task.js";

// Child process of the resume test: trains the toy into argv[2] and prints every step, so that the parent can kill it.
const [, , out = "", resume = ""] = process.argv;
const device = await openDevice();
const result = await fit({
  device,
  task: toyTask(),
  out,
  ...TOY_SETTINGS,
  resume: resume === "resume",
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
