import { createHash } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { pageStyle } from './front-page.ts';

/** A page that a link in a mail opens. Texts are ours, so nothing is escaped. */
export interface LinkPage {
  readonly title: string;
  readonly text: string;
  readonly button: string;
  /** Path that takes the token as JSON. */
  readonly postTo: string;
  /** Whether it takes a password that the reader chooses. */
  readonly asksPassword?: boolean;
  readonly done: string;
  /** What the reader is told for an answer of another status; else that it did not work just now. */
  readonly told: Readonly<Record<number, string>>;
}

/**
 * The token stays behind the `#`, which no browser sends, so it is in no log; and only a click sends it on, because mail
 * scanners open every link.
 */
const scriptOf = ({ postTo, done, told }: LinkPage) => `
const form = document.querySelector('form');
const button = document.querySelector('button');
const password = document.querySelector('input');
const status = document.querySelector('[role=status]');
const told = ${JSON.stringify(told)};
const token = new URLSearchParams(location.hash.slice(1)).get('token');
if (!token) { form.hidden = true; status.textContent = 'This link is not whole. Please open it from the mail again.'; }
form.addEventListener('submit', async (event) => {
  event.preventDefault();
  button.disabled = true;
  try {
    const body = JSON.stringify(password ? { token, password: password.value } : { token });
    const answer = await fetch('${postTo}', { method: 'POST', headers: { 'content-type': 'application/json' }, body });
    const code = answer.ok ? '' : (await answer.json()).code;
    status.textContent = answer.ok ? '${done}'
      : code === 'validation_failed' && password ? 'Please choose another password: 10 to 128 characters, none that is easy to guess.'
      : told[answer.status] ?? 'That did not work just now. Please try again.';
    form.hidden = answer.ok;
  } catch { status.textContent = 'We cannot be reached just now. Please try again.'; }
  button.disabled = false;
});`;

const passwordField = `<p><label>New password, 10 characters or more<br>
<input type="password" autocomplete="new-password" required minlength="10" maxlength="128"></label></p>`;

const htmlOf = (page: LinkPage, script: string) => `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex"><title>${page.title}</title><style>${pageStyle}</style></head>
<body><main><h1>${page.title}</h1>
<p>${page.text}</p>
<form>${page.asksPassword ? passwordField : ''}<p><button type="submit">${page.button}</button></p></form>
<p role="status"></p></main>
<script>${script}</script></body></html>`;

/** The handler that serves a page; its policy lets only its own script run, and only to us. */
export function linkPage(page: LinkPage) {
  const script = scriptOf(page);
  const html = htmlOf(page, script);
  const scriptHash = createHash('sha256').update(script).digest('base64');
  const policy = `default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-${scriptHash}'; connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'`;
  return async (_request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> =>
    reply
      .headers({ 'content-security-policy': policy, 'referrer-policy': 'no-referrer' })
      .type('text/html; charset=utf-8')
      .send(html);
}
