import { distance } from "fastest-levenshtein";
import { DatasetError } from "./errors.js";

/**
 * Finds names a user typed among the known ones; "0655" means "scene-0655".
 * @param wanted names as typed
 * @param known all names there are
 * @param where start of the message
 * @returns the known names, in the order of `wanted`, without repeats
 * @throws DatasetError for a name that is unknown, listing those there are and the nearest
 */
export function resolveSceneNames(wanted: readonly string[], known: readonly string[], where: string): string[] {
  const found = wanted.map((name) => {
    const match = known.find((id) => id === name || id === `scene-${name}` || id === `town-${name}`);
    if (match !== undefined) return match;
    const bare = (id: string): string => id.replace(/^scene-/, "");
    const nearest = [...known].sort((a, b) => distance(bare(a), bare(name)) - distance(bare(b), bare(name)))[0];
    const listed = known.length > 12 ? `${known.slice(0, 12).join(", ")} and ${known.length - 12} more` : known.join(", ");
    const advice = nearest === undefined ? "Give a folder that holds scenes." : `Did you mean "${nearest}"?`;
    throw new DatasetError(`${where}: unknown scene "${name}", expected one of ${listed || "no scenes"}. ${advice}`);
  });
  return [...new Set(found)];
}
