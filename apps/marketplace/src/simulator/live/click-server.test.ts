import { expect, it } from 'vitest';
import { openTransport } from '../../features/email/index.ts';
import { startClickServer } from './click-server.ts';

it('takes the mails of our sender, and tells of the tokens in those that ask for a click', async () => {
  const server = await startClickServer();
  const transport = openTransport(server.url);
  const token = 'aB3-_'.repeat(30);
  const clicked = new Promise<string[]>((resolve) => {
    server.onToken((...told) => resolve(told));
  });
  const send = (to: string, text: string) =>
    transport.send({
      from: 'us@example.com',
      to,
      messageId: `<${to}>`,
      subject: 'A mail',
      text,
      html: `<p>${text}</p>`,
    });
  expect(await send('buyer@example.com', 'a line\n.\n..and another')).toEqual({ smtpCode: 250 });
  expect(await send('person@example.com', `https://fmhl.example.com/confirm#token=${token}`)).toEqual({
    smtpCode: 250,
  });
  expect(await clicked).toEqual(['person@example.com', token]);
  expect(server.taken).toBe(2);
  transport.close();
  await server.stop();
});
