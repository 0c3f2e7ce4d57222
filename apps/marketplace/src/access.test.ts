import { opsPermissions } from '@fmhl/ops';
import { describe, expect, it } from 'vitest';
import { marketplacePermissions, permissions, permissionsOf } from './access.ts';

const viewer = ['queue.read', 'dlq.read', 'schedule.read', 'trace.read', 'incident.read'];

describe('the roles', () => {
  it('let viewers see the plane, and no lead', () => {
    expect(permissionsOf.viewer).toEqual(viewer);
  });

  it('let responders recover failed work besides', () => {
    expect(permissionsOf.responder).toEqual([
      ...viewer,
      'dlq.retry',
      'dlq.resolve',
      'dlq.annotate',
      'queue.control',
      'schedule.run',
      'redrive.plan',
      'redrive.run',
      'incident.write',
    ]);
  });

  it('let finance move money, report, and read everything', () => {
    expect(permissionsOf.finance?.toSorted()).toEqual(
      [
        ...viewer,
        'audit.read',
        'lead.read',
        'money.read',
        'money.write',
        'provider.read',
        'report.export',
        'report.read',
      ].sort(),
    );
  });

  it('let providers use the portal, and nothing of the staff', () => {
    expect(permissionsOf.provider).toEqual(['portal.use']);
  });

  it('let admins do all but act as a provider', () => {
    const all = Object.keys(permissions).filter((permission) => permission !== 'portal.use');
    expect(permissionsOf.admin?.toSorted()).toEqual(all.sort());
  });

  it('are these five', () => {
    expect(Object.keys(permissionsOf).sort()).toEqual(['admin', 'finance', 'provider', 'responder', 'viewer']);
  });
});

describe('the permissions', () => {
  it('of the marketplace and of the plane have names of their own', () => {
    expect(Object.keys(marketplacePermissions).filter((permission) => permission in opsPermissions)).toEqual([]);
  });

  it('are explained in one sentence each', () => {
    expect(Object.values(permissions).filter((meaning) => !/^[A-Z].*\.$/.test(meaning))).toEqual([]);
  });
});
