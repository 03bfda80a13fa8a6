// Tables as BigQuery's REST names them: addresses, schemas, rows as values, and jobs to their end.
import { ApiError, get, post } from './api.js';
import { send } from './upload.js';

export const bigquery = (project, ...parts) => `/bigquery/v2/projects/${[project, ...parts].map(encodeURIComponent).join('/')}`;
export const reference = (project, dataset, table) => ({ projectId: project, datasetId: dataset, tableId: table });

export const TYPES = ['STRING', 'INTEGER', 'FLOAT', 'NUMERIC', 'BIGNUMERIC', 'BOOLEAN', 'TIMESTAMP', 'DATE', 'TIME', 'DATETIME', 'BYTES', 'JSON', 'INTERVAL', 'RECORD'];
export const MODES = ['NULLABLE', 'REQUIRED', 'REPEATED'];
export const FORMATS = ['CSV', 'NEWLINE_DELIMITED_JSON', 'PARQUET', 'AVRO', 'ORC'];
export const isNumber = (type) => ['INTEGER', 'FLOAT', 'NUMERIC', 'BIGNUMERIC'].includes(type);

// All pages of a list.
export async function all(path, kind, signal) {
  const found = [];
  let pageToken = '';
  do {
    const page = await get(path, { pageToken, maxResults: 1000 }, { signal });
    found.push(...(page[kind] || []));
    pageToken = page.nextPageToken || '';
  } while (pageToken);
  return found;
}

// {f: [{v}]} as values in the order of `fields`: text exactly as it was sent, null, lists, and lists of lists for RECORDs.
export const valuesOf = (fields, row) => fields.map((field, at) => valueOf(field, row.f[at].v));
function valueOf(field, value) {
  if (field.mode === 'REPEATED') return (value || []).map((one) => valueOf({ ...field, mode: '' }, one.v));
  if (value === null || value === undefined) return null;
  return field.type === 'RECORD' ? valuesOf(field.fields, value) : value;
}

// A value as JSON text. Numbers keep every digit: they are put in as they were sent.
export function jsonOf(field, value) {
  if (value === null) return 'null';
  if (field.mode === 'REPEATED') return `[${value.map((one) => jsonOf({ ...field, mode: '' }, one)).join(', ')}]`;
  if (field.type === 'RECORD') return `{${field.fields.map((one, at) => `${JSON.stringify(one.name)}: ${jsonOf(one, value[at])}`).join(', ')}}`;
  if (field.type === 'BOOLEAN' || field.type === 'JSON') return value;
  if (field.type === 'TIMESTAMP') return JSON.stringify(utc(value));
  const isFinite = /^-?[\d.]+([eE][-+]?\d+)?$/.test(value);
  return isNumber(field.type) && isFinite ? value.replace(/^(-?)\./, '$10.').replace(/\.$/, '') : JSON.stringify(value);
}

