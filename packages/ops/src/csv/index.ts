export { type Cell, type CsvOptions, csvLine, type Digits, isFormula } from './csv.ts';
