export { type OpsPermission, opsPermissions, permissionPresets } from './contract.ts';
