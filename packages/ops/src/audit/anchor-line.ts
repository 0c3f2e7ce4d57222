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
  /** Place of the anchor before it, where the chain was no longer the one that had been anchored there. */
  breaks: z.int().positive().optional(),
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
 * The `most` that say most, oldest first. While the chain only grows, an anchor vouches for everything before it. Where it broke (the numbers
 * fall back, or the next anchor says so) both sides count. What room is left is for the newest: a break may have gone unmarked.
 */
export function decisiveAnchors(anchors: readonly AuditAnchor[], most: number): AuditAnchor[] {
  const isDecisive = (anchor: AuditAnchor, at: number) => {
    const next = anchors[at + 1];
    return (
      !next || next.breaks !== undefined || next.n < anchor.n || (next.n === anchor.n && next.hash !== anchor.hash)
    );
  };
  const decisive = anchors.filter(isDecisive).slice(-most);
  const kept = new Set(decisive);
  const others = anchors.filter((anchor) => !kept.has(anchor));
  const newest = new Set(others.slice(Math.max(0, others.length - (most - decisive.length))));
  return anchors.filter((anchor) => kept.has(anchor) || newest.has(anchor));
}
