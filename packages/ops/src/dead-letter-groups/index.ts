export { addNote, assign, linkTicket, readNotes } from './annotate.ts';
export {
  annotations,
  assigneeBody,
  deadLetterGroupDetail,
  deadLetterGroups,
  deadLetterNote,
  deadLetterNotes,
  fixedInBody,
  groupSorts,
  noteBody,
  reclassification,
  reclassifyBody,
  snoozeBody,
  ticketBody,
  wakeBody,
} from './contract.ts';
export { markFixed } from './fixed-in.ts';
export { listGroups } from './list-groups.ts';
export { beginReclassification, previewReclassification } from './reclassify.ts';
export { resolveFingerprint, showGroup } from './show-group.ts';
export { snooze, wake } from './snooze.ts';
export type { Subject } from './subject.ts';
export { openSnoozeWaker, wakeOnce } from './waker.ts';
