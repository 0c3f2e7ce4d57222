import type { FastifyReply, FastifyRequest } from 'fastify';

export interface FrontPageLink {
  readonly href: string;
  readonly text: string;
}

/** For the few plain pages of the server itself. */
export const pageStyle = `
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
main { max-width: 44rem; margin: 0 auto; padding: 2rem 1rem; }
ul { list-style: none; padding: 0; }
li { display: flex; flex-wrap: wrap; gap: 0 1rem; margin: 0.75rem 0; }
a { flex: 0 0 13rem; }
button, input { box-sizing: border-box; font: inherit; max-width: 100%; padding: 0.5rem 1rem; }`;

/** What a person sees at `/`: what this is, and where everything is. */
export function frontPage(version: string, extra: readonly FrontPageLink[] = []) {
  const links: FrontPageLink[] = [
    { href: '/docs', text: 'the API, to read and to try' },
    { href: '/api/v1/openapi.json', text: 'the API as OpenAPI 3.1' },
    ...extra,
    { href: '/health', text: 'health of this process' },
    { href: '/metrics', text: 'metrics, for this machine only' },
  ];
  const items = links.map(({ href, text }) => `<li><a href="${href}">${href}</a><span>${text}</span></li>`).join('\n');
  const page = `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Find Me a Hot Lead</title><style>${pageStyle}</style></head>
<body><main><h1>Find Me a Hot Lead</h1>
<p>A lead marketplace, version ${version}. It is running.</p>
<ul>${items}</ul></main></body></html>`;
  return async (_request: FastifyRequest, reply: FastifyReply) =>
    reply
      .header('content-security-policy', "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
      .type('text/html; charset=utf-8')
      .send(page);
}
