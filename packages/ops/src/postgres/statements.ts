import { createHash } from 'node:crypto';
import sql, { empty, join, raw, type Sql } from 'sql-template-tag';
import type { Statement } from './database.ts';

export { sql, empty, join, raw, type Sql };

/**
 * Names a statement so that each connection plans it once. The name carries a hash of the text:
 * a statement built from optional fragments never meets another text under its name.
 */
export function prepared(name: string, statement: Sql): Statement {
  const text = statement.text;
  return { name: `${name}:${hashOf(text)}`, text, values: statement.values };
}

const hashes = new Map<string, string>();

function hashOf(text: string): string {
  let hash = hashes.get(text);
  if (hash === undefined) {
    hash = createHash('sha256').update(text).digest('base64url').slice(0, 8);
    // Texts come from source code, so their number is small; the bound is for a host that builds them from data.
    if (hashes.size > 5_000) hashes.clear();
    hashes.set(text, hash);
  }
  return hash;
}
