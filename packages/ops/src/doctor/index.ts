export { type BreachRow, findBreaches, type Found, type Invariant, type InvariantText } from './invariant.ts';
