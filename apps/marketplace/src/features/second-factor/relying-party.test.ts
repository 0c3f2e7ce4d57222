import { expect, it } from 'vitest';
import { relyingPartyOf } from './index.ts';

it.each([
  ['https://leads.example.com', 'leads.example.com', 'https://leads.example.com'],
  ['https://leads.example.com:8443/app', 'leads.example.com', 'https://leads.example.com:8443'],
  ['http://localhost:3000', 'localhost', 'http://localhost:3000'],
  ['http://127.0.0.1:3000', 'localhost', 'http://localhost:3000'],
  ['http://[::1]:3000', 'localhost', 'http://localhost:3000'],
  ['https://127.0.0.1.example.com', '127.0.0.1.example.com', 'https://127.0.0.1.example.com'],
])('passkeys of %s are bound to %s', (publicUrl, id, origin) => {
  expect(relyingPartyOf(publicUrl)).toEqual({ id, origin });
});