// A field of CSV (RFC 4180); null is an empty one, an empty text is quoted.
export function csvOf(field, value) {
  if (value === null) return '';
  const nested = field.mode === 'REPEATED' || field.type === 'RECORD';
  const text = nested ? jsonOf(field, value) : field.type === 'TIMESTAMP' ? utc(value) : value;
  return text === '' || /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

// Microseconds since 1970, as text, in UTC or (`local`) in the reader's zone. All six digits, or as many as there are.
export const utc = (micros) => `${written(micros, false)} UTC`;
export const local = (micros) => written(micros, true);
function written(micros, here) {
  const whole = BigInt(micros);
  const second = 1000000n;
  const rest = ((whole % second) + second) % second;
  const date = new Date(Number((whole - rest) / 1000n));
  const part = (name, digits = 2) => String(here ? date[`get${name}`]() : date[`getUTC${name}`]()).padStart(digits, '0');
  const month = String((here ? date.getMonth() : date.getUTCMonth()) + 1).padStart(2, '0');
  const fraction = rest ? `.${String(rest).padStart(6, '0').replace(/0+$/, '')}` : '';
  return `${part('FullYear', 4)}-${month}-${part('Date')} ${part('Hours')}:${part('Minutes')}:${part('Seconds')}${fraction}`;
}

// The end of a job that was begun; `tell(job)` on the way. Throws what it failed of, with all that it says.
export async function finished(project, job, { signal, tell } = {}) {
  let found = job;
  while (found.status.state !== 'DONE') {
    tell?.(found);
    const { jobId } = found.jobReference;
    // A question after results waits for the end; other jobs are asked again.
    if (found.configuration.jobType === 'QUERY') await get(bigquery(project, 'queries', jobId), { maxResults: 0, timeoutMs: 5000 }, { signal }).catch(unless(signal));
    else await new Promise((go) => setTimeout(go, 500));
    found = await get(bigquery(project, 'jobs', jobId), undefined, { signal });
  }
  return found;
}

// What a query failed of is told by its job; only a server that is away and a page that was left are passed on.
const unless = (signal) => (error) => {
  if (signal?.aborted || !error.code) throw error;
};

export const problem = (job) => job.status.errorResult && new ApiError(0, { error: { message: job.status.errorResult.message, status: job.status.errorResult.reason } });
// What a job says beside its failure: bad rows, or warnings of one that succeeded.
export const remarks = (job) => (job.status.errors || []).filter((one, at) => !(at === 0 && job.status.errorResult)).map((one) => one.message);

export const begin = (project, configuration) => post(bigquery(project, 'jobs'), { configuration });

// A load whose content is a file of this browser; it goes on after a break. Resolves to the job.
export const loadFile = (project, configuration, file, tell) =>
  send(`/upload${bigquery(project, 'jobs')}`, { query: { uploadType: 'resumable' }, body: { configuration }, file, tell });

// The place that an error names, as an index into the text: "… at [2:5]".
export function placeOf(text, message) {
  const found = message?.match(/at \[(\d+):(\d+)\]/);
  if (!found) return null;
  const [line, column] = [Number(found[1]), Number(found[2])];
  const lines = text.split('\n');
  if (line > lines.length) return null;
  return { line, column, at: lines.slice(0, line - 1).reduce((sum, one) => sum + one.length + 1, 0) + column - 1 };
}

// Names of the parameters that a query asks for, without what stands in texts and comments; '?' for each without a name.
export function parametersIn(text) {
  const bare = text.replace(/--[^\n]*|#[^\n]*|\/\*[\s\S]*?\*\/|'''[\s\S]*?'''|"""[\s\S]*?"""|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`[^`]*`/g, ' ');
  const named = [...bare.matchAll(/(?<!@)@([A-Za-z_]\w*)/g)].map((found) => found[1].toLowerCase());
  return named.length ? [...new Set(named)] : [...bare.matchAll(/\?/g)].map(() => '?');
}

// A column's type in SQL, and columns as the command line takes them: nested ones in a file.
const IN_SQL = { INTEGER: 'INT64', FLOAT: 'FLOAT64', BOOLEAN: 'BOOL' };
export function sqlType(field) {
  if (field.mode === 'REPEATED') return `ARRAY<${sqlType({ ...field, mode: '' })}>`;
  if (field.type === 'RECORD') return `STRUCT<${(field.fields || []).map((one) => `${one.name} ${sqlType(one)}`).join(', ')}>`;
  return IN_SQL[field.type] || field.type;
}
export const columnsText = (fields) => (fields.some((field) => field.type === 'RECORD')
  ? 'schema.json' : fields.map((field) => `${field.name}:${sqlType(field)}${field.mode === 'REQUIRED' ? ':REQUIRED' : ''}`).join(','));
// A format as the command line calls it.
export const formatWord = (format) => (format === 'NEWLINE_DELIMITED_JSON' ? 'json' : format.toLowerCase());

// A path in SQL; back quotes only where the language wants them.
export const path = (...names) => (names.every((name) => /^[A-Za-z_]\w*$/.test(name)) ? names.join('.') : `\`${names.join('.')}\``);
