import { sql } from '@fmhl/ops';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openTestWorld, type TestWorld } from '../../testing/world.ts';
import { removeEnded } from './index.ts';

let world: TestWorld;
beforeAll(async () => {
  world = await openTestWorld();
});
afterAll(() => world?.close());

it('removes links, API tokens and challenges some time after their end, and nothing that lives', async () => {
  const { id } = await world.make.user();
  await world.db.query(sql`
    insert into identity.user_token (user_id, purpose, expires_at)
    select ${id}, 'verify_email', now() + e::interval from unnest(array['-8 days', '-6 days', '1 day']) e`);
  await world.db.query(sql`
    insert into identity.api_token (user_id, name, token_sha256, scopes, expires_at, revoked_at)
    select ${id}, n, sha256(n::bytea), '{lead.read}', now() + e::interval, now() + r::interval
    from (values ('old', '-91 days', null), ('ended', '-89 days', null), ('revoked', '9 days', '-91 days'),
                 ('lives', '9 days', null)) v (n, e, r)`);
  await world.db.query(sql`
    insert into identity.passkey_challenge (challenge, purpose, expires_at)
    select 'of ' || e, 'sign_in', now() + e::interval from unnest(array['-1 second', '1 minute']) e`);
  expect(await removeEnded(world.db, world.now())).toBe(4);
  expect(await removeEnded(world.db, world.now())).toBe(0);
  const { rows } = await world.db.query<{ kept: string }>(sql`
    select name as kept from identity.api_token union all select challenge from identity.passkey_challenge
    union all select 'link' from identity.user_token order by 1`);
  expect(rows.map(({ kept }) => kept)).toEqual(['ended', 'link', 'link', 'lives', 'of 1 minute']);
});
