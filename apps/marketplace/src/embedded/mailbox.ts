import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { appendFileSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { callbackify } from 'node:util';
import PostalMime from 'postal-mime';
import { SMTPServer, type SMTPServerDataStream, type SMTPServerSession } from 'smtp-server';
import { type MailBehaviour, openManners } from './mail-behaviour.ts';

const KEPT = 500;
const LARGEST_MAIL_BYTES = 2 * 1024 * 1024;

/** A mail as a mail program shows it. */
export interface Mail {
  id: string;
  /** The recipients of the envelope, comma-separated. */
  to: string;
  from: string;
  subject: string;
  text: string;
  html: string;
  /** Without its angle brackets; empty when the mail has none. */
  messageId: string;
  /** ISO 8601, UTC. */
  receivedAt: string;
}

export interface Mailbox {
  /** `smtp://127.0.0.1:<port>`, no sign-in, no encryption. */
  smtpUrl: string;
  /** Newest first; `to` keeps the mails of one recipient. */
  list(filter?: { to?: string | undefined }): Mail[];
  get(id: string): Mail | undefined;
  clear(): void;
  /** How it treats mail from now on; `slowMs` is how long a slow mail takes, 3,000 by default. */
  behave(behaviour: MailBehaviour, slowMs?: number): void;
  /** Told of each mail before its sender gets the 250. Returns the way to stop it. */
  onMail(listener: (mail: Mail) => void): () => void;
  stop(): Promise<void>;
}

export interface MailboxOptions {
  /** Default 0: whichever is free. */
  port?: number;
  /** Where the mails survive a restart; in memory only when missing. */
  dataDir?: string;
}

/** Starts an SMTP server on loopback which takes every mail and keeps the newest 500. Nothing leaves this machine. */
export async function startMailbox({ port = 0, dataDir }: MailboxOptions = {}): Promise<Mailbox> {
  const store = openStore(dataDir);
  const listeners = new Set<(mail: Mail) => void>();
  const manners = openManners();
  const take = async (stream: SMTPServerDataStream, session: SMTPServerSession) => {
    const mail = await receive(stream, session);
    await manners.linger(session.envelope.rcptTo.map(({ address }) => address));
    store.add(mail);
    for (const listener of listeners) listener(mail);
  };
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['AUTH', 'STARTTLS'],
    disableReverseLookup: true,
    logger: false,
    size: LARGEST_MAIL_BYTES,
    ...manners.hooks,
    onData: callbackify(take),
  });
  // A sender that hangs up is not an accident of ours.
  server.on('error', () => {});
  const listener = server.listen(port, '127.0.0.1');
  await once(listener, 'listening');
  let stopping: Promise<void> | undefined;
  return {
    smtpUrl: `smtp://127.0.0.1:${(listener.address() as AddressInfo).port}`,
    list: ({ to } = {}) => store.newestFirst().filter((mail) => to === undefined || isFor(mail, to)),
    get: (id) => store.newestFirst().find((mail) => mail.id === id),
    clear: () => store.clear(),
    behave: (behaviour, slowMs) => manners.behave(behaviour, slowMs),
    onMail: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    stop: () => (stopping ??= closeServer(server)),
  };
}

function isFor(mail: Mail, address: string): boolean {
  return mail.to.toLowerCase().split(', ').includes(address.toLowerCase());
}

async function receive(stream: SMTPServerDataStream, session: SMTPServerSession): Promise<Mail> {
  const raw = await text(stream.setEncoding('latin1'));
  if (stream.sizeExceeded) throw Object.assign(new Error('Mail too large'), { responseCode: 552 });
  const parsed = await PostalMime.parse(Buffer.from(raw, 'latin1'));
  const sender = session.envelope.mailFrom;
  return {
    id: randomUUID(),
    to: session.envelope.rcptTo.map(({ address }) => address).join(', '),
    from: parsed.from?.address ?? (sender ? sender.address : ''),
    subject: parsed.subject ?? '',
    text: parsed.text ?? '',
    html: parsed.html ?? '',
    messageId: (parsed.messageId ?? '').replace(/^<|>$/g, ''),
    receivedAt: new Date().toISOString(),
  };
}

function closeServer(server: SMTPServer): Promise<void> {
  for (const connection of server.connections) connection.close();
  return new Promise((resolve) => server.close(() => resolve()));
}

interface MailStore {
  add(mail: Mail): void;
  newestFirst(): Mail[];
  clear(): void;
}

/** Mails in memory and, given a directory, as JSON lines in a file that is rewritten when it holds twice what is kept. */
function openStore(dataDir: string | undefined): MailStore {
  const file = dataDir === undefined ? undefined : join(dataDir, 'mailbox.jsonl');
  if (dataDir !== undefined) mkdirSync(dataDir, { recursive: true });
  let mails = file === undefined ? [] : readMails(file).slice(-KEPT);
  let lines = 0;
  const rewrite = () => {
    if (file === undefined) return;
    writeFileSync(`${file}.half`, mails.map((mail) => `${JSON.stringify(mail)}\n`).join(''), { mode: 0o600 });
    renameSync(`${file}.half`, file);
    lines = mails.length;
  };
  rewrite();
  return {
    add: (mail) => {
      mails = [...mails.slice(1 - KEPT), mail];
      if (file === undefined) return;
      appendFileSync(file, `${JSON.stringify(mail)}\n`);
      lines += 1;
      if (lines >= 2 * KEPT) rewrite();
    },
    newestFirst: () => mails.toReversed(),
    clear: () => {
      mails = [];
      rewrite();
    },
  };
}

function readMails(file: string): Mail[] {
  try {
    return readFileSync(file, 'utf8').split('\n').flatMap(parseLine);
  } catch {
    return [];
  }
}

/** A kill in the middle of an append leaves half a line: it is left out. */
function parseLine(line: string): Mail[] {
  try {
    return line === '' ? [] : [JSON.parse(line) as Mail];
  } catch {
    return [];
  }
}
