import type { Command } from 'commander';
import { readProcessConfig } from '../config.ts';
import { enrolResponse, loginResponse, sessionResponse, verifyResponse } from '../features/auth/index.ts';
import { type AuthClient, openAuthClient, WrongCode } from './auth-client.ts';
import { openQuestions, type Questions } from './questions.ts';
import { saveToken } from './saved-token.ts';

export function loginCommand(program: Command): void {
  program
    .command('login')
    .description(
      'sign in at FMHL_URL; the operations commands then act as you. Asks for e-mail, password and code, or reads them from a pipe, one a line; whoever of the staff has no second factor yet sets one up',
    )
    .action(async () => {
      const { operationsUrl: url } = readProcessConfig({}, { require: ['operationsUrl'] });
      if (url === undefined) return;
      const questions = openQuestions();
      try {
        const { token, expires_at, name } = await signIn(openAuthClient(url), questions);
        const path = saveToken({ url, token });
        questions.tell(`Signed in as ${name} until ${expires_at}; the token is in ${path}.\n`);
      } finally {
        questions.close();
      }
    });
}

interface SignedIn {
  readonly token: string;
  readonly expires_at: string;
}

async function signIn(auth: AuthClient, questions: Questions): Promise<SignedIn & { name: string }> {
  const email = await questions.ask('E-mail: ');
  const password = await questions.askSecretly('Password: ');
  const opened = await auth.post('/login', loginResponse, { body: { email, password } });
  const name = opened.user.display_name;
  if (opened.mfa_required) return { ...(await showFactor(auth, opened.token, questions)), name };
  if (opened.user.role === 'provider') return { ...opened, name };
  return { ...(await enrol(auth, opened.token, questions)), name };
}

function showFactor(auth: AuthClient, token: string, questions: Questions): Promise<SignedIn> {
  return untilRight(questions, 'Code of your authenticator app, or a recovery code: ', (answer) => {
    const body = isCode(answer) ? { code: answer } : { recovery_code: answer };
    return auth.post('/mfa/challenge', sessionResponse, { token, body });
  });
}

/** Staff do nothing without a second factor, so it is set up here and now. */
async function enrol(auth: AuthClient, token: string, questions: Questions): Promise<SignedIn> {
  const { secret, otpauth_url: link } = await auth.post('/mfa/enroll', enrolResponse, { token });
  questions.tell(
    `Your role needs a second factor. Add it to an authenticator app:\n  secret  ${secret}\n  link    ${link}\n`,
  );
  const verified = await untilRight(questions, 'Code that the app shows: ', (code) =>
    auth.post('/mfa/verify', verifyResponse, { token, body: { code } }),
  );
  const codes = verified.recovery_codes.map((code) => `  ${code}\n`).join('');
  questions.tell(`Recovery codes, shown this once. Each signs you in one time without the app:\n${codes}`);
  return verified;
}

const isCode = (answer: string): boolean => /^\d{6}$/.test(answer);

/** A person may mistype; a pipe that is wrong once has nothing better to say. */
async function untilRight<T>(questions: Questions, question: string, look: (answer: string) => Promise<T>): Promise<T> {
  for (;;) {
    const answer = (await questions.ask(question)).replaceAll(/\s/g, '');
    try {
      return await look(answer);
    } catch (error) {
      if (!(error instanceof WrongCode) || !questions.isTerminal) throw error;
      questions.tell(`${error.message}\n`);
    }
  }
}
