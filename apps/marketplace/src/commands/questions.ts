import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { ConfigError } from '../config.ts';

/** Someone at a terminal, or a pipe with one answer a line. */
export interface Questions {
  readonly isTerminal: boolean;
  /** Throws when there is no answer left. */
  ask(question: string): Promise<string>;
  /** The same; the answer is not echoed. */
  askSecretly(question: string): Promise<string>;
  tell(text: string): void;
  close(): void;
}

/** Asks on standard input; questions and texts go to standard error. A pipe is asked nothing, it only answers. */
export function openQuestions(): Questions {
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
  const tell = (text: string) => void process.stderr.write(text);
  const ask = async (question: string): Promise<string> => {
    if (isTerminal) tell(question);
    const { value, done } = await answers.next();
    if (done || value === undefined) throw new ConfigError(['there was no answer']);
    return value;
  };
  return {
    isTerminal,
    ask,
    async askSecretly(question) {
      isHidden = true;
      const answer = await ask(question).finally(() => (isHidden = false));
      if (isTerminal) tell('\n');
      return answer;
    },
    tell,
    close: () => lines.close(),
  };
}
