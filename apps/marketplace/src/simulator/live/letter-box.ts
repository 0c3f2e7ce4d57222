import type { Mail } from '../../embedded/index.ts';

/** What people do with the mails they get: wait for one, and click on its link. */
export interface LetterBox {
  readonly take: (mail: Mail) => void;
  /** The token in the link of the next mail to this address, one that came already included. */
  tokenFor(address: string, withinMs?: number): Promise<string>;
}

export function openLetterBox(): LetterBox {
  const came = new Map<string, string>();
  const waiting = new Map<string, Set<(token: string) => void>>();
  return {
    take(mail) {
      const token = linkTokenOf(mail);
      if (token === undefined) return;
      const [first] = waiting.get(mail.to) ?? [];
      if (first) return first(token);
      came.set(mail.to, token);
      // Those who never click would fill the memory.
      if (came.size > mostUnread) came.delete(came.keys().next().value ?? '');
    },
    async tokenFor(address, withinMs = 30_000) {
      const token = came.get(address);
      came.delete(address);
      if (token !== undefined) return token;
      const { promise, resolve, reject } = Promise.withResolvers<string>();
      const late = setTimeout(() => reject(new Error(`no mail with a link came within ${withinMs} ms`)), withinMs);
      // Nobody who waits for a mail keeps a process from its end.
      late.unref();
      const listeners = waiting.get(address) ?? new Set();
      waiting.set(address, listeners.add(resolve));
      return promise.finally(() => {
        clearTimeout(late);
        listeners.delete(resolve);
        if (listeners.size === 0) waiting.delete(address);
      });
    },
  };
}

const mostUnread = 10_000;

/** Of the link of a lead's confirmation, which every consumer gets first. */
export function linkTokenOf({ text }: Mail): string | undefined {
  return /\/confirm#token=([\w-]+)/.exec(text)?.[1];
}
