import { ViewerError } from "./errors.js";
import { element, type Markup } from "./markup.js";

/** The six nuScenes cameras, in the two rows a strip shows. */
export const CAMERA_ROWS = [
  ["CAM_FRONT_LEFT", "CAM_FRONT", "CAM_FRONT_RIGHT"],
  ["CAM_BACK_LEFT", "CAM_BACK", "CAM_BACK_RIGHT"],
] as const;

/** Name of a camera. */
export type CameraName = (typeof CAMERA_ROWS)[number][number];

/** What the six cameras see at one moment. */
export interface CameraStrip {
  /** A PNG or JPEG file each. */
  readonly images: Readonly<Record<CameraName, Uint8Array>>;
  /** Plain text below the images; none by default. */
  readonly caption?: string;
}

/**
 * Figure of the six cameras in the nuScenes arrangement: front left, front, front right above back left, back, back
 * right. The images are part of the markup; the classes are styled by `reportHtml`.
 *
 * @throws ViewerError when an image is missing or neither PNG nor JPEG
 */
export function cameraStripFigure(strip: CameraStrip): string {
  const cameras = CAMERA_ROWS.flat().map((camera) => {
    const label = camera.replace("CAM_", "").replaceAll("_", " ").toLowerCase();
    return element(
      "div",
      { class: "camera" },
      element("img", { src: imageUri(strip.images[camera], camera), alt: `Camera ${label}`, loading: "lazy" }),
      element("span", { class: "camera-name" }, label),
    );
  });
  return element("figure", { class: "camera-strip" }, element("div", { class: "cameras" }, cameras), captionOf(strip.caption)).markup;
}

function captionOf(caption: string | undefined): Markup | null {
  return caption === undefined ? null : element("figcaption", {}, caption);
}

/** Bytes of an image file as a data URI. */
function imageUri(bytes: Uint8Array | undefined, where: string): string {
  const [first, second] = bytes ?? [];
  const type = first === 0x89 && second === 0x50 ? "png" : first === 0xff && second === 0xd8 ? "jpeg" : null;
  if (bytes === undefined || type === null) {
    throw new ViewerError("cameraStripFigure", `no image for ${where}, expected a PNG or JPEG file, got ${bytes === undefined ? "nothing" : `${bytes.length} other bytes`}`, "Encode the picture first.");
  }
  let binary = "";
  for (let start = 0; start < bytes.length; start += 0x8000) binary += String.fromCharCode(...bytes.subarray(start, start + 0x8000));
  return `data:image/${type};base64,${btoa(binary)}`;
}
