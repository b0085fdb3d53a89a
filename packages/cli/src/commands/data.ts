import type { Command } from "commander";
import { type Context, describeCommand } from "../command.js";
import { dataAnchorsCommand } from "./data-anchors.js";
import { dataInspectCommand } from "./data-inspect.js";
import { dataRenderCommand } from "./data-render.js";
import { dataSynthCommand } from "./data-synth.js";

/** `distilldrive data`: everything about scenes. */
export function dataCommand(context: Context): Command {
  return describeCommand("data", "Look at scenes, draw them, make synthetic ones, cluster what was driven.", [
    ["npx distilldrive data inspect data/", "what is in every scene"],
    ["npx distilldrive data synth --out town --scenes 8", "scenes of a synthetic town"],
  ])
    .addCommand(dataInspectCommand(context))
    .addCommand(dataRenderCommand(context))
    .addCommand(dataSynthCommand(context))
    .addCommand(dataAnchorsCommand(context));
}
