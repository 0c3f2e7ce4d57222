/** What a process of a benchmark says to the one that started it. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';

/** The next message of a process, or an error when it ends before it. */
export async function messageOf<Message>(child: ChildProcess, name: string): Promise<Message> {
  const settled = new AbortController();
  const ended = once(child, 'exit', settled).then(() => {
    throw new Error(`${name} of the benchmark has ended`);
  });
  try {
    const [message] = await Promise.race([once(child, 'message', settled), ended]);
    return message;
  } finally {
    ended.catch(() => {});
    settled.abort();
  }
}
