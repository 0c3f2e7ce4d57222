import { randomInt } from 'node:crypto';

/** Letters and digits that no one mistakes for another when typing them over. */
const readable = 'abcdefghjkmnpqrstuvwxyz23456789';

/** A random text that is easy to type over: groups of five, 24 bits each, such as `k3m8p-…`. */
export function readableCode(groups: number): string {
  const group = () => Array.from({ length: 5 }, () => readable[randomInt(readable.length)]).join('');
  return Array.from({ length: groups }, group).join('-');
}
