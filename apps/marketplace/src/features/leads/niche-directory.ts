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
  /** Looks again before it answers that there is no such niche, or that its consent text is older than `consentVersion`. */
  find(slug: string, consentVersion?: number): Promise<IntakeNiche | undefined>;
  /** Slugs that can be asked for, in order. */
  activeSlugs(): Promise<string[]>;
}

const freshForMs = 2_000;
/** Wrong slugs and versions read the niches once in this time at most. */
const lookAgainAfterMs = 100;

/** All niches, read every 2 s: a change of a form is seen that much later, a new niche or consent text when it is first asked for. Niches are tens, not thousands. */
export function openNicheDirectory(db: Queryable, now: () => number = Date.now): NicheDirectory {
  let readAt = Number.NEGATIVE_INFINITY;
  let lookedAgainAt = Number.NEGATIVE_INFINITY;
  let niches: Promise<Map<string, IntakeNiche>> | undefined;
  const lookAgain = () => {
    if (now() - lookedAgainAt >= lookAgainAfterMs) {
      lookedAgainAt = now();
      niches = undefined;
    }
    return all();
  };
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
    async find(slug, consentVersion = 0) {
      const known = (await all()).get(slug);
      if (known && known.consentVersion >= consentVersion) return known;
      return (await lookAgain()).get(slug);
    },
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
