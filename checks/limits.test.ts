import { dirname } from 'node:path';
import { describe, expect, it } from 'vitest';
import { findLimitFaults } from './limits.ts';

const root = dirname(import.meta.dirname);

const faultsOf = (name: string): string[] =>
  findLimitFaults(`${root}/checks/fixtures/${name}`).map(({ file, line, rule }) => `${rule} ${file}:${line}`);

describe('the limits', () => {
  it('refuse the environment outside of config.ts', () => {
    expect(faultsOf('environment')).toEqual([
      'environment apps/marketplace/src/features/leads/submit.ts:1',
      'environment packages/ops/src/logging/index.ts:1',
    ]);
  });

  it('refuse queues and what they keep outside of the queues slice', () => {
    const found = faultsOf('stray-queue');
    expect(found).toEqual(Array(3).fill('queues apps/marketplace/src/features/leads/jobs.ts:3'));
  });

  it('refuse drawers, as files and as folders', () => {
    expect(faultsOf('drawer')).toEqual([
      'drawer apps/marketplace/src/features/leads/common/names.ts:1',
      'drawer packages/ops/src/queues/utils.ts:1',
    ]);
  });

  it('refuse a role of 60 lines', () => {
    expect(faultsOf('long-role')).toEqual(['role apps/marketplace/src/roles/worker.ts:1']);
  });

  it('pass a tree that keeps them', () => {
    expect(faultsOf('clean')).toEqual([]);
  });

  it('are kept by this repository', () => {
    expect(findLimitFaults(root)).toEqual([]);
  });
});
