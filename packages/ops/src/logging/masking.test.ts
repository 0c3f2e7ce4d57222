import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { acceptCorrelationId, createLogger, describeError, maskText } from './index.ts';
import { isSensitiveKey } from './masking.ts';

describe('maskText', () => {
  it.each([
    ['card 4111111111111111 refused', 'card [number] refused'],
    ['card 4111 1111 1111 1111', 'card [number]'],
    ['4111-1111-1111-1111', '[number]'],
    ['iban DE89370400440532013000', 'iban DE[number]'],
    ["mail ann.o'neil+x@example.co.uk bounced", 'mail [email] bounced'],
    ['/confirm?email=ann%40example.com&x=1', '/confirm?email=[email]&x=1'],
    ['jürgen@müller.de', '[email]'],
    ['call +1 (212) 555-0123', 'call [phone]'],
    ['call 212-555-0123 or (212) 555 0123', 'call [phone] or [phone]'],
    ['to=%2B12125550123', 'to=[phone]'],
    ['2125550123', '[phone]'],
    ['12125550123', '[phone]'],
    ['+4915112345678', '[phone]'],
  ])('%s becomes %s', (text, masked) => {
    expect(maskText(text)).toBe(masked);
  });

  it.each([
    'lead 8f14e45f-ceea-467f-a8f6-123456789012 not found',
    'at run (/srv/app/src/queues/worker.ts:128:17)',
    'since 2026-01-05T10:30:00.000Z',
    'connect ECONNREFUSED 127.0.0.1:54321',
    'timeout of 30000 ms, attempt 3 of 5',
    'at epoch 1767609000',
  ])('leaves %s alone', (text) => {
    expect(maskText(text)).toBe(text);
  });

  it('finds a number whatever stands around it and between its digits', () => {
    const gap = fc.constantFrom('', ' ', '-', '.');
    const digits = (count: number) => fc.stringMatching(new RegExp(`^[2-9]\\d{${count - 1}}$`));
    const phone = fc
      .tuple(fc.constantFrom('', '1', '1 ', '1-'), fc.boolean(), digits(3), gap, digits(3), gap, digits(4))
      .map(
        ([one, inBrackets, area, a, exchange, b, line]) =>
          `${one}${inBrackets ? `(${area})` : area}${a}${exchange}${b}${line}`,
      );
    const abroad = fc
      .tuple(fc.constantFrom('+', '%2B'), fc.stringMatching(/^\d[\d ().-]{6,17}\d$/))
      .map((parts) => parts.join(''));
    const card = fc.array(fc.tuple(fc.integer({ min: 0, max: 9 }), fc.constantFrom('', ' ', '-')), { minLength: 12 });
    const number = fc.oneof(
      phone,
      abroad,
      card.map((pairs) => pairs.flat().join('')),
    );
    fc.assert(
      fc.property(
        fc.stringMatching(/^[a-z :/]{0,40}$/),
        number,
        fc.stringMatching(/^[a-z :/]{0,40}$/),
        (before, one, after) => {
          expect(maskText(`${before}${one}${after}`)).toMatch(/\[(?:number|phone)\]/);
        },
      ),
    );
  });

  it('stays linear on hostile texts', () => {
    const startedAt = performance.now();
    for (const piece of ['a', '1', '1 ', '+1', 'a@', '(2', '@a.']) maskText(`${piece.repeat(20_000)}@`);
    expect(performance.now() - startedAt).toBeLessThan(1_000);
  });
});

describe('keys', () => {
  it.each([
    'email',
    'contactEmail',
    'contact_email',
    'x-api-key',
    'Set-Cookie',
    'Authorization',
    'phone_number',
    'ip',
    'remote_ip',
  ])('%s never carries its value', (key) => expect(isSensitiveKey(key)).toBe(true));
  it.each([
    'password',
    'newPassword',
    'token',
    'tokens',
    'secret',
    'name',
    'firstName',
    'address',
    'addresses',
    'iban',
    'card',
  ])('%s never carries its value', (key) => expect(isSensitiveKey(key)).toBe(true));
  it.each([
    'job_name',
    'queue',
    'consumer_group',
    'email_id',
    'token_id',
    'status',
    'ship',
    'skip',
    'description',
    'instance',
  ])('%s carries it', (key) => expect(isSensitiveKey(key)).toBe(false));
});

describe('describeError', () => {
  it('has exactly type, message, stack and code on a line', () => {
    const lines: string[] = [];
    const log = createLogger({
      level: 'info',
      format: 'json',
      service: 's',
      version: 'v',
      instance: 'i',
      bootId: 'boot-0001',
      destination: { write: (line) => lines.push(line) },
    });
    log.error('loop_failed', Object.assign(new Error('no'), { code: 'E1', detail: 'Key (email)=(ann@example.com)' }));
    log.warn('loop_failed', { error: new Error('no') });
    for (const line of lines) {
      expect(Object.keys(JSON.parse(line).metadata.error)).toEqual(['type', 'message', 'stack', 'code']);
      expect(line).not.toContain('ann@example.com');
    }
    expect(JSON.parse(lines[0] ?? '').metadata.error.code).toBe('E1');
    expect(JSON.parse(lines[1] ?? '').metadata.error.code).toBe(null);
  });

  it('appends causes, three deep, and holds 20 frames in all', () => {
    const error = [4, 3, 2, 1, 0].reduce<Error | undefined>(
      (cause, n) => new Error(`level ${n}`, { cause }),
      undefined,
    );
    const { stack, truncated } = describeError(error);
    expect(stack.match(/level \d/g)).toEqual(['level 0', 'level 1', 'level 2', 'level 3']);
    expect(stack.match(/^\s+at /gm)?.length).toBeLessThanOrEqual(20);
    expect(truncated).toBe(true);
  });

  it('does not follow a circle of causes', () => {
    const error: Error & { cause?: unknown } = new Error('round');
    error.cause = error;
    expect(describeError(error).stack.match(/round/g)).toHaveLength(1);
  });

  it('masks message and stack, cuts at 2 KiB without leaving part of a number', () => {
    const { message, stack, truncated } = describeError(
      new Error(`${'x'.repeat(2_040)} 4111111111111111 ann@example.com`),
    );
    expect(message.length).toBeLessThanOrEqual(2_048);
    expect(truncated).toBe(true);
    expect(`${message}${stack}`).not.toMatch(/4111|ann@/);
  });

  it.each([
    ['boom', 'string', 'boom'],
    [undefined, 'undefined', 'undefined'],
    [null, 'null', 'null'],
    [42, 'number', '42'],
    [{ email: 'ann@example.com' }, 'object', 'a thrown object'],
    [
      Object.assign(new AggregateError([new Error('refused')]), { code: 'ECONNREFUSED' }),
      'AggregateError',
      'ECONNREFUSED',
    ],
  ])('normalises %s', (thrown, type, message) => {
    expect(describeError(thrown)).toMatchObject({ type, message });
    expect(describeError(thrown).stack).toContain(type);
  });
});

describe('acceptCorrelationId', () => {
  it('takes 8 to 64 of the allowed characters and nothing else', () => {
    expect(acceptCorrelationId('8f14e45f-ceea-467f-a8f6-0c5f1f2a9d11')).toBe('8f14e45f-ceea-467f-a8f6-0c5f1f2a9d11');
    for (const bad of [
      'short',
      'x'.repeat(65),
      'with space',
      'line\nbreak',
      'abcdefgh\n',
      '',
      undefined,
      ['abcdefgh'],
      12345678,
    ]) {
      expect(acceptCorrelationId(bad)).toBeUndefined();
    }
  });
});
