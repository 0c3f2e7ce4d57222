import { expect, it } from 'vitest';
import { openTransport } from '../../features/email/index.ts';
import { startClickServer } from './click-server.ts';

it('takes the mails of our sender, and tells of the tokens in those that ask for a click', async () => {
  const server = await startClickServer();
  const transport = openTransport(server.url);
  const token = '3DaB-_'.repeat(30);
  const clicked: string[][] = [];
  server.onToken((...told) => void clicked.push(told));
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
  expect(await send('zoe@example.com', `Zoë: https://fmhl.example.com/confirm#token=${token}`)).toEqual({
    smtpCode: 250,
  });
  expect(clicked).toEqual([
    ['person@example.com', token],
    ['zoe@example.com', token],
  ]);
  expect(server.taken).toBe(3);
  transport.close();
  await server.stop();
});
