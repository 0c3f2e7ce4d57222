import { randomUUID } from 'node:crypto';
import type { OutgoingMail } from './transport.ts';

/** A mail ready for the wire. */
export interface PlainMessage {
  readonly envelope: { readonly from: string; readonly to: string[] };
  /** Header and body, with the line ends of mail. */
  readonly raw: string;
}

/** Names without anything that a header would have to quote. */
const plainSender = /^(?:[A-Za-z0-9][A-Za-z0-9 ]* <([^\s<>@,;:"]+@[^\s<>@,;:"]+)>|([^\s<>@,;:"]+@[^\s<>@,;:"]+))$/;
const plainAddress = /^[^\s<>()[\]\\,;:"@]+@[^\s<>()[\]\\,;:"@]+$/;
const plainText = /^[\x20-\x7e\n]*$/;
/** Longest line of a mail, in characters without its end (RFC 5322). */
const longestLine = 998;

/**
 * A mail of plain ASCII as it is sent; undefined for any other, whose encoding is a library's affair. Nearly all are plain, and to write
 * one here takes a tenth of the millisecond it takes there.
 */
export function plainMessage({ from, to, messageId, subject, text, html }: OutgoingMail): PlainMessage | undefined {
  const sender = plainSender.exec(from);
  const address = sender?.[1] ?? sender?.[2];
  if (address === undefined || !plainAddress.test(to)) return undefined;
  const boundary = `=_${randomUUID()}`;
  const lines = [
    `From: ${from}`,
    `To: ${to}`,
    `Subject: ${subject}`,
    `Message-ID: ${messageId}`,
    `Date: ${new Date().toUTCString().replace('GMT', '+0000')}`,
    'Auto-Submitted: auto-generated',
    'MIME-Version: 1.0',
    `Content-Type: multipart/alternative; boundary="${boundary}"`,
    '',
    ...part(boundary, 'text/plain', text),
    ...part(boundary, 'text/html', html),
    `--${boundary}--`,
    '',
  ];
  if (subject.includes('\n') || lines.some((line) => line.length > longestLine)) return undefined;
  const raw = lines.join('\n');
  if (!plainText.test(raw)) return undefined;
  return { envelope: { from: address, to: [to] }, raw: raw.replaceAll('\n', '\r\n') };
}

function part(boundary: string, type: string, body: string): string[] {
  return [
    `--${boundary}`,
    `Content-Type: ${type}; charset=utf-8`,
    'Content-Transfer-Encoding: 7bit',
    '',
    ...body.split('\n'),
  ];
}
