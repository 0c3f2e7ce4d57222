import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import type { Command } from 'commander';
import { ConfigError, readProcessConfig } from '../config.ts';
import { loginResponse } from '../features/auth/index.ts';
import { saveToken } from './saved-token.ts';

export function loginCommand(program: Command): void {
  program
    .command('login')
    .description('sign in at FMHL_URL; the operations commands then act as you')
    .action(async () => {
      const { operationsUrl: url } = readProcessConfig({}, { require: ['operationsUrl'] });
      if (url === undefined) return;
      const { token, expires_at, user } = await signIn(url, await askCredentials());
      const path = saveToken({ url, token });
      console.error(`Signed in as ${user.display_name} until ${expires_at}; the token is in ${path}.`);
    });
}

async function signIn(url: string, credentials: { email: string; password: string }) {
  const response = await fetch(`${url}/api/v1/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(credentials),
    redirect: 'error',
  }).catch((error: unknown) => {
    throw new ConfigError([`FMHL_URL: ${url} cannot be reached (${reasonOf(error)})`]);
  });
  if (response.status === 401) throw new ConfigError(['e-mail or password is wrong']);
  if (!response.ok) throw new ConfigError([`FMHL_URL: ${url} answered ${response.status}`]);
  return loginResponse.parse(await response.json());
}

function reasonOf(error: unknown): string {
  const { cause, message } = error as { cause?: { code?: string }; message: string };
  return cause?.code ?? message;
}

/** Asks two questions on one terminal or pipe; the second answer is not echoed. */
async function askCredentials(): Promise<{ email: string; password: string }> {
  const isTerminal = process.stdin.isTTY === true;
  let isHidden = false;
  const output = new Writable({
    write: (chunk, _encoding, done) => {
      if (!isHidden) process.stderr.write(chunk);
      done();
    },
  });
  const lines = createInterface({ input: process.stdin, output, terminal: isTerminal });
  const answers = lines[Symbol.asyncIterator]();
  const ask = async (question: string): Promise<string> => {
    if (isTerminal) process.stderr.write(question);
    const { value, done } = await answers.next();
    if (done || value === undefined) throw new ConfigError(['there was no answer']);
    return value;
  };
  try {
    const email = await ask('E-mail: ');
    isHidden = true;
    const password = await ask('Password: ');
    if (isTerminal) process.stderr.write('\n');
    return { email, password };
  } finally {
    lines.close();
  }
}
