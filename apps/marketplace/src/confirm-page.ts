import { linkPage } from './link-page.ts';

/** What the link in the confirmation mail opens. */
export const confirmPage = linkPage({
  title: 'Confirm your request',
  text: 'One click says that this e-mail address is yours. Nobody gets your request before that.',
  button: 'Yes, it is mine',
  postTo: '/api/v1/leads/confirm',
  done: 'Thank you. Your request is confirmed, and we will look at it.',
  told: {
    404: 'We do not know this link. Please open it from the mail again.',
    410: 'This link has expired. Please send your request again.',
  },
});
