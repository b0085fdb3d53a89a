import { ViewerError } from "./errors.js";

/** How a picture becomes pixels. */
export interface PngOptions {
  /** Pixels per pixel of the picture, default 2. */
  readonly scale?: number;
}

/**
 * Renders an SVG document to PNG with resvg, in Node. Text is set in Inter, which comes along, so the result is the
 * same on machines without fonts.
 *
 * @param svg document, as `birdsEyeSvg` returns it
 * @returns the PNG file
 * @throws ViewerError when the document cannot be parsed
 */
export async function svgToPng(svg: string, options: PngOptions = {}): Promise<Uint8Array> {
  const { scale = 2 } = options;
  const [{ Resvg }, { createRequire }] = await Promise.all([import("@resvg/resvg-js"), import("node:module")]);
  const { resolve } = createRequire(import.meta.url);
  const fontFiles = ["400Regular/Inter_400Regular.ttf", "600SemiBold/Inter_600SemiBold.ttf"].map((file) =>
    resolve(`@expo-google-fonts/inter/${file}`),
  );
  try {
    const font = { fontFiles, loadSystemFonts: false, defaultFontFamily: "Inter", sansSerifFamily: "Inter" };
    return new Resvg(svg, { fitTo: { mode: "zoom", value: scale }, font }).render().asPng();
  } catch (cause) {
    throw new ViewerError("svgToPng", `picture cannot be rendered, expected an SVG document, got: ${String(cause)}`, "Pass a complete SVG document.");
  }
}
