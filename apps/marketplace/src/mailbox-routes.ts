import type {} from '@fastify/swagger';
import { guardNetworks } from '@fmhl/ops';
import type { FastifyInstance, FastifyPluginAsync, FastifyReply } from 'fastify';
import { z } from 'zod';
import type { Mail, Mailbox } from './embedded/index.ts';

const listQuery = z.object({ to: z.string().max(320).optional() });

/**
 * The mailbox to look at: `/mailbox`, `/mailbox/:id` for people, `/mailbox.json?to=` for programs. It shows every mail, so it is mounted
 * where the embedded mailbox runs and nowhere else, and answers only to `networks`, asked as localhost, by address or as one of `hosts`, never through a proxy.
 */
export function mailboxRoutes(
  mailbox: Mailbox,
  networks: readonly string[],
  hosts: readonly string[] = [],
): FastifyPluginAsync {
  return async (app: FastifyInstance) => {
    guardNetworks(app, networks, hosts);
    const options = { schema: { hide: true } };
    app.get('/mailbox.json', options, async (request, reply) => {
      reply.header('cache-control', 'no-store');
      return mailbox.list(queryOf(request.query));
    });
    app.get('/mailbox', options, async (request, reply) =>
      sendPage(reply, listPage(mailbox.list(queryOf(request.query)))),
    );
    app.get('/mailbox/:id', options, async (request, reply) => {
      const mail = mailbox.get((request.params as { id: string }).id);
      return mail
        ? sendPage(reply, mailPage(mail))
        : sendPage(reply.code(404), page('No such mail', '<p>It may have made room for newer ones.</p>'));
    });
  };
}

function queryOf(query: unknown): { to?: string | undefined } {
  return listQuery.safeParse(query).data ?? {};
}

function sendPage(reply: FastifyReply, html: string): FastifyReply {
  return reply
    .header('content-type', 'text/html; charset=utf-8')
    .header('content-security-policy', "default-src 'none'; style-src 'unsafe-inline'")
    .header('referrer-policy', 'no-referrer')
    .header('cache-control', 'no-store')
    .send(html);
}

function listPage(mails: readonly Mail[]): string {
  const rows = mails.map(
    ({ id, to, subject, receivedAt }) =>
      `<tr><td>${escapeHtml(receivedAt.replace('T', ' ').slice(0, 19))}</td><td>${escapeHtml(to)}</td><td><a href="/mailbox/${id}">${escapeHtml(subject || '(no subject)')}</a></td></tr>`,
  );
  const table = `<table><thead><tr><th>Received (UTC)</th><th>To</th><th>Subject</th></tr></thead><tbody>${rows.join('')}</tbody></table>`;
  return page('Mailbox', mails.length === 0 ? '<p>No mail yet.</p>' : table);
}

function mailPage({ from, to, subject, receivedAt, text, html }: Mail): string {
  const head = `<p>From ${escapeHtml(from)} to ${escapeHtml(to)}, ${escapeHtml(receivedAt)}</p>`;
  const source =
    html === '' ? '' : `<details><summary>HTML part, as source</summary><pre>${escapeHtml(html)}</pre></details>`;
  return page(
    subject || '(no subject)',
    `<p><a href="/mailbox">All mail</a></p>${head}<pre>${withLinks(text)}</pre>${source}`,
  );
}

function page(title: string, body: string): string {
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>${escapeHtml(title)}</title><style>${style}</style></head><body><main><h1>${escapeHtml(title)}</h1>${body}</main></body></html>`;
}

// On a phone each row of the table becomes a block, its subject first.
const style = `
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
body { margin: 2rem auto; max-width: 60rem; padding: 0 1rem; }
td, th { padding: 0.25rem 0.75rem 0.25rem 0; text-align: left; vertical-align: top; overflow-wrap: anywhere; }
td:first-child { white-space: nowrap; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; }
@media (max-width: 40rem) {
  thead { display: none; }
  tr { display: flex; flex-direction: column; padding: 0.5rem 0; border-bottom: 1px solid; }
  td { padding: 0; }
  td:last-child { order: -1; font-weight: 600; }
}`;

/** Escapes the text first; what follows the scheme up to a space or an escaped bracket or quote is the link. */
function withLinks(text: string): string {
  return escapeHtml(text).replace(
    /https?:\/\/(?:(?!&(?:lt|gt|quot|#39);)\S)+/g,
    (url) => `<a href="${url}" rel="noreferrer">${url}</a>`,
  );
}

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? character);
}
