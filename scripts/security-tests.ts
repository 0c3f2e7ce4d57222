/** One requirement of OWASP ASVS 4.0.3, in our words, and the tests that hold it: file and title. */
export interface SecurityTest {
  readonly requirement: string;
  readonly threat: string;
  readonly tests: readonly (readonly [file: string, title: string])[];
}

const app = 'apps/marketplace/src';
const auth = `${app}/features/auth`;
const accounts = `${app}/features/accounts`;
const ops = 'packages/ops/src';

const passwords: readonly SecurityTest[] = [
  {
    requirement: '2.1.7',
    threat: 'A common password is chosen',
    tests: [[`${auth}/password-rules.test.ts`, 'a chosen password']],
  },
  {
    requirement: '2.2.1',
    threat: 'Passwords are guessed, also from fifty addresses at once, or while attempts cannot be counted',
    tests: [
      [`${auth}/login-limits.db.test.ts`, 'takes no more when they come at once, from fifty addresses'],
      [`${auth}/login-limits.db.test.ts`, 'has fifty failures, over all accounts; others sign in meanwhile'],
      [`${auth}/login-limits.db.test.ts`, 'lets nobody in while attempts cannot be counted'],
    ],
  },
  {
    requirement: '2.2.3',
    threat: 'A factor is changed behind its owner’s back',
    tests: [[`${accounts}/passkeys.db.test.ts`, 'tells its owner by mail when it comes and goes']],
  },
  {
    requirement: '2.4.1',
    threat: 'The table of passwords is read; or a long password is cut before it is hashed',
    tests: [
      [`${auth}/passwords.test.ts`, 'are stored as argon2id with a salt of their own'],
      [`${auth}/passwords.test.ts`, 'of %i bytes differ from those that are one longer'],
    ],
  },
  {
    requirement: '2.5.6',
    threat: 'A link for a new password is reused, foreign, changed, or tells who has an account',
    tests: [
      [`${accounts}/mailed-links.db.test.ts`, 'is set by one of ten who show the same link at once'],
      [`${accounts}/mailed-token.test.ts`, 'is refused when any character of it is changed, lost or added'],
      [
        `${accounts}/mailed-links.db.test.ts`,
        'is answered the same, and as slowly, whether or not the address has an account',
      ],
    ],
  },
  {
    requirement: '2.6.1',
    threat: 'A recovery code is used twice',
    tests: [
      [`${auth}/second-factor.db.test.ts`, 'takes a recovery code in place of it, each once, however it is written'],
    ],
  },
  {
    requirement: '2.8.4',
    threat: 'A code is replayed, also by many requests at the same moment',
    tests: [[`${auth}/second-factor.db.test.ts`, 'takes a code once, also when it is shown many times at once']],
  },
  {
    requirement: '2.8.2, 7.1.1',
    threat: 'A session, an API token or a mailed link is read from a table, a job or the log',
    tests: [
      [`${accounts}/mailed-links.db.test.ts`, 'keeps tokens out of tables, jobs, events and the log'],
      [
        `${auth}/second-factor.db.test.ts`,
        'keeps neither secrets nor codes where a reader of the tables or of the log could use them',
      ],
    ],
  },
];

const sessions: readonly SecurityTest[] = [
  {
    requirement: '3.1.1',
    threat: 'A session token travels in a URL',
    tests: [[`${app}/planted-text.db.test.ts`, 'is not taken from a URL or a body']],
  },
  {
    requirement: '3.2.1',
    threat: 'Session fixation: a token is planted before the sign-in, or kept over the second factor',
    tests: [
      [`${app}/planted-text.db.test.ts`, 'does not become that of whoever signs in there'],
      [`${auth}/second-factor.db.test.ts`, 'gives a new token for the code; the one before it is worth nothing'],
    ],
  },
  {
    requirement: '3.3.1',
    threat: 'A token is replayed after logout, or after its user was disabled',
    tests: [
      [`${auth}/auth.db.test.ts`, 'ends on the server at logout, alone or with all others of the user'],
      [
        `${accounts}/users.db.test.ts`,
        'is out at once, with sessions, tokens and provider, and in again after a new sign-in',
      ],
    ],
  },
  {
    requirement: '3.3.2',
    threat: 'A session lives on unused',
    tests: [[`${auth}/auth.db.test.ts`, 'of a provider ends after 12 unused hours, of an admin after 1']],
  },
  {
    requirement: '3.3.3',
    threat: 'A thief’s session outlives the change of the password',
    tests: [
      [
        `${accounts}/mailed-links.db.test.ts`,
        'is chosen anew by the link: all sessions end, the owner is told, the old password and the link are dead',
      ],
    ],
  },
  {
    requirement: '3.3.4',
    threat: 'Nobody sees that there is another session',
    tests: [[`${accounts}/sessions-and-tokens.db.test.ts`, 'end at once, and not by another user']],
  },
  {
    requirement: '3.4.1–3.4.4',
    threat: 'The cookie is read by a script or sent along by another site',
    tests: [[`${auth}/session-cookie.test.ts`, 'is out of reach of scripts and of other sites']],
  },
  {
    requirement: '3.7.1',
    threat: 'A step-up in one session opens another; a stale second factor moves money',
    tests: [
      [`${auth}/second-factor.db.test.ts`, 'is shown again for what asks for a fresh one, in this session only'],
      [
        `${app}/access-matrix.db.test.ts`,
        'answers $name by permission and second factor alone, before it looks at ids and bodies',
      ],
      [`${accounts}/sessions-and-tokens.db.test.ts`, 'never counts as a fresh second factor, from its first moment on'],
    ],
  },
];

