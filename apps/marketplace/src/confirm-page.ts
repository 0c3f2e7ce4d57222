import { createHash } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { pageStyle } from './front-page.ts';

/**
 * The token stays behind the `#`, which no browser sends, so it is in no log; and only a click sends it on, because mail
 * scanners open every link.
 */
const script = `
const button = document.querySelector('button');
const told = document.querySelector('[role=status]');
const token = new URLSearchParams(location.hash.slice(1)).get('token');
if (!token) { button.hidden = true; told.textContent = 'This link is not whole. Please open it from the mail again.'; }
button.addEventListener('click', async () => {
  button.disabled = true;
  try {
    const answer = await fetch('/api/v1/leads/confirm', {
      method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ token }) });
    told.textContent = answer.ok ? 'Thank you. Your request is confirmed, and we will look at it.'
      : answer.status === 410 ? 'This link has expired. Please send your request again.'
      : answer.status === 404 ? 'We do not know this link. Please open it from the mail again.'
      : 'That did not work just now. Please try again.';
    button.hidden = answer.ok;
  } catch { told.textContent = 'We cannot be reached just now. Please try again.'; }
  button.disabled = false;
});`;

const page = `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex"><title>Confirm your request</title><style>${pageStyle}</style></head>
<body><main><h1>Confirm your request</h1>
<p>One click says that this e-mail address is yours. Nobody gets your request before that.</p>
<p><button type="button">Yes, it is mine</button></p><p role="status"></p></main>
<script>${script}</script></body></html>`;

const scriptHash = createHash('sha256').update(script).digest('base64');
const policy = `default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-${scriptHash}'; connect-src 'self'; frame-ancestors 'none'`;

/** What the link in the confirmation mail opens. */
export async function confirmPage(_request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  return reply
    .headers({ 'content-security-policy': policy, 'referrer-policy': 'no-referrer' })
    .type('text/html; charset=utf-8')
    .send(page);
}
