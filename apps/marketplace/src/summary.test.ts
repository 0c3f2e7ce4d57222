import { describe, expect, it } from 'vitest';
import { type SummaryFacts, summary } from './summary.ts';

const facts: SummaryFacts = {
  url: 'http://127.0.0.1:3000',
  metricsUrl: 'http://127.0.0.1:9090',
  email: 'admin@fmhl.example.com',
  admin: { created: true, password: 'k3m8p-k3m8p-k3m8p-k3m8p' },
  provider: { email: 'provider@fmhl.example.com', password: 'q7r2s-q7r2s-q7r2s-q7r2s' },
  mailbox: true,
  dataLives: '/srv/fmhl',
  config: { metricsEnabled: true, metricsPort: 9090 },
  metricsPort: 9090,
};

describe('the summary of a start', () => {
  it('names every place, who can sign in, how to stop and where the data lives', () => {
    expect(summary(facts)).toBe(`
Find Me a Hot Lead
  Console   http://127.0.0.1:3000/
  API       http://127.0.0.1:3000/api/v1
  API docs  http://127.0.0.1:3000/docs
  Metrics   http://127.0.0.1:9090/metrics
  Mailbox   http://127.0.0.1:3000/mailbox
  Admin     admin@fmhl.example.com  password k3m8p-k3m8p-k3m8p-k3m8p
  Provider  provider@fmhl.example.com  password q7r2s-q7r2s-q7r2s-q7r2s
            A password is shown at this start only: keep it.
  Sign in   FMHL_URL=http://127.0.0.1:3000 npx fmhl login
            The first time it asks for an authenticator app.
  Data      /srv/fmhl
  Stop      Ctrl-C
`);
  });

  it('promises no enrolment where the second factor was given', () => {
    const given = summary({ ...facts, admin: { created: true, isProvisioned: true } });
    expect(given).toContain('npx fmhl login');
    expect(given).not.toContain('authenticator');
  });

  it('fits into 80 columns', () => {
    const widths = summary(facts)
      .split('\n')
      .map((line) => line.length);
    expect(Math.max(...widths)).toBeLessThanOrEqual(80);
  });

  it('shows no password at a later start, nor one that was given', () => {
    const later = summary({ ...facts, admin: { created: false }, provider: undefined });
    expect(later).toContain('Admin     exists; lost password: npx fmhl user create-admin other@e.mail');
    expect(later).not.toContain('keep it');
    const given = summary({ ...facts, admin: { created: true }, provider: undefined });
    expect(given).toContain('admin@fmhl.example.com, with the password you gave');
  });

  it('says so when the metrics had to move, or are off', () => {
    expect(summary({ ...facts, metricsPort: 40123 })).toContain('port 9090 is in use (METRICS_PORT chooses another)');
    expect(summary(facts)).not.toContain('in use');
    const off = { ...facts.config, metricsEnabled: false };
    expect(summary({ ...facts, config: off, metricsPort: 40123 })).toContain('switched off (METRICS_ENABLED)');
  });

  it('leaves the mailbox out where mail goes elsewhere', () => {
    expect(summary({ ...facts, mailbox: false })).not.toContain('Mailbox');
  });
});
