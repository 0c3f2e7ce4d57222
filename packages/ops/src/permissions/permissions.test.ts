import { describe, expect, it } from 'vitest';
import { opsPermissions, permissionPresets } from './index.ts';

const { viewer, responder, admin } = permissionPresets;

describe('the presets', () => {
  it('hold each other', () => {
    expect(responder).toEqual(expect.arrayContaining([...viewer]));
    expect(admin).toEqual(expect.arrayContaining([...responder]));
  });

  it('let a viewer change nothing', () => {
    expect(viewer.filter((permission) => !permission.endsWith('.read'))).toEqual([]);
  });

  it('keep from responders what shows personal values, loses work, or alters it', () => {
    expect(admin.filter((permission) => !(responder as readonly string[]).includes(permission)).sort()).toEqual([
      'audit.read',
      'dlq.discard',
      'dlq.edit',
      'dlq.export',
      'dlq.reveal',
      'job.control',
      'maintenance.write',
      'redrive.approve',
      'schedule.control',
    ]);
  });

  it('know each permission by one sentence', () => {
    expect(Object.values(opsPermissions).filter((meaning) => !/^[A-Z].*\.$/.test(meaning))).toEqual([]);
  });
});
