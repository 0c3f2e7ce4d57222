import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import type { Mail } from '../../embedded/index.ts';
import { controlSocket, type Standing, standing, type Switches } from './control.ts';

/** The switches of a running demo. */
export interface Control {
  standing(): Promise<Standing>;
  set(given: Switches): Promise<Standing>;
  /** Resolves once it listens. */
  onMail(listener: (mail: Mail) => void): Promise<() => void>;
}

/** Throws, in words, when no demo runs on this data directory. */
export async function connectControl(dataDir: string): Promise<Control> {
  // A look must not make the directory.
  if (!existsSync(dataDir)) throw noDemo(dataDir);
  const socketPath = controlSocket(dataDir);
  const ask = async (method: string, path: string, body?: object): Promise<IncomingMessage> => {
    const asking = request({ socketPath, method, path });
    asking.end(body && JSON.stringify(body));
    const [response] = (await once(asking, 'response')) as [IncomingMessage];
    if (response.statusCode === 200) return response;
    throw new Error(`the running product answered ${response.statusCode}: ${await text(response)}`);
  };
  const read = async (response: IncomingMessage) => standing.parse(JSON.parse(await text(response)));
  const control: Control = {
    standing: async () => read(await ask('GET', '/')),
    set: async (given) => read(await ask('POST', '/switches', given)),
    async onMail(listener) {
      const response = await ask('GET', '/mails');
      // The product may end before its listener does.
      const lines = createInterface({ input: response });
      for (const source of [response, lines]) source.on('error', () => {});
      lines.on('line', (line) => listener(JSON.parse(line) as Mail));
      return () => response.destroy();
    },
  };
  await control.standing().catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT' && error.code !== 'ECONNREFUSED') throw error;
    throw noDemo(dataDir);
  });
  return control;
}

function noDemo(dataDir: string): Error {
  return new Error(
    `no demo runs on ${dataDir}: start one with npm start (not in production, and with its own mailbox), or give DATA_DIR`,
  );
}
