import { parsePhoneNumberFromString } from 'libphonenumber-js/min';

/** E.164, or undefined for what is no phone number. Without a country code it is read as one of the US. */
export function normalisePhone(phone: string): string | undefined {
  const parsed = parsePhoneNumberFromString(phone, 'US');
  return parsed?.isValid() && parsed.ext === undefined ? parsed.number : undefined;
}

/** Providers of mailboxes that live for minutes. A hint for the reviewer, so the well-known ones are enough. */
const disposableDomains = new Set([
  '10minutemail.com',
  '33mail.com',
  'anonbox.net',
  'burnermail.io',
  'discard.email',
  'dispostable.com',
  'emailondeck.com',
  'fakeinbox.com',
  'getairmail.com',
  'getnada.com',
  'guerrillamail.com',
  'guerrillamail.net',
  'inboxkitten.com',
  'mail-temp.com',
  'mailcatch.com',
  'maildrop.cc',
  'mailinator.com',
  'mailnesia.com',
  'mintemail.com',
  'moakt.com',
  'mohmal.com',
  'mytemp.email',
  'sharklasers.com',
  'spam4.me',
  'spamgourmet.com',
  'temp-mail.org',
  'tempail.com',
  'tempmail.dev',
  'tempr.email',
  'throwawaymail.com',
  'trashmail.com',
  'yopmail.com',
]);

export function isDisposable(emailNorm: string): boolean {
  return disposableDomains.has(emailNorm.slice(emailNorm.lastIndexOf('@') + 1));
}

/** An address for `inet`: without the zone of a link-local one. */
export function storableIp(ip: string): string {
  return ip.replace(/%.*$/, '');
}
