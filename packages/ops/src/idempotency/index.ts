export { type Answer, canonical, once, onceInSteps, type OnceScope } from './once.ts';
