import type { Config } from './config.ts';

interface SignIn {
  readonly email: string;
  readonly password: string;
}

export interface SummaryFacts {
  readonly url: string;
  readonly metricsUrl: string;
  readonly email: string;
  /** `isProvisioned`: the second factor was given and needs no enrolment. */
  readonly admin: { created: boolean; password?: string; isProvisioned?: boolean };
  /** Who can sign in to the demo world, at the start that made it. */
  readonly provider: SignIn | undefined;
  readonly mailbox: boolean;
  readonly dataLives: string;
  readonly config: Pick<Config, 'metricsEnabled' | 'metricsPort'>;
  readonly metricsPort: number;
}

/** What `fmhl up` prints once: everything a person needs to go on, in 80 columns where the paths allow it. */
export function summary(facts: SummaryFacts): string {
  const { url, metricsUrl, config, metricsPort } = facts;
  const moved = config.metricsEnabled && config.metricsPort !== 0 && config.metricsPort !== metricsPort;
  const rows: [string, string][] = [
    ['Console', `${url}/`],
    ['API', `${url}/api/v1`],
    ['API docs', `${url}/docs`],
    ['Metrics', config.metricsEnabled ? `${metricsUrl}/metrics` : 'switched off (METRICS_ENABLED)'],
    ...(moved ? [['', `port ${config.metricsPort} is in use (METRICS_PORT chooses another)`] as [string, string]] : []),
    ...(facts.mailbox ? [['Mailbox', `${url}/mailbox`] as [string, string]] : []),
    ...people(facts),
    ['Sign in', `FMHL_URL=${url} npx fmhl login`],
    ...(facts.admin.isProvisioned ? [] : [['', secondFactorHint] as [string, string]]),
    ['Data', facts.dataLives],
    ['Stop', 'Ctrl-C'],
  ];
  const lines = rows.map(([name, value]) => `  ${name.padEnd(9)} ${value}`);
  return ['', 'Find Me a Hot Lead', ...lines, ''].join('\n');
}

/** Who has enrolled one reads it as no news. */
const secondFactorHint = 'The first time it asks for an authenticator app.';

function people({ email, admin, provider }: SummaryFacts): [string, string][] {
  const rows: [string, string][] = [['Admin', adminLine(email, admin)]];
  if (provider) rows.push(['Provider', signInLine(provider)]);
  if (provider || admin.password) rows.push(['', 'A password is shown at this start only: keep it.']);
  return rows;
}

function adminLine(email: string, { created, password }: SummaryFacts['admin']): string {
  if (!created) return 'exists; lost password: npx fmhl user create-admin other@e.mail';
  return password ? signInLine({ email, password }) : `${email}, with the password you gave`;
}

function signInLine({ email, password }: SignIn): string {
  return `${email}  password ${password}`;
}
