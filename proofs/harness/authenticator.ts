import { setTimeout as sleep } from 'node:timers/promises';
import { stepMs, totpCode } from '../../apps/marketplace/src/features/second-factor/totp.ts';

/** An authenticator app with one account in it. Codes work once, so it shows none twice. */
export interface Authenticator {
  /** Base32; undefined until an account is enrolled. */
  secret: string | undefined;
  /** A code that works now; waits where two were taken within half a minute. */
  nextCode(): Promise<string>;
}

/** Without a secret, its first sign-in enrols one. */
export function openAuthenticator(secret?: string): Authenticator {
  let lastStep = 0;
  const app: Authenticator = {
    secret,
    async nextCode() {
      if (app.secret === undefined) throw new Error('no second factor was enrolled');
      const step = Math.max(Math.floor(Date.now() / stepMs), lastStep + 1);
      // The code of the next step counts already.
      await sleep(Math.max(0, (step - 1) * stepMs - Date.now()));
      lastStep = step;
      return totpCode(app.secret, new Date(step * stepMs));
    },
  };
  return app;
}
