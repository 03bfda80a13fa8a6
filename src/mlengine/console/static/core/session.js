// Who is asking: an access token kept for this tab only, or nobody on a server that wants none.
// The token travels in a header that no other site can set, so a forged click has no rights.

const KEPT = 'mlengine.session';
let session = read();
const listeners = new Set();

function read() {
  try {
    const kept = JSON.parse(sessionStorage.getItem(KEPT) || 'null');
    return kept && kept.until > Date.now() ? kept : null;
  } catch {
    return null;
  }
}

function keep(value) {
  session = value;
  if (value) sessionStorage.setItem(KEPT, JSON.stringify(value));
  else sessionStorage.removeItem(KEPT);
  listeners.forEach((listen) => listen(value));
}

export const current = () => session;
export const token = () => (session && session.until > Date.now() ? session.token : '');
export const signOut = () => keep(null);
export function onChange(listen) {
  listeners.add(listen);
  return () => listeners.delete(listen);
}

// Sign in with the JSON key file of a service account: the key signs an assertion here and never leaves the browser.
export async function signInWithKey(text) {
  let key;
  try {
    key = JSON.parse(text);
  } catch {
    throw new Error('keyNotJson');
  }
  if (!key.private_key || !key.client_email) throw new Error('keyIncomplete');
  if (!globalThis.crypto?.subtle) throw new Error('keyNeedsHttps');
  const now = Math.floor(Date.now() / 1000);
  const audience = `${location.origin}/token`;
  const claims = {
    iss: key.client_email, aud: audience, iat: now, exp: now + 3600,
    scope: 'https://www.googleapis.com/auth/cloud-platform',
  };
  const head = { alg: 'RS256', typ: 'JWT', kid: key.private_key_id };
  const unsigned = `${coded(head)}.${coded(claims)}`;
  const pem = key.private_key.replace(/-----[^-]+-----|\s/g, '');
  const bytes = Uint8Array.from(atob(pem), (letter) => letter.charCodeAt(0));
  const how = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' };
  const signer = await crypto.subtle.importKey('pkcs8', bytes, how, false, ['sign']);
  const signature = await crypto.subtle.sign(how, signer, new TextEncoder().encode(unsigned));
  const form = new URLSearchParams({
    grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
    assertion: `${unsigned}.${base64url(new Uint8Array(signature))}`,
  });
  const answer = await fetch('/token', { method: 'POST', body: form });
  const said = await answer.json();
  if (!answer.ok) throw new Error(said.error_description || said.error || String(answer.status));
  keep({
    token: said.access_token, until: Date.now() + 1000 * said.expires_in,
    email: key.client_email, project: key.project_id || '',
  });
}

// Sign in with an access token, as `mlengine auth print-access-token` prints it.
export async function signInWithToken(text) {
  const given = text.trim();
  const answer = await fetch('/oauth2/v3/tokeninfo?access_token=' + encodeURIComponent(given));
  const said = await answer.json();
  if (!answer.ok) throw new Error(said.error_description || said.error || String(answer.status));
  keep({ token: given, until: Date.now() + 1000 * Number(said.expires_in || 3600), email: said.email || '', project: '' });
}

const coded = (value) => base64url(new TextEncoder().encode(JSON.stringify(value)));
function base64url(bytes) {
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}
