import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';

/** An SMTP server for hundreds of mails a second: it reads of a mail what a click needs, and keeps nothing. */
export interface ClickServer {
  readonly url: string;
  /** How many mails it took. */
  readonly taken: number;
  /** Told of the token in the link of each confirmation, with the address of the person. */
  onToken(listener: (address: string, token: string) => void): void;
  stop(): Promise<void>;
}

/** It speaks as much of SMTP as senders do, and believes them: who measures a product shares a machine with it. */
export async function startClickServer(): Promise<ClickServer> {
  let taken = 0;
  let told: (address: string, token: string) => void = () => {};
  const open = new Set<Socket>();
  const server = createServer({ noDelay: true }, (socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
    converse(socket, (recipient, mail) => {
      taken += 1;
      const token = tokenIn(mail);
      if (token !== undefined) told(recipient, token);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `smtp://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get taken() {
      return taken;
    },
    onToken(listening) {
      told = listening;
    },
    async stop() {
      for (const socket of open) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

const endOfMail = '\r\n.\r\n';

/** Answers every command until the other side goes, and hands each mail on with its recipient. */
function converse(socket: Socket, take: (recipient: string, mail: string) => void): void {
  let unread = '';
  let recipient = '';
  let inMail = false;
  const say = (answer: string) => socket.write(`${answer}\r\n`);
  const obey = (command: string) => {
    const verb = command.slice(0, 4).toUpperCase();
    if (verb === 'QUIT') return socket.end('221 2.0.0 bye\r\n');
    if (verb === 'RCPT') recipient = /<([^>]*)>/.exec(command)?.[1] ?? '';
    inMail = verb === 'DATA';
    return say(inMail ? '354 go on' : '250 2.0.0 ok');
  };
  socket.setEncoding('latin1').on('error', () => {});
  socket.on('data', (text: string) => {
    unread += text;
    for (;;) {
      const end = inMail ? endOfMail : '\r\n';
      const at = unread.indexOf(end);
      if (at < 0) return;
      const part = unread.slice(0, at);
      unread = unread.slice(at + end.length);
      if (!inMail) {
        obey(part);
        continue;
      }
      inMail = false;
      take(recipient, part);
      say('250 2.0.0 taken');
    }
  });
  say('220 click-server');
}

/** Undefined for a mail without a link to confirm. */
function tokenIn(mail: string): string | undefined {
  const isEncoded = mail.includes('quoted-printable');
  const text = isEncoded ? mail.replaceAll('=\r\n', '').replaceAll('=3D', '=') : mail;
  return /\/confirm#token=([\w-]+)/.exec(text)?.[1];
}
