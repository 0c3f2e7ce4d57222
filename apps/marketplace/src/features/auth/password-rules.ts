import { normaliseEmail } from '../../email-address.ts';

/** Longest password in bytes that is looked at; longer ones are refused before any work. */
const mostBytes = 1024;
const fewest = 10;
const most = 128;

/** Passwords of 10 and more characters that head every list of stolen ones. */
const common = new Set(
  `1234567890 0123456789 9876543210 0987654321 1111111111 0000000000 12345678910 123456789a a123456789 1234567891
  123123123123 1q2w3e4r5t 1q2w3e4r5t6y qwertyuiop qwerty12345 qwerty123456 qwertyuiop123 asdfghjkl123 zxcvbnm123
  password12 password123 password1234 password12345 password123! passw0rd123 p@ssw0rd123 mypassword welcome123
  welcome1234 letmein123 iloveyou123 iloveyou12 sunshine123 princess123 football123 baseball123 superman123
  administrator admin12345 admin123456 administrator1 changeme123 changemenow default123 trustno1trustno1
  abcdefghij abcdefghijk abc123abc123 1qaz2wsx3edc 1qaz2wsx3edc4rfv qazwsxedcrfv q1w2e3r4t5 q1w2e3r4t5y6
  aaaaaaaaaa qqqqqqqqqq zzzzzzzzzz 1234512345 1122334455 12344321123 5555555555 7777777777 9999999999
  correcthorsebatterystaple hotleads123 findmeahotlead`.split(/\s+/),
);

/** Whether a password may be hashed at all, right or wrong. */
export function isHashable(password: string): boolean {
  return Buffer.byteLength(password) <= mostBytes && !password.includes('\u0000') && password.isWellFormed();
}

/** What is wrong with a password someone chooses, as a sentence, or undefined. Characters are code points. */
export function passwordFault(password: string, owner: { email: string; company?: string }): string | undefined {
  if (!isHashable(password)) return `must be at most ${mostBytes} bytes of text without NUL`;
  const characters = Array.from(password).length;
  if (characters < fewest || characters > most) return `must be ${fewest} to ${most} characters`;
  return isGuessable(password, owner)
    ? 'is too easy to guess: choose one that is not common and not your own name'
    : undefined;
}

function isGuessable(password: string, { email, company }: { email: string; company?: string }): boolean {
  const plain = password.trim().toLowerCase();
  const address = normaliseEmail(email);
  const own = [address, address.split('@')[0], company?.trim().toLowerCase()];
  return common.has(plain) || own.includes(plain) || new Set(plain).size === 1;
}
