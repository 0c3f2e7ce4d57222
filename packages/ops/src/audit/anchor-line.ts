import { z } from 'zod';

/** The head of the chain as it was at a moment, kept where the database cannot reach it. */
export const auditAnchor = z.object({
  n: z.int().positive(),
  seq: z.int().positive(),
  /** Hex. */
  hash: z.string().regex(/^[0-9a-f]{64}$/),
  at: z.iso.datetime(),
  /** Identity of the Postgres that held it. */
  database: z.string().max(40),
});
export type AuditAnchor = z.infer<typeof auditAnchor>;

/** Reads lines of JSON. What is no anchor is left out: the end of a file may be half a line. */
export function readAnchors(text: string): AuditAnchor[] {
  return text.split('\n').flatMap((line) => {
    const read = auditAnchor.safeParse(parsed(line));
    return read.success ? [read.data] : [];
  });
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

/**
 * Those that say all: an anchor vouches for everything before it, so that of a run of rising ones the last is enough. Where the
 * numbers fall back, the chain itself did, and both sides count. Oldest first.
 */
export function decisiveAnchors(anchors: readonly AuditAnchor[]): AuditAnchor[] {
  return anchors.filter((anchor, at) => {
    const next = anchors[at + 1];
    return !next || next.n < anchor.n || (next.n === anchor.n && next.hash !== anchor.hash);
  });
}
