import { once } from 'node:events';
import { chmodSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { json } from 'node:stream/consumers';
import { dirname, join, resolve } from 'node:path';
import { z } from 'zod';
import { leaveSocketDirectory, type Mail, mailModes, socketDirectory } from '../../embedded/index.ts';

/** What a start of the demo can be told to do to itself; `lifelike` mail fares as the hosts of simulated people say. Each is left as it is where nothing is said of it. */
export const switches = z.strictObject({
  smtp: z
    .strictObject({ mode: z.enum([...mailModes, 'lifelike']), slow_ms: z.int().min(0).max(60_000).optional() })
    .optional(),
  worker: z.boolean().optional(),
  scheduler: z.boolean().optional(),
  redis: z.boolean().optional(),
});
export type Switches = z.infer<typeof switches>;

/** How the product stands. */
export const standing = z.object({
  url: z.url(),
  smtp_url: z.string(),
  deposit_mode: z.string(),
  smtp: z.string(),
  worker: z.boolean(),
  scheduler: z.boolean(),
  redis: z.boolean(),
});
export type Standing = z.infer<typeof standing>;

export interface Controlled {
  standing(): Standing;
  throwSwitches(given: Switches): Promise<void>;
  /** Told of every mail; answers the way to stop it. */
  onMail(listener: (mail: Mail) => void): () => void;
}

const socketName = 'control.sock';
const homeOf = (dataDir: string): string => join(resolve(dataDir), 'control');

/** A socket in the data directory; where its path is too long for one, a short one elsewhere. */
export function controlSocket(dataDir: string): string {
  return join(socketDirectory(homeOf(dataDir), socketName), socketName);
}

/**
 * Serves the switches of a demo on a socket which only the user who started it can open. It is no part of the API: it can stop the
 * worker, so it must never be where a stranger could knock.
 */
export function openControl(
  dataDir: string,
  controlled: Controlled,
): { start(): Promise<void>; stop(): Promise<void> } {
  let server: Server | undefined;
  return {
    async start() {
      const path = controlSocket(dataDir);
      rmSync(path, { force: true });
      server = createServer((request, response) => {
        answer(request, response, controlled).catch((error: unknown) => {
          const status = error instanceof z.ZodError ? 400 : 500;
          response.writeHead(status, jsonType).end(JSON.stringify({ error: String(error) }));
        });
      });
      server.listen(path);
      await once(server, 'listening');
      chmodSync(path, 0o600);
    },
    async stop() {
      if (!server?.listening) return;
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
      leaveSocketDirectory(dirname(controlSocket(dataDir)), homeOf(dataDir));
    },
  };
}

const jsonType = { 'content-type': 'application/json' };

async function answer(request: IncomingMessage, response: ServerResponse, controlled: Controlled): Promise<void> {
  const asked = `${request.method} ${request.url}`;
  if (asked === 'GET /mails') return tellMails(response, controlled);
  if (asked === 'POST /switches') await controlled.throwSwitches(switches.parse(await json(request)));
  else if (asked !== 'GET /') return void response.writeHead(404).end();
  response.writeHead(200, jsonType).end(JSON.stringify(controlled.standing()));
}

/** One line of JSON for each mail, from now on, until the listener leaves. */
function tellMails(response: ServerResponse, controlled: Controlled): void {
  response.writeHead(200, { 'content-type': 'application/x-ndjson' }).flushHeaders();
  const stop = controlled.onMail((mail) => response.write(`${JSON.stringify(mail)}\n`));
  response.on('close', stop);
}
