// Every page with language, environment, theme and width: all of it, or so that each pair of values comes together.

export const LANGUAGES = ["en", "fr"];
export const ENVIRONMENTS = ["test", "live"];
export const THEMES = ["light", "dark"];
export const WIDTHS = [390, 1100, 1440];
/** Tables are tables from 1185 px on, and have the least room there. */
export const TABLE_WIDTHS = [...WIDTHS, 1200, 1280];

function* product(lists) {
  if (lists.length === 0) return yield [];
  for (const first of lists[0]) for (const rest of product(lists.slice(1))) yield [first, ...rest];
}

/** Rows in which each pair of values of two lists stands together at least once. */
export function pairwise(lists) {
  const key = (i, a, j, b) => `${i}:${a}|${j}:${b}`;
  const pairs = (row) => {
    const found = [];
    for (let i = 0; i < row.length; i++) for (let j = i + 1; j < row.length; j++) found.push(key(i, row[i], j, row[j]));
    return found;
  };
  const all = [...product(lists)];
  const open = new Set(all.flatMap(pairs));
  const rows = [];
  while (open.size > 0) {
    let best = all[0], most = -1;
    for (const row of all) {
      const fresh = pairs(row).filter((pair) => open.has(pair)).length;
      if (fresh > most) [best, most] = [row, fresh];
    }
    pairs(best).forEach((pair) => open.delete(pair));
    rows.push(best);
  }
  return rows;
}

/** The cells of one page. Pages outside a business have no environment. */
export function cells(page, full) {
  const lists = [LANGUAGES, THEMES, page.widths ?? WIDTHS, page.environments ?? [null]];
  const rows = full ? [...product(lists)] : pairwise(lists);
  // Pages of one kind share their template: one cell each is enough unless everything is asked for.
  const chosen = full || !page.likeOthers ? rows : [rows[page.likeOthers % rows.length]];
  return chosen.map(([language, theme, width, environment]) => ({ language, theme, width, environment }));
}
