/** The few pages of our own: whole in themselves, without a script, and framed by nobody. Pure. */
import { createHash } from 'node:crypto';

const style = `
:root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}
body{margin:0;min-height:100vh;display:grid;place-items:center;background:Canvas;color:CanvasText}
main{width:min(22rem,calc(100vw - 2rem));padding:1rem 0}
h1{font-size:1.4rem;font-weight:600;margin:0 0 1rem}
h2{font-size:1.1rem;font-weight:600;margin:2rem 0 0}
label{display:block;margin:.75rem 0 .25rem}
input,textarea{box-sizing:border-box;width:100%;padding:.55rem .6rem;font:inherit;border:1px solid GrayText;border-radius:.4rem}
button{margin-top:1.25rem;width:100%;padding:.6rem;font:inherit;font-weight:600;border:0;border-radius:.4rem;background:#1a5fb4;color:#fff}
button:focus-visible,input:focus-visible{outline:3px solid #62a0ea;outline-offset:1px}
.wrong,.note{border-left:4px solid #c01c28;padding-left:.7rem}
.note{border-color:#e5a50a}
.more{margin-top:1.5rem;font-size:.9rem}
textarea{font-family:monospace}
.key{display:flex;gap:.6rem;align-items:baseline}
.key input{width:auto}
code{font-size:.75rem;overflow-wrap:anywhere}
progress{width:100%}
`;

/** Goes with every page of ours. */
export const pageHeaders: Readonly<Record<string, string>> = {
  'content-type': 'text/html; charset=utf-8',
  'cache-control': 'no-store',
  'content-security-policy': `default-src 'none'; style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'`,
  'x-frame-options': 'DENY',
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
};

function page(title: string, body: string, head = ''): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
${head}<title>${escapeHtml(title)}</title>
<style>${style}</style>
</head>
<body>
<main>
<h1>${escapeHtml(title)}</h1>
${body}
</main>
</body>
</html>
`;
}

export interface SignInPage {
  proof: string;
  next: string;
  user?: string;
  /** What was wrong with the last attempt. */
  wrong?: string;
  /** Why they are here again. */
  note?: string;
}

export function signInPage({ proof, next, user = '', wrong, note }: SignInPage): string {
  const [forUser, forPassword] = user === '' ? [' autofocus', ''] : ['', ' autofocus'];
  // Other ways to sign in get forms of their own beneath this one.
  return page(
    'Sign in',
    `${line('note', note)}${line('wrong', wrong)}<form method="post" action="/poolhouse/signin">
<input type="hidden" name="proof" value="${escapeHtml(proof)}">
<input type="hidden" name="next" value="${escapeHtml(next)}">
<label for="user">Name</label>
<input id="user" name="user" value="${escapeHtml(user)}" autocomplete="username" autocapitalize="none" spellcheck="false" maxlength="64" required${forUser}>
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required${forPassword}>
<button>Sign in</button>
</form>
<p class="more"><a href="/poolhouse/account">Change your password or keys</a></p>`,
  );
}

/** Asks again by itself, for what was asked for. */
export function waitingPage(words: string): string {
  return page(
    'Your machine is being prepared',
    `<p role="status">${escapeHtml(words)}</p>\n<progress></progress>\n<p>This page goes on by itself.</p>`,
    '<meta http-equiv="refresh" content="2">\n',
  );
}

export function messagePage(title: string, words: string): string {
  return page(title, `<p>${escapeHtml(words)}</p>\n<p><a href="/">Go to the start</a></p>`);
}

export interface AccountPage {
  proof: string;
  user: string;
  keys: readonly { type: string; fingerprint: string; comment: string }[];
  /** What was done. */
  note?: string;
  /** What was wrong. */
  wrong?: string;
}

/** Each form takes the password: see `account-page.ts`. */
export function accountPage({ proof, user, keys, note, wrong }: AccountPage): string {
  const form = (what: string, fields: string, button: string) => `<form method="post" action="/poolhouse/account">
<input type="hidden" name="proof" value="${escapeHtml(proof)}">
<input type="hidden" name="do" value="${what}">
<input type="hidden" name="user" value="${escapeHtml(user)}" autocomplete="username">
${fields}
<button>${button}</button>
</form>`;
  const secret = (id: string, name: string, label: string, hint: string) =>
    `<label for="${id}">${label}</label>
<input id="${id}" name="${name}" type="password" autocomplete="${hint}" required>`;
  const now = (id: string) => secret(id, 'password', 'Your password until now', 'current-password');
  const known = keys.map(
    ({ type, fingerprint, comment }) =>
      `<label class="key"><input type="radio" name="fingerprint" value="${escapeHtml(fingerprint)}" required> <span>${escapeHtml(`${comment} ${type}`.trim())}<br><code>${escapeHtml(fingerprint)}</code></span></label>`,
  );
  const removal =
    known.length === 0
      ? '<p>No public key lets you in yet.</p>'
      : form('remove', `${known.join('\n')}\n${now('for-removal')}`, 'Remove the key');
  const newOnes = `${secret('new', 'new', 'New password', 'new-password')}\n${secret('again', 'again', 'New password again', 'new-password')}`;
  return page(
    'Your account',
    `${line('note', note)}${line('wrong', wrong)}<p>You are signed in as ${escapeHtml(user)}. <a href="/">Go to your notebooks</a>, or <a href="/poolhouse/signout">sign out</a>.</p>
<h2>Password</h2>
${form('password', `${now('old')}\n${newOnes}`, 'Change the password')}
<h2>Keys for ssh</h2>
${removal}
${form('add', `<label for="keys">New public keys, one a line</label>\n<textarea id="keys" name="keys" rows="3" placeholder="ssh-ed25519 AAAA… me@laptop" spellcheck="false" required></textarea>\n${now('for-keys')}`, 'Add')}`,
  );
}

export function signOutPage(proof: string): string {
  return page(
    'Sign out',
    `<form method="post" action="/poolhouse/signout">
<input type="hidden" name="proof" value="${escapeHtml(proof)}">
<button>Sign out</button>
</form>`,
  );
}

function line(kind: 'note' | 'wrong', words?: string): string {
  return words === undefined ? '' : `<p class="${kind}" role="alert">${escapeHtml(words)}</p>\n`;
}

function escapeHtml(text: string): string {
  const names: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
  return text.replace(/[&<>"']/g, (character) => names[character] ?? '');
}