const access: readonly SecurityTest[] = [
  {
    requirement: '4.1.1',
    threat: 'A route is forgotten: it asks for less than it should, or for nothing',
    tests: [
      [`${app}/operation-table.test.ts`, 'asks of every caller what was approved, of no route anything else'],
      [`${app}/access-matrix.db.test.ts`, 'answers 401 to nobody, unless it is for everybody'],
    ],
  },
  {
    requirement: '4.1.2, 5.1.2',
    threat: 'Mass assignment: a request brings a role, a balance or a status along',
    tests: [
      [`${app}/unknown-fields.db.test.ts`, 'is refused wherever it is sent'],
      [`${app}/unknown-fields.db.test.ts`, 'changes neither role nor balance nor status beside fields that are known'],
    ],
  },
  {
    requirement: '4.1.3',
    threat: 'A role or a scope holds more than it needs; a process may do more in Postgres than its work',
    tests: [
      [`${app}/access.test.ts`, 'let viewers see the plane, and no lead'],
      [`${accounts}/sessions-and-tokens.db.test.ts`, 'takes no scope its user has not, and loses those the user loses'],
      [`${app}/database-roles.db.test.ts`, 'has the rights of the table and no others, on every table there is'],
    ],
  },
  {
    requirement: '4.2.1',
    threat: 'The id of another’s row is named (IDOR), in every route that takes one',
    tests: [
      [
        `${app}/own-rows.db.test.ts`,
        'gets for the id of another what an id of nobody gets: 404, and nothing of theirs changes',
      ],
      [`${app}/own-rows.db.test.ts`, 'reads nothing of another in any list'],
    ],
  },
  {
    requirement: '4.2.2, 13.2.3',
    threat: 'Another site makes a browser write, also as text/plain',
    tests: [
      [`${app}/hostile-requests.db.test.ts`, 'a write that another site makes a browser send'],
      [`${app}/hostile-requests.db.test.ts`, 'leaves the session as it was; from our own page it counts'],
      [`${auth}/auth.db.test.ts`, 'needs our own origin and our header; a write by Bearer needs neither'],
    ],
  },
  {
    requirement: '4.3.1',
    threat: 'The staff work with a password alone',
    tests: [
      [`${app}/operation-table.test.ts`, 'asks for a second factor wherever the staff work'],
      [`${auth}/second-factor.db.test.ts`, 'reach the routes of sign-in and no others until they have set one up'],
    ],
  },
];

const input: readonly SecurityTest[] = [
  {
    requirement: '5.1.1',
    threat: 'A parameter or a JSON key stands twice, and two readers choose differently',
    tests: [
      [`${app}/hostile-requests.db.test.ts`, 'with the query %s changes nothing and is refused'],
      [`${ops}/http/repeated-key.test.ts`, 'a key that stands twice in one object'],
    ],
  },
  {
    requirement: '5.1.3',
    threat: 'Header injection; requests of any shape bring the server down or make it tell of its insides',
    tests: [
      [`${app}/planted-text.db.test.ts`, 'begin no header of an answer'],
      [
        `${app}/fuzz.db.test.ts`,
        'answers … hostile requests without a fault of its own, in the one shape of errors; seed …',
      ],
    ],
  },
  {
    requirement: '5.2.6',
    threat: 'An address that somebody gave leads into our own network (SSRF)',
    tests: [
      [`${app}/outgoing.test.ts`, 'whose name has any internal address is refused, and so is one that has none'],
      [`${app}/outgoing.test.ts`, 'goes to the address that was judged, whatever the name says a moment later'],
    ],
  },
  {
    requirement: '5.3.1',
    threat: 'A cell of an export is run by a spreadsheet',
    tests: [[`${ops}/dead-letter-search/export.db.test.ts`, 'makes no cell a formula']],
  },
  {
    requirement: '5.3.3',
    threat: 'A script that is stored in a payload, an error or a name runs in a reader’s browser',
    tests: [
      [`${app}/planted-text.db.test.ts`, 'is answered as JSON that no browser takes for a page, and stands in no page'],
    ],
  },
];

