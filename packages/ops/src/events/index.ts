export { appendEvents, type EventDraft, type EventKind, eventsInsert, eventsOf } from './append.ts';
