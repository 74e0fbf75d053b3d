// node query.mjs PROJECT [SELECTOR [CONDITION [SORT [LIMIT]]]]: the rows of `history.query` as one JSON array, asked of the
// component. An empty word is as good as none.

import { end } from './end.mjs';

const [project, ...words] = process.argv.slice(2);
const [selector, condition, sort, limit] = words.map((word) => word || undefined);
process.chdir(project);
const { history } = await import('./out/tracker.js');

end(() => {
  const listing = history.query({ selector, condition, sort, limit: limit && Number(limit) });
  // Text all the way: JavaScript's numbers would round the integers in it.
  const pages = [];
  for (let page = listing.next(); page !== undefined; page = listing.next()) pages.push(page.slice(1, -1));
  return `[${pages.join(',')}]`;
});
