import { describe, expect, it } from 'vitest';
import { afterAdminPause, afterWish } from './subscription-status.ts';

describe('a subscription', () => {
  it.each([
    ['active', 'paused_user', true, 'paused_user'],
    ['paused_funds', 'paused_user', true, 'paused_user'],
    ['paused_user', 'paused_user', false, 'paused_user'],
    ['paused_user', 'active', true, 'active'],
    ['paused_user', 'active', false, 'paused_funds'],
    ['paused_funds', 'active', true, 'active'],
    ['paused_funds', 'active', false, 'paused_funds'],
    ['active', 'active', false, 'active'],
  ] as const)('that is %s, wished %s, funded %j, is then %s', (present, wish, isFunded, next) => {
    expect(afterWish(present, wish, isFunded)).toEqual({ next });
  });

  it.each(['active', 'paused_user'] as const)(
    'stays cancelled, and stays paused by an administrator, when wished %s',
    (wish) => {
      expect(afterWish('cancelled', wish, true)).toEqual({ refused: 'invalid_state' });
      expect(afterWish('paused_admin', wish, true)).toEqual({ refused: 'paused_by_admin' });
    },
  );

  it.each([
    ['paused_user', true, 'paused_user'],
    ['paused_user', false, 'paused_user'],
    ['active', true, 'active'],
    ['active', false, 'paused_funds'],
    ['paused_funds', true, 'active'],
    [null, false, 'paused_funds'],
  ] as const)('that an administrator paused while %s, funded %j, is then %s', (pausedFrom, isFunded, next) => {
    expect(afterAdminPause(pausedFrom, isFunded)).toBe(next);
  });
});
