import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { savedToken, saveToken } from './saved-token.ts';

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'fmhl-home-'));
});
afterEach(() => rmSync(home, { recursive: true }));

const here = { url: 'https://leads.example.com', token: 'a'.repeat(43) };

describe('the token of fmhl login', () => {
  it('is kept where only its owner reads it', () => {
    const path = saveToken(here, home);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(savedToken(here.url, home)).toBe(here.token);
    writeFileSync(path, 'something', { mode: 0o644 });
    expect(savedToken(here.url, home)).toBeUndefined();
    saveToken(here, home);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readFileSync(path, 'utf8')).toContain(here.token);
  });

  it('is sent to no other address', () => {
    expect(savedToken(here.url, home)).toBeUndefined();
    saveToken(here, home);
    expect(savedToken('https://leads.example.org', home)).toBeUndefined();
  });
});
