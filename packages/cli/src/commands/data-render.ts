import { cameraStrip, createCameraRenderer, DatasetError, loadScenes, type ImageSize, type Scene } from "@distilldrive/datasets";
import { openDevice } from "@distilldrive/tensor";
import { svgToPng } from "@distilldrive/viewer";
import type { Command } from "commander";
import { type Context, describeCommand, writeJson } from "../command.js";
import { UsageError } from "../errors.js";
import { requireWritable, writeWhole } from "../runs/files.js";
import { imageSize, wholeNumber } from "../runs/options.js";
import { momentSvg } from "../runs/pictures.js";
import path from "node:path";

interface RenderOptions {
  readonly scene?: string;
  readonly frame: number;
  readonly out?: string;
  readonly bev?: string;
  readonly size: ImageSize;
  readonly json?: boolean;
}

/** `distilldrive data render`: pictures of one moment. */
export function dataRenderCommand(context: Context): Command {
  return describeCommand("render", "Draw one moment of a scene: as the six cameras see it, and from above.", [
    ["npx distilldrive data render data/ --scene 0061 --frame 40 --out strip.png", "the six cameras"],
    ["npx distilldrive data render data/ --scene 0061 --frame 40 --bev above.svg", "bird's-eye view; .png works too"],
  ])
    .argument("<path>", "folder with scenes, or one scene file")
    .option("--scene <name>", "which scene; may be left out where there is only one")
    .option("--frame <n>", "frame of the scene, 0 is the first", wholeNumber(0), 0)
    .option("--out <file>", "PNG of the six cameras")
    .option("--bev <file>", "bird's-eye view, .svg or .png")
    .option("--size <size>", "pixels of one camera", imageSize, { width: 400, height: 225 })
    .option("--json", "print one JSON object")
    .action(async (data: string, options: RenderOptions) => {
      const { out, bev, frame } = options;
      if (out === undefined && bev === undefined) throw new UsageError("distilldrive data render: nothing to draw, expected --out <file.png> or --bev <file.svg>. See: distilldrive data render --help");
      if (out !== undefined && !/\.png$/i.test(out)) throw new UsageError(`distilldrive data render: --out must end in .png, got "${out}".`);
      if (bev !== undefined && !/\.(svg|png)$/i.test(bev)) throw new UsageError(`distilldrive data render: --bev must end in .svg or .png, got "${bev}".`);
      for (const file of [out, bev]) if (file !== undefined) await requireWritable(path.dirname(file), "data render");
      const scene = await sceneOf(data, options.scene);
      const frames = scene.timestamps.length;
      if (frame >= frames) throw new DatasetError(`data render: ${scene.id}: no frame ${frame}, expected 0 to ${frames - 1}. Change --frame.`);
      const above = bev === undefined ? null : momentSvg(scene, frame);
      if (out !== undefined) await writeWhole(out, await drawStrip(scene, frame, options.size));
      if (bev !== undefined && above !== null) await writeWhole(bev, /\.png$/i.test(bev) ? await svgToPng(above) : above);
      const files = [out, bev].filter((file) => file !== undefined);
      if (options.json === true) writeJson(context.io, { scene: scene.id, frame, files });
      else context.io.out(`${scene.id}, frame ${frame}: ${files.join(", ")}\n`);
      context.finish(0);
    });
}

/** The scene asked for, or the only one there is. */
async function sceneOf(data: string, name: string | undefined): Promise<Scene> {
  const scenes = await loadScenes(data, name === undefined ? {} : { only: [name] });
  const [scene] = scenes;
  if (scene === undefined || scenes.length > 1) {
    throw new UsageError(`distilldrive data render: which scene? ${data} holds ${scenes.map(({ id }) => id).join(", ")}. Add --scene <name>.`);
  }
  return scene;
}

async function drawStrip(scene: Scene, frame: number, size: ImageSize): Promise<Uint8Array> {
  const device = await openDevice();
  try {
    const renderer = createCameraRenderer(device.gpu, size);
    try {
      return cameraStrip(await renderer.render(scene, frame, { depth: false }), renderer.cameras);
    } finally {
      renderer.destroy();
    }
  } finally {
    device.close();
  }
}
