import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { describeFailure } from './failure.ts';
import { maskerOf } from './personal-values.ts';

const body = JSON.stringify({
  order_id: 'o-1',
  customer: { first_name: 'Zoë', name: 'Zoë Q. Canary (Jr.)', account: 'gold' },
  to: ['zoe@example.com'],
  api_token: 'tok_abc123',
  zip: 94107,
  note: 'call Zoë Q. Canary (Jr.)',
});

describe('the personal values of a payload', () => {
  it('are masked in a text, in any case, the longest first, and nothing else is', () => {
    const mask = maskerOf(body);
    expect(mask('no account of ZOË Q. CANARY (JR.) in 94107: tok_abc123, order o-1, gold, Canary')).toBe(
      'no account of [masked] in [masked]: [masked], order o-1, gold, Canary',
    );
  });

  it('are those at declared paths too, with all below them', () => {
    const declared = { memo: 'gate code 4711', people: [{ id: 'p-77' }, { id: 'p-78' }], plain: 'gold' };
    const mask = maskerOf(declared, ['/memo', '/people/*/id']);
    expect(mask('Gate code 4711 of p-77 and p-78, gold')).toBe('[masked] of [masked] and [masked], gold');
    expect(describeFailure(new Error('no p-77'), declared, ['/people']).message).toBe('no [masked]');
    expect(maskerOf(declared)('p-77')).toBe('p-77');
  });

  it('are masked in the message, the stack and the causes of an error', () => {
    const cause = new Error('refused for Zoë Q. Canary (Jr.)');
    const failure = describeFailure(new Error('cannot greet Zoë', { cause }), body);
    expect(failure.message).toBe('cannot greet [masked]');
    expect(failure.stack).toContain('refused for [masked]');
    expect(JSON.stringify(failure)).not.toMatch(/Zoë|Canary/);
  });

  it.each([[undefined], ['no JSON'], ['null'], ['"Zoë"'], ['{"name":"Bo"}'], ['{"name":"\\ud800abc"}']])(
    'are none where there is nothing to tell by: %s',
    (other) => {
      expect(maskerOf(other)('Zoë and Bo abc')).toBe('Zoë and Bo abc');
    },
  );

  it.each([
    ['Miss Marple', 'of Mi\u017fs Marple'],
    ['Mi\u017fs Marple', 'of Miss Marple'],
    ['Kim Canary', 'of \u212aim Canary'],
  ])('are masked in the other forms of their letters: %s', (name, text) => {
    expect(maskerOf({ name })(text)).toBe('of [masked]');
  });

  it('are masked whatever they are made of', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: 3 }), fc.string({ unit: 'binary' }), (name, around) => {
        const masked = maskerOf({ name })(`${around}${name.trim()}${around}`);
        if (name.trim().length >= 3 && name.isWellFormed()) expect(masked).toContain('[masked]');
      }),
    );
    const marks = String.raw`-/\^$.*+?()[]{}|,=!<>:#&%~"'`;
    expect(maskerOf({ name: marks })(`of ${marks}`)).toBe('of [masked]');
  });

  it('cost little, however many and however deep', () => {
    const deep = `${'{"name":'.repeat(20_000)}"abc"${'}'.repeat(20_000)}`;
    const many = JSON.stringify({ to: Array.from({ length: 5_000 }, (_, at) => `person ${at}`) });
    const startedAt = performance.now();
    expect(maskerOf(deep)('abc')).toBe('[masked]');
    maskerOf(many)('x'.repeat(16_384));
    expect(performance.now() - startedAt).toBeLessThan(500);
  });
});
