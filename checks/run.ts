/** `node checks/run.ts`: prints every broken boundary and limit of the tree, a line each. */
import { dirname } from 'node:path';
import { findImportFaults } from './imports.ts';
import { findLimitFaults } from './limits.ts';

const root = dirname(import.meta.dirname);
const faults = [...findImportFaults(root), ...findLimitFaults(root)];
for (const { file, line, rule, message } of faults) console.log(`${file}:${line} ${rule}: ${message}`);
process.exitCode = faults.length === 0 ? 0 : 1;
