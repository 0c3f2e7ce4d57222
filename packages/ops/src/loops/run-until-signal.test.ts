import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { createLogger } from '../logging/index.ts';
import { type Runnable, runUntilSignal, startAll } from './index.ts';

const log = createLogger({
  level: 'error',
  format: 'json',
  service: 'test',
  version: 'test',
  instance: 'test',
  bootId: 'test-boot',
  destination: { write() {} },
});

const part = (name: string, story: string[], start: () => Promise<void> = async () => {}): Runnable => ({
  name,
  start: async () => {
    await start();
    story.push(`start ${name}`);
  },
  stop: async () => void story.push(`stop ${name}`),
});

describe('a process that runs until a signal', () => {
  it('stops its parts in the reverse order of their start', async () => {
    const story: string[] = [];
    const running = runUntilSignal([part('a', story), part('b', story)], { log });
    await turn();
    process.emit('SIGTERM');
    await running;
    expect(story).toEqual(['start a', 'start b', 'stop b', 'stop a']);
  });

  it('starts nothing more once it is told to stop, and stops a part whose start never ends', async () => {
    const story: string[] = [];
    const stuck = part('b', story, () => new Promise(() => {}));
    const running = runUntilSignal([part('a', story), stuck, part('c', story)], { log });
    await turn();
    process.emit('SIGINT');
    await running;
    expect(story).toEqual(['start a', 'stop b', 'stop a']);
  });

  it('lets a part finish its start before it is stopped', async () => {
    const story: string[] = [];
    const slow = Promise.withResolvers<void>();
    const running = runUntilSignal([part('a', story, () => slow.promise), part('b', story)], { log });
    await turn();
    process.emit('SIGTERM');
    await turn();
    slow.resolve();
    await running;
    expect(story).toEqual(['start a', 'stop a']);
  });

  it('throws what a start threw, after stopping what had started', async () => {
    const story: string[] = [];
    const broken = part('b', story, () => Promise.reject(new Error('no port')));
    await expect(runUntilSignal([part('a', story), broken], { log })).rejects.toThrow('no port');
    await expect(startAll([part('c', story), broken])).rejects.toThrow('no port');
    expect(story).toEqual(['start a', 'stop a', 'start c', 'stop c']);
  });
});
