import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { callbackify } from 'node:util';
import { SMTPServer, type SMTPServerDataStream, type SMTPServerSession } from 'smtp-server';

/** An SMTP server for hundreds of mails a second: it reads of a mail what a click needs, and keeps nothing. */
export interface ClickServer {
  readonly url: string;
  /** How many mails it took. */
  readonly taken: number;
  /** Told of the token in the link of each confirmation, with the address of the person. */
  onToken(listener: (address: string, token: string) => void): void;
  stop(): Promise<void>;
}

export async function startClickServer(): Promise<ClickServer> {
  let taken = 0;
  let told: (address: string, token: string) => void = () => {};
  const take = async (stream: SMTPServerDataStream, session: SMTPServerSession) => {
    const raw = await text(stream.setEncoding('latin1'));
    taken += 1;
    const token = tokenIn(raw);
    const [recipient] = session.envelope.rcptTo;
    if (token !== undefined && recipient) told(recipient.address, token);
  };
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['AUTH', 'STARTTLS'],
    disableReverseLookup: true,
    logger: false,
    onData: callbackify(take),
  });
  server.on('error', () => {});
  const listener = server.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  return {
    url: `smtp://127.0.0.1:${(listener.address() as AddressInfo).port}`,
    get taken() {
      return taken;
    },
    onToken(listening) {
      told = listening;
    },
    async stop() {
      for (const connection of server.connections) connection.close();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

/** Undefined for a mail without a link to confirm. Long lines are folded, as quoted-printable has it. */
function tokenIn(raw: string): string | undefined {
  return /\/confirm#token=([\w-]+)/.exec(raw.replaceAll('=\r\n', '').replaceAll('=3D', '='))?.[1];
}
