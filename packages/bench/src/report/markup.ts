/** Markup as text that is safe to put into a page: made by {@link tag} only. */
export interface Markup {
  readonly markup: string;
}

/** Text (escaped), markup, or lists of both. */
export type Content = string | number | Markup | null | readonly Content[];

const entities: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? character);
}

function written(content: Content): string {
  if (content === null) return "";
  if (typeof content === "string") return escaped(content);
  if (typeof content === "number") return rounded(content);
  if ("markup" in content) return content.markup;
  return content.map(written).join("");
}

/** At most two decimals. */
function rounded(value: number): string {
  return String(Math.round(value * 100) / 100);
}

/** One HTML or SVG element. */
export function tag(name: string, attributes: Readonly<Record<string, string | number>>, ...content: readonly Content[]): Markup {
  const list = Object.entries(attributes).map(([key, value]) => ` ${key}="${escaped(typeof value === "number" ? rounded(value) : value)}"`);
  return { markup: `<${name}${list.join("")}>${written(content)}</${name}>` };
}

/** Colours that can be told apart with any colour vision, on light and dark pages; ours first. */
export const colors = ["#2f86c6", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#8a6fd1"] as const;

/** The colour of a library, the same in every picture. */
export function colorOf(library: string, libraries: readonly string[]): string {
  return colors[Math.max(0, libraries.indexOf(library)) % colors.length] ?? colors[0];
}
