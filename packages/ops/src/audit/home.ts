import type { Queryable } from '../postgres/index.ts';
import { beforeFirst, linkHash, type LoggedRow } from './chain.ts';
import { type Link, readLinks } from './queries.ts';

const pageSize = 5_000;

/**
 * The place in the chain under which the content of a row was linked, if it was under another than its own: that of another row (their
 * contents were exchanged), or of another link (their rows were).
 */
export async function homeOf(db: Queryable, row: LoggedRow & Link): Promise<number | undefined> {
  let previous = beforeFirst;
  for (let after = 0; ; ) {
    const links = await readLinks(db, after, pageSize);
    for (const link of links) {
      if (link.n !== row.n && isHome(row, link, previous)) return link.n;
      previous = link.hash;
    }
    const last = links.at(-1);
    if (!last || links.length < pageSize) return undefined;
    after = last.n;
  }
}

/** The hash may have moved with the link, then it stands where the row does. */
function isHome(row: LoggedRow & Link, link: Link, previous: Buffer): boolean {
  return [row.seq, link.seq].some((seq) =>
    [previous, link.hash].some((before) => {
      const hash = linkHash(before, link.n, { ...row, seq });
      return hash.equals(link.hash) || hash.equals(row.hash);
    }),
  );
}
