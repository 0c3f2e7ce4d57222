import type { Random } from '../random.ts';

/** What strangers send that is no lead. Each must be refused, in words, and cost nothing more. */
const bodies: readonly string[] = [
  '{"niche":"roofing","name":"a\\u0000b","email":"nul@example.com","form":{},"consent":{"version":1}}',
  `${'['.repeat(500)}${']'.repeat(500)}`,
  JSON.stringify({ niche: 'roofing', name: 'x'.repeat(1_000_000) }),
  '{"niche":"roofing","name":"\\ud800","email":"lone@example.com","form":{},"consent":{"version":1}}',
  '{"__proto__":{"admin":true},"niche":"roofing"}',
  '{"niche":"roofing","name":"a\\r\\nBcc: b@example.com","email":"crlf@example.com","form":{},"consent":{"version":1}}',
  '{"niche":"=cmd|\' /C calc\'!A0","name":"Eve","email":"cmd@example.com","form":{},"consent":{"version":1}}',
  'not json',
];

/** Sends one of them. Answers the status. */
export async function sendBadInput(url: string, random: Random): Promise<number> {
  const response = await fetch(`${url}/api/v1/leads`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: random.pick(bodies),
  });
  await response.arrayBuffer();
  return response.status;
}
