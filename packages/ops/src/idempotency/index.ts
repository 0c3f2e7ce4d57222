export { type Answer, canonical, once, type OnceScope } from './once.ts';
