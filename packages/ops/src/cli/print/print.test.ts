import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { age, duration, moment, readDuration } from './ages.ts';
import { progressLine } from './progress.ts';
import { openTerminal } from './terminal.ts';

describe('an age', () => {
  it.each([
    [0, '0 s'],
    [179, '179 s'],
    [180, '3 min'],
    [3 * 3_600, '3 h'],
    [3 * 86_400, '3 d'],
    [-5, '0 s'],
    [null, '–'],
  ])('of %d seconds is %s', (seconds, text) => {
    expect(duration(seconds)).toBe(text);
  });

  it('is told from now', () => {
    expect(age('2026-01-02T14:30:00Z', new Date('2026-01-02T14:42:00Z'))).toBe('12 min');
    expect(moment('2026-01-02T14:30:00.123Z')).toBe('2026-01-02 14:30:00Z');
  });

  it('is read as people write it', () => {
    expect(['90s', '30m', '4h', '2d', '1 h', 'soon', '1.5h'].map(readDuration)).toEqual([
      90,
      1_800,
      14_400,
      172_800,
      3_600,
      undefined,
      undefined,
    ]);
  });
});

describe('the line of a redrive under way', () => {
  const half = { total: 200, ended: 100, failed: 3, state: 'running', rate: 24.6, etaS: 240 };

  it('shows how far it is, how fast, how long still', () => {
    const line = progressLine(half, 80);
    expect(line).toBe('[#############.............]  50 %  100/200  3 failed  25/s  4 min left  running');
    expect(line).toHaveLength(80);
  });

  it('gives up its bar where there is no room', () => {
    expect(progressLine(half, 50)).toBe(' 50 %  100/200  3 failed  25/s  4 min left  running');
  });
});

describe('a terminal', () => {
  const open = (tty: boolean, noColour = false) => {
    const stream = () => Object.assign(new PassThrough(), { isTTY: tty, columns: 60 });
    const streams = { stdin: stream(), stdout: stream(), stderr: stream() };
    return { terminal: openTerminal(streams, { noColour }), streams };
  };

  it('has colours where there is one to see them', () => {
    const { terminal, streams } = open(true);
    terminal.line('dead', 'red');
    expect(String(streams.stdout.read())).toBe('\u001b[31mdead\u001b[0m\n');
    expect(terminal.width).toBe(60);
  });

  it.each([
    ['NO_COLOR is set', true, true],
    ['it is a pipe', false, false],
  ])('has none where %s', (_, tty, noColour) => {
    const { terminal, streams } = open(tty, noColour);
    terminal.line('dead', 'red');
    expect(String(streams.stdout.read())).toBe('dead\n');
  });

  it('breaks a sentence at its width on a screen, and leaves it whole for a pipe', () => {
    const sentence = `error  Error: ${'the charge of a sale did not reach the ledger '.repeat(3).trim()}`;
    const shown = (isTTY: boolean) => {
      const stdout = Object.assign(new PassThrough(), { isTTY, columns: 60 });
      const streams = { stdin: new PassThrough(), stdout, stderr: new PassThrough() };
      openTerminal(streams, { noColour: true }).sentence(sentence, { indent: 7 });
      return String(stdout.read()).trimEnd().split('\n');
    };
    expect(shown(false)).toEqual([sentence]);
    expect(shown(true).every((line) => line.length <= 60)).toBe(true);
    expect(
      shown(true)
        .slice(1)
        .every((line) => /^ {7}\S/.test(line)),
    ).toBe(true);
    expect(
      shown(true)
        .map((line, at) => (at === 0 ? line : line.trim()))
        .join(' '),
    ).toBe(sentence);
  });

  it('rewrites a line on a screen only', () => {
    const screen = open(true);
    screen.terminal.status('half');
    expect(String(screen.streams.stdout.read())).toBe('\r\u001b[Khalf');
    const pipe = open(false);
    pipe.terminal.status('half');
    expect(pipe.streams.stdout.read()).toBeNull();
    expect(pipe.terminal.width).toBe(80);
  });

  it('takes yes for yes, and anything else for no', async () => {
    for (const [answer, taken] of [
      ['y', true],
      ['YES', true],
      ['', false],
      ['n', false],
    ] as const) {
      const { terminal, streams } = open(true);
      const asked = terminal.ask('Go on?');
      streams.stdin.write(`${answer}\n`);
      expect(await asked).toBe(taken);
    }
  });
});
