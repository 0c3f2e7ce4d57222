import { describe, expect, it } from 'vitest';
import { demoNiches } from '../demo-catalogue.ts';
import { mailHosts } from '../people.ts';
import { liveLead, openMailFates } from './live-lead.ts';

const niches = demoNiches.map(({ slug, form_schema }) => ({ slug, fields: form_schema.fields, consentVersion: 1 }));
const some = Array.from({ length: 400 }, (_, n) => liveLead(42, n, niches));

describe('a simulated lead', () => {
  it('follows from its seed and number alone', () => {
    const told = ({ body, isDoubled, path }: (typeof some)[number]) => [body, isDoubled, path.confirmAfterMs];
    expect(told(liveLead(42, 7, niches))).toEqual(told(liveLead(42, 7, niches)));
    expect(told(liveLead(43, 7, niches))).not.toEqual(told(liveLead(42, 7, niches)));
  });

  it('answers what the form of its niche must know, and nothing that it does not ask', () => {
    for (const { body } of some) {
      const fields = niches.find(({ slug }) => slug === body.niche)?.fields ?? [];
      const answered = Object.keys(body.form as object);
      expect(fields.filter(({ name, required }) => required && !answered.includes(name))).toEqual([]);
      expect(answered.filter((name) => !fields.some((field) => field.name === name))).toEqual([]);
    }
  });

  it('is of nobody who could exist', () => {
    const hosts = new Set(some.map(({ body }) => body.email.split('@')[1]));
    expect([...hosts].filter((host) => !Object.values(mailHosts).some((known) => known === host))).toEqual([]);
    const phones = some.flatMap(({ body }) => (typeof body.phone === 'string' ? [body.phone] : []));
    expect(phones.filter((phone) => !/^\+1\d{3}55501\d\d$/.test(phone))).toEqual([]);
    expect(phones.length).toBeGreaterThan(200);
  });

  it('now and then comes from somebody who asked before, or is sent twice', () => {
    const people = new Set(some.map(({ body }) => body.email));
    expect(people.size).toBeGreaterThan(370);
    expect(people.size).toBeLessThan(400);
    expect(some.filter(({ isDoubled }) => isDoubled).length).toBeGreaterThan(2);
  });
});

describe('a mail server for simulated people', () => {
  it('goes by the host of the address, and takes a greylisted one at the second attempt', () => {
    const fate = openMailFates();
    const asked = ['a@example.com', 'b@bounced.test', 'c@slow.test', 'd@greylisted.test', 'd@greylisted.test'];
    expect(asked.map(fate)).toEqual(['ok', 'bounce', 'slow', 'later', 'ok']);
  });
});
