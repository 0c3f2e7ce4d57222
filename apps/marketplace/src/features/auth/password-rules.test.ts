import { describe, expect, it } from 'vitest';
import { isHashable, passwordFault } from './password-rules.ts';

const owner = { email: 'Ada.Lovelace@example.com', company: 'Lovelace Roofing' };

describe('a chosen password', () => {
  it.each(['tangerine-lamp', '10 letters', '😀😁😂😃😄😅😆😇😈😉', 'é'.repeat(64) + 'x'.repeat(64)])(
    'is accepted: %s',
    (password) => {
      expect(passwordFault(password, owner)).toBeUndefined();
    },
  );

  it.each([
    ['shorter than 10 characters', 'tangerine'],
    ['short in characters, long in code units', '😀'.repeat(9)],
    ['longer than 128 characters', 'ab'.repeat(65)],
    ['with NUL', 'tangerine\u0000lamp'],
    ['with a lone surrogate', 'tangerine\ud800lamp'],
    ['over 1 KB', '😀'.repeat(300)],
    ['common', 'Password123'],
    ['one letter', 'xxxxxxxxxxxxxxx'],
    ['the own e-mail', 'ada.lovelace@EXAMPLE.com'],
    ['the own e-mail before the @', 'ada.lovelace'],
    ['the own company', 'lovelace roofing'],
  ])('is refused: %s', (_why, password) => expect(passwordFault(password, owner)).toBeTypeOf('string'));
});

it('a password to be compared needs no strength, but must be small text', () => {
  expect(isHashable('short')).toBe(true);
  expect(isHashable('x'.repeat(1025))).toBe(false);
  expect(isHashable('a\u0000')).toBe(false);
});
