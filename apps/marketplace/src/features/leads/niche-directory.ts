import { createHash } from 'node:crypto';
import { type Queryable, sql } from '@fmhl/ops';
import { compileForm } from '../subscriptions/index.ts';

/** What the intake asks of a niche. */
export interface IntakeNiche {
  readonly id: string;
  readonly slug: string;
  readonly name: string;
  readonly status: 'active' | 'paused';
  readonly consentVersion: number;
  readonly consentSha256: string;
  readonly dedupDays: number;
  readonly form: ReturnType<typeof compileForm>;
}

export interface NicheDirectory {
  find(slug: string): Promise<IntakeNiche | undefined>;
  /** Slugs that can be asked for, in order. */
  activeSlugs(): Promise<string[]>;
}

const freshForMs = 2_000;

/** All niches, read at most every 2 s: a change of a form or a consent text is seen that much later. Niches are tens, not thousands. */
export function openNicheDirectory(db: Queryable, now: () => number = Date.now): NicheDirectory {
  let readAt = Number.NEGATIVE_INFINITY;
  let niches: Promise<Map<string, IntakeNiche>> | undefined;
  const all = () => {
    if (niches === undefined || now() - readAt >= freshForMs) {
      readAt = now();
      niches = readNiches(db);
      niches.catch(() => {
        niches = undefined;
      });
    }
    return niches;
  };
  return {
    find: async (slug) => (await all()).get(slug),
    activeSlugs: async () => {
      const active = [...(await all()).values()].filter((niche) => niche.status === 'active');
      return active.map((niche) => niche.slug).sort();
    },
  };
}

interface NicheRow {
  id: string;
  slug: string;
  name: string;
  status: 'active' | 'paused';
  form_schema: Parameters<typeof compileForm>[0];
  consent_text: string;
  consent_version: number;
  dedup_days: number;
}

async function readNiches(db: Queryable): Promise<Map<string, IntakeNiche>> {
  const { rows } = await db.query<NicheRow>(sql`
    select id, slug, name, status, form_schema, consent_text, consent_version, dedup_days from v_niche`);
  return new Map(rows.map((row) => [row.slug, intakeNicheOf(row)]));
}

function intakeNicheOf({ id, slug, name, status, form_schema, ...row }: NicheRow): IntakeNiche {
  let form: ReturnType<typeof compileForm> | undefined;
  return {
    id,
    slug,
    name,
    status,
    consentVersion: row.consent_version,
    consentSha256: createHash('sha256').update(row.consent_text).digest('hex'),
    dedupDays: row.dedup_days,
    // Compiled on first use: most niches are not asked for within the 2 s.
    get form() {
      return (form ??= compileForm(form_schema));
    },
  };
}
