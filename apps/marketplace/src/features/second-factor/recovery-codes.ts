import type { Tx } from '@fmhl/ops';
import type { Keys } from '../../keys.ts';
import { readableCode } from '../../readable-code.ts';
import { markRecoveryCodeUsed, replaceRecoveryCodes, unusedRecoveryCodes } from './queries.ts';

const purpose = 'recovery-code';
const amount = 10;

/** A code of 15 characters, 74 bits. */
const createCode = (): string => readableCode(3);

/** As it was meant: without the hyphens and blanks of its writing, and in small letters. */
const plain = (code: string): string => code.toLowerCase().replaceAll(/[\s-]/g, '');

/** Makes ten codes in place of those there were. They are answered here and stored nowhere, only their signatures are. */
export async function makeRecoveryCodes(tx: Tx, userId: string, { keys }: { keys: Keys }): Promise<string[]> {
  const codes = Array.from({ length: amount }, createCode);
  const hashes = codes.map((code) => keys.sign(purpose, signedText(userId, code)));
  await replaceRecoveryCodes(tx, userId, hashes);
  return codes;
}

/** Whether the code is one of the user's. Each works once, also when it is shown twice at the same time. */
export async function useRecoveryCode(
  tx: Tx,
  { userId, code, now }: { userId: string; code: string; now: Date },
  { keys }: { keys: Keys },
): Promise<boolean> {
  const text = signedText(userId, code);
  const hashes = await unusedRecoveryCodes(tx, userId);
  const codeHash = hashes.find((hash) => keys.isSigned(purpose, text, hash));
  return codeHash !== undefined && markRecoveryCodeUsed(tx, { userId, codeHash, now });
}

const signedText = (userId: string, code: string): string => `${userId}:${plain(code)}`;
