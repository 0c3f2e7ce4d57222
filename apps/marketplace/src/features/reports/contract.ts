export * from './export-contract.ts';
export * from './report-contract.ts';
