export { type Cell, csvLine, csvText } from './csv.ts';