const records: readonly SecurityTest[] = [
  {
    requirement: '7.1.2, 8.3.5',
    threat: 'Personal data or secrets reach the log, a metric, the audit log, an error or a role that may not see them',
    tests: [
      [`${ops}/http/canaries.db.test.ts`, 'are in no answer to a %s, whatever they read'],
      [`${ops}/http/canaries.db.test.ts`, 'are in no line of the log, no metric and no row of the audit log'],
      [
        `${app}/canaries.db.test.ts`,
        'are kept in the lead, its consent, its mail and the payload of the letter, and in no other column',
      ],
      [`${app}/canaries.db.test.ts`, 'are seen in clear by who may reveal them, says why, and is recorded for it'],
    ],
  },
  {
    requirement: '7.2.2',
    threat: 'Nobody sees who was refused',
    tests: [
      [
        `${ops}/http/audit.db.test.ts`,
        'of somebody who is known is kept, once a minute for each route, whatever they ask how often',
      ],
    ],
  },
  {
    requirement: '7.3.1',
    threat: 'Log injection: a caller writes lines of the log',
    tests: [[`${app}/planted-text.db.test.ts`, 'begin no line of the log']],
  },
  {
    requirement: '7.3.3',
    threat: 'The audit log is changed, cut, or put back with an older database',
    tests: [
      [`${ops}/audit/tampering.db.test.ts`, 'finds any change of any row'],
      [`${ops}/audit/tampering.db.test.ts`, 'names a cut tail, and tells it from an older database'],
      [`${ops}/audit/tampering.db.test.ts`, 'is named, as it is and after work went on in it'],
      [`${ops}/audit/link.db.test.ts`, 'keeps the chain dense under a hundred writers and four linkers'],
    ],
  },
  {
    requirement: '8.2.1',
    threat: 'An answer stays in a cache',
    tests: [[`${app}/hostile-requests.db.test.ts`, 'keeps no answer of the API']],
  },
  {
    requirement: '8.3.2',
    threat: 'A person cannot have their data removed, or somebody else has it removed for them',
    tests: [
      [
        `${app}/erasure.db.test.ts`,
        'shows why a lead went where it went, until an erasure leaves nothing of the person in any table, but for the consent, which is kept as it was given',
      ],
      [`${app}/features/leads/care.db.test.ts`, 'is not good for another purpose, and no other token is good for it'],
    ],
  },
];

const service: readonly SecurityTest[] = [
  {
    requirement: '11.1.4',
    threat: 'Somebody asks more often than a person can, or says to come from elsewhere each time',
    tests: [
      [
        `${app}/request-limits/limits.db.test.ts`,
        'answers 429 with the code and the time to come back, and leaves others alone',
      ],
      [
        `${app}/request-limits/limits.db.test.ts`,
        'cannot be escaped by a header, unless a proxy that is trusted sends it',
      ],
    ],
  },
  {
    requirement: '13.1.5, 13.2.5',
    threat: 'A body comes as another type than JSON',
    tests: [[`${app}/hostile-requests.db.test.ts`, 'of type %s is 415, whatever is in it']],
  },
  {
    requirement: '13.2.1, 14.5.1',
    threat: 'A method is overridden, or a read changes something',
    tests: [
      [
        `${app}/access-matrix.db.test.ts`,
        'cannot be reached by another method than its own, whatever a header or a parameter says',
      ],
      [`${app}/hostile-requests.db.test.ts`, 'of every route works on a database that nobody may write to'],
    ],
  },
  {
    requirement: '13.2.2',
    threat: 'A body holds what no schema describes, or a prototype',
    tests: [[`${app}/unknown-fields.db.test.ts`, 'reaches no prototype']],
  },
  {
    requirement: '14.4.3–14.4.7',
    threat: 'A page is framed, sniffed, or loads what is not ours',
    tests: [[`${app}/hostile-requests.db.test.ts`, 'what an answer tells a browser']],
  },
  {
    requirement: '14.5.3',
    threat: 'Another site reads our answers',
    tests: [
      [
        `${app}/hostile-requests.db.test.ts`,
        'with OPTIONS, TRACE or CONNECT finds nothing, and nobody else may read our answers',
      ],
    ],
  },
];

/** By chapter of the standard. */
export const securityTests: Readonly<Record<string, readonly SecurityTest[]>> = {
  Authentication: passwords,
  Sessions: sessions,
  Access: access,
  'Input and output': input,
  'Logs and personal data': records,
  'The service': service,
};
