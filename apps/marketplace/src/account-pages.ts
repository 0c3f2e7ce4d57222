import { linkPage } from './link-page.ts';

const unknown = 'We do not know this link. Please open it from the mail again.';

/** What the link opens that verifies the address of an account. */
export const verifyEmailPage = linkPage({
  title: 'Verify your e-mail address',
  text: 'One click says that this e-mail address is yours.',
  button: 'Yes, it is mine',
  postTo: '/api/v1/auth/verify-email',
  done: 'Thank you. Your address is verified.',
  told: { 400: unknown, 410: 'This link has expired. Sign in and ask for another one.' },
});

/** What the link opens by which a password is chosen. */
export const resetPasswordPage = linkPage({
  title: 'Choose a password',
  text: 'All sessions of your account end with the new password. A second factor stays as it is.',
  button: 'Set the password',
  postTo: '/api/v1/auth/reset-password',
  asksPassword: true,
  done: 'Thank you. Sign in with your new password.',
  told: { 400: unknown, 410: 'This link has expired or was used. Please ask for another one.' },
});
