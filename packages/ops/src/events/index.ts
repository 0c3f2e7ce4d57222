export { appendEvents, type EventDraft, eventsInsert } from './append.ts';
