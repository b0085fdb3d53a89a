/**
 * Building SVG and HTML as text. Strings are escaped wherever they come in; what has been built already is carried as
 * `Markup`, so that the two cannot be mixed up.
 */

/** Text that is markup already. */
export interface Markup {
  readonly markup: string;
}

/** What an element may contain: text (escaped), markup, or nothing. */
export type Content = string | number | Markup | null | readonly Content[];

/** Attribute values; null and false leave the attribute out, true gives it no value. */
export type Attributes = Readonly<Record<string, string | number | boolean | null>>;

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** HTML elements that are written without an end tag. */
const VOID_ELEMENTS = new Set(["meta", "img", "br", "link"]);

/**
 * Text made safe as element content and as attribute value, in SVG and in HTML. Control characters, which XML does not
 * allow, become U+FFFD.
 */
function escapeText(text: string): string {
  const entities = text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? character);
  return entities.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, "\ufffd");
}

/** One element; text in `content` is escaped. */
export function element(name: string, attributes: Attributes, ...content: readonly Content[]): Markup {
  const written = Object.entries(attributes)
    .filter(([, value]) => value !== null && value !== false)
    .map(([key, value]) => (value === true ? ` ${key}` : ` ${key}="${escapeText(typeof value === "number" ? digits(value) : String(value))}"`))
    .join("");
  if (VOID_ELEMENTS.has(name)) return { markup: `<${name}${written}>` };
  return { markup: `<${name}${written}>${write(content)}</${name}>` };
}

/** Content as text. */
export function write(content: Content): string {
  if (content === null) return "";
  if (typeof content === "string") return escapeText(content);
  if (typeof content === "number") return escapeText(String(content));
  if ("markup" in content) return content.markup;
  return content.map(write).join("");
}

/** A number with at most three decimals, as short as it gets. */
export function digits(value: number): string {
  return String(Math.round(value * 1000) / 1000);
}
