// A file to the server by a resumable upload: in pieces, so that it goes on after a break, with progress.
import { ApiError, call, pause } from './api.js';
import { token } from './session.js';

const PIECE = 8 * 1024 * 1024;
const TRIES = 6;

// Into a bucket. `tell(share)` is called with 0 … 1. Resolves to the object as the server describes it.
export const upload = (bucket, name, file, tell) =>
  send(`/upload/storage/v1/b/${encodeURIComponent(bucket)}/o`, {
    query: { uploadType: 'resumable', name }, body: { contentType: file.type || 'application/octet-stream' }, file, tell,
  });

// `path`: where an upload begins, asked with `query` and `body`. Resolves to what the server answers at the end.
export async function send(path, { query, body, file, tell = () => {} }) {
  const started = await call('POST', path, {
    query, body, raw: true,
    headers: { 'X-Upload-Content-Length': String(file.size), 'X-Upload-Content-Type': file.type || 'application/octet-stream' },
  });
  const session = new URL(started.headers.get('Location'), location.href);
  const where = session.pathname + session.search;
  let sent = 0;
  let failures = 0;
  for (;;) {
    const end = Math.min(sent + PIECE, file.size);
    // After a break the server is asked how much has come before anything is sent again.
    const range = failures || file.size === 0 ? `bytes */${file.size}` : `bytes ${sent}-${end - 1}/${file.size}`;
    const answer = await put(where, failures ? null : file.slice(sent, end), range);
    if (answer === null) {
      failures += 1;
      if (failures > TRIES) throw new ApiError(0, { error: { message: `${file.name}: the server does not answer.` } });
      await pause(500 * 2 ** failures);
      continue;
    }
    failures = 0;
    if (answer.status === 308) {
      const got = answer.headers.get('Range')?.match(/-(\d+)$/);
      sent = got ? Number(got[1]) + 1 : 0;
      tell(file.size ? sent / file.size : 1);
      continue;
    }
    const said = await answer.json().catch(() => ({}));
    if (!answer.ok) throw new ApiError(answer.status, said);
    tell(1);
    return said;
  }
}

async function put(where, body, range) {
  const headers = { 'Content-Range': range };
  if (token()) headers.Authorization = `Bearer ${token()}`;
  try {
    const answer = await fetch(where, { method: 'PUT', headers, body });
    return answer.status >= 500 ? null : answer;
  } catch {
    return null;
  }
}
