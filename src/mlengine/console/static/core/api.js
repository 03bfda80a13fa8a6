// The public REST API, asked as any client asks it; errors keep the server's own words.
import { token, signOut } from './session.js';

export class ApiError extends Error {
  constructor(code, body, status = '') {
    const error = body?.error;
    super(typeof error === 'string' ? error : error?.message || body?.error_description || `HTTP ${code}`);
    this.code = code;
    this.status = error?.status || status;
    this.details = error?.details || [];
  }

  // What to do next, where the server says it.
  get hints() {
    return this.details.flatMap((detail) => [
      ...(detail.hint ? [detail.hint] : []),
      ...(detail.links || []).map((link) => link.description),
      ...(detail['@type']?.endsWith('LocalizedMessage') && detail.message ? [detail.message] : []),
    ]);
  }
}

function address(path, query) {
  const found = new URLSearchParams();
  for (const [name, value] of Object.entries(query || {}))
    if (value !== undefined && value !== null && value !== '')
      for (const one of Array.isArray(value) ? value : [value]) found.append(name, one);
  const text = found.toString();
  return text ? `${path}?${text}` : path;
}

// One request. `body`: an object (sent as JSON), or anything that fetch takes. Returns the parsed JSON; with
// `raw` the Response. Throws ApiError; with a network fault one whose status is UNREACHABLE.
export async function call(verb, path, { query, body, headers, signal, raw } = {}) {
  const sent = { ...headers };
  const bearer = token();
  if (bearer) sent.Authorization = `Bearer ${bearer}`;
  let content = body;
  if (body && (Array.isArray(body) || Object.getPrototypeOf(body) === Object.prototype)) {
    content = JSON.stringify(body);
    sent['Content-Type'] = 'application/json';
  }
  let answer;
  try {
    answer = await fetch(address(path, query), { method: verb, headers: sent, body: content, signal });
  } catch (fault) {
    if (fault.name === 'AbortError') throw fault;
    throw new ApiError(0, { error: { message: 'The server does not answer.' } }, 'UNREACHABLE');
  }
  if (raw && answer.ok) return answer;
  const text = await answer.text();
  let said = {};
  try {
    said = text ? JSON.parse(text) : {};
  } catch {
    said = answer.ok ? { text } : { error: { message: text.slice(0, 500) } };
  }
  if (answer.status === 401) signOut();
  if (!answer.ok) throw new ApiError(answer.status, said);
  return said;
}

export const get = (path, query, more) => call('GET', path, { query, ...more });
export const post = (path, body, more) => call('POST', path, { body, ...more });
export const patch = (path, body, more) => call('PATCH', path, { body, ...more });
export const remove = (path, more) => call('DELETE', path, more);

// Waits for an Operation of ml v1; resolves to its response, throws its error.
export async function operation(started, { signal, every = 500 } = {}) {
  let found = started;
  while (!found.done) {
    await pause(every, signal);
    found = await get(`/v1/${found.name}`, undefined, { signal });
  }
  if (found.error) throw new ApiError(found.error.code, { error: found.error });
  return found.response || {};
}

export function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener('abort', () => {
      clearTimeout(timer);
      reject(new DOMException('aborted', 'AbortError'));
    });
  });
}
