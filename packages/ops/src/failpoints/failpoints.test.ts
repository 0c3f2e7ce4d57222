import { describe, expect, it } from 'vitest';
import { armFailpoint } from './failpoints.ts';

describe('a failpoint', () => {
  it('does nothing unless it is armed', () => {
    expect(armFailpoint(undefined)('worker.before_commit')).toBeUndefined();
    expect(armFailpoint('')('worker.before_commit')).toBeUndefined();
  });

  it('acts at its own name, and tells so', async () => {
    const hits: string[] = [];
    const pass = armFailpoint('worker.before_commit:throw', (name) => hits.push(name));
    expect(pass('worker.after_commit')).toBeUndefined();
    await expect(pass('worker.before_commit')).rejects.toThrow('failpoint');
    expect(hits).toEqual(['worker.before_commit']);
  });

  it('acts at its n-th hit alone', async () => {
    const pass = armFailpoint('dispatch.before_add:throw@2');
    expect(pass('dispatch.before_add')).toBeUndefined();
    await expect(pass('dispatch.before_add')).rejects.toThrow('failpoint');
    expect(pass('dispatch.before_add')).toBeUndefined();
  });

  it('counts the hits of its own queue alone', async () => {
    const pass = armFailpoint('worker.before_commit[distribute_lead]:throw@2');
    expect(pass('worker.before_commit', 'distribute_lead')).toBeUndefined();
    expect(pass('worker.before_commit', 'email_send')).toBeUndefined();
    await expect(pass('worker.before_commit', 'distribute_lead')).rejects.toThrow('failpoint');
  });

  it.each(['worker:kill', 'worker.before_commit', 'worker.before_commit:explode', 'worker.before_commit[]:kill'])(
    'refuses %s and lists the names',
    (spec) => {
      expect(() => armFailpoint(spec)).toThrow(/is not a failpoint.*worker\.before_commit/);
    },
  );
});
