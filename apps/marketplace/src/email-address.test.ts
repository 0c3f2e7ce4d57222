import { describe, expect, it } from 'vitest';
import { emailAddress, maskEmail, normaliseEmail } from './email-address.ts';

describe('an e-mail address', () => {
  it('is the same in any case, width and with blanks around', () => {
    expect(normaliseEmail('  Ada@Example.COM ')).toBe('ada@example.com');
    expect(normaliseEmail('ａｄａ@example.com')).toBe('ada@example.com');
  });

  it('is masked beyond use, and still told from others', () => {
    expect(maskEmail('jane.doe@example.com')).toBe('j…@example.com');
  });

  it('is accepted as typed', () => {
    expect(emailAddress.parse(' Ada.Lovelace+leads@Example.com ')).toBe('Ada.Lovelace+leads@Example.com');
  });

  it.each([
    '',
    'ada',
    'ada@',
    '@example.com',
    'a b@example.com',
    'ada@example.com\r\nBcc: x@example.com',
    'ada@example.com\u0000',
    'ada@example',
    `${'a'.repeat(250)}@example.com`,
    'ada@example.com,bob@example.com',
  ])('is refused: %j', (text) => expect(emailAddress.safeParse(text).success).toBe(false));
});
