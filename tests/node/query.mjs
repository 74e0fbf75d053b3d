// node query.mjs PROJECT [SELECTOR]: the rows of `history.query` as one JSON array, asked of the component.

import { end } from './end.mjs';

const [project, selector] = process.argv.slice(2);
process.chdir(project);
const { history } = await import('./out/tracker.js');

end(() => {
  const listing = history.query(selector);
  // Text all the way: JavaScript's numbers would round the integers in it.
  const pages = [];
  for (let page = listing.next(); page !== undefined; page = listing.next()) pages.push(page.slice(1, -1));
  return `[${pages.join(',')}]`;
});
