import type { Mail } from '../../embedded/index.ts';

/** What people do with the mails they get: wait for one, and click on its link. */
export interface LetterBox {
  readonly take: (mail: Mail) => void;
  /** The token in the link of the next mail to this address, one that came already included. */
  tokenFor(address: string, withinMs?: number): Promise<string>;
}

export function openLetterBox(): LetterBox {
  const tokens = new Map<string, string>();
  const waiting = new Map<string, (token: string) => void>();
  return {
    take(mail) {
      const token = linkTokenOf(mail);
      if (token === undefined) return;
      const listener = waiting.get(mail.to);
      if (listener) listener(token);
      else tokens.set(mail.to, token);
    },
    tokenFor(address, withinMs = 30_000) {
      const came = tokens.get(address);
      tokens.delete(address);
      if (came !== undefined) return Promise.resolve(came);
      return new Promise((resolve, reject) => {
        const late = setTimeout(() => {
          waiting.delete(address);
          reject(new Error(`no mail with a link came within ${withinMs} ms`));
        }, withinMs);
        waiting.set(address, (token) => {
          clearTimeout(late);
          waiting.delete(address);
          resolve(token);
        });
      });
    },
  };
}

/** Of the link of a lead's confirmation, which every consumer gets first. */
export function linkTokenOf({ text }: Mail): string | undefined {
  return /\/confirm#token=([\w-]+)/.exec(text)?.[1];
}
