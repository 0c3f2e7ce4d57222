import { sameAs } from '../apps/marketplace/src/invariants.ts';
import { withApp } from './offline-server.ts';
import { page, table } from './markdown.ts';

const intro = `Each of these is always true, and each is asked on the live system: by \`fmhl invariants\`, as a part of \`fmhl doctor\`, by
\`GET /api/v1/admin/doctor\`, and every ten minutes by the schedule \`invariants\`, whose finding is the gauge \`fmhl_invariant_violations\`. To ask reads,
and changes nothing. A row that breaks one is named by its ids. What could not be asked, because it took too long or a server was away, is not
checked: that is neither OK nor a breach. See [Is the system sound?](../guides/soundness.md).

A query that can look at what is new looks at what changed since the last scheduled look found it to hold, and once a day at everything.`;

const notAsked = `## Not asked on a live system

- That a handler's effects outside of Postgres happened once: proofs count them with a mail server and a checker of their own.
- Order and gaps of the event streams, and what consumers did: events are kept in their outbox, and nothing reads them yet.
- That no personal value is in a log, a metric or an answer: tests search for planted ones.
- That this Postgres is the one it was yesterday: the anchors of the audit log tell one from another.`;

/** What must always be true, from the lists that the doctor asks. */
export function invariantsPage(): Promise<string> {
  return withApp((app) => {
    const other = new Map(Object.entries(sameAs).map(([name, same]) => [same, name]));
    const rows = app.ops.invariants.map(({ name, title, enforcedBy, next }) => [
      [name, other.get(name)].filter(Boolean).join(', '),
      title.replace(/\.$/, ''),
      enforcedBy,
      next ?? '',
    ]);
    return page('Invariants', [
      intro,
      table(['name', 'what is always true', 'what keeps it true', 'first, when it is broken'], rows),
      notAsked,
    ]);
  });
}
