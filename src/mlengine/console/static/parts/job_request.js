// Between the fields of the job form, the request that is sent, and the command line that does the same.
import { shell } from './basics.js';

// Words of a shell-like text: blanks and line breaks separate, quotes hold together, a backslash keeps a letter.
export function wordsOf(text) {
  const found = [];
  let word = null;
  let quote = '';
  for (let at = 0; at < text.length; at += 1) {
    const letter = text[at];
    if (quote) {
      if (letter === quote) quote = '';
      else if (letter === '\\' && quote === '"' && '"\\'.includes(text[at + 1])) word += text[(at += 1)];
      else word += letter;
    } else if (letter === '"' || letter === "'") {
      quote = letter;
      word ??= '';
    } else if (letter === '\\' && at + 1 < text.length) {
      at += 1;
      if (text[at] !== '\n') word = (word ?? '') + text[at];
    } else if (/\s/.test(letter)) {
      if (word !== null) found.push(word);
      word = null;
    } else word = (word ?? '') + letter;
  }
  if (word !== null) found.push(word);
  return found;
}

// The other way: a flag and its value on each line.
export function textOf(args) {
  const lines = [];
  for (const word of args) {
    const isValue = lines.length > 0 && !word.startsWith('-') && /^-\S*$/.test(lines.at(-1));
    if (isValue) lines[lines.length - 1] += ` ${shell(word) || "''"}`;
    else lines.push(shell(word) || "''");
  }
  return lines.join('\n');
}

const pairsOf = (text) => text.split(/[\n,]/).map((line) => line.trim()).filter(Boolean)
  .map((line) => [line.split('=')[0].trim(), line.includes('=') ? line.slice(line.indexOf('=') + 1).trim() : '']);

const SHOWN = ['pythonModule', 'packageUris', 'region', 'runtimeVersion', 'pythonVersion', 'jobDir', 'args', 'scaleTier',
  'masterType', 'workerType', 'workerCount', 'parameterServerType', 'parameterServerCount'];
const UNITS = { min: 60, h: 3600, d: 86400 };

export const EMPTY = {
  jobId: '', pythonModule: '', packages: '', region: 'us-central1', runtimeVersion: '', pythonVersion: '', jobDir: '', args: '',
  scaleTier: 'BASIC', masterType: '', workerType: '', workerCount: '', parameterServerType: '', parameterServerCount: '',
  labels: '', longest: '', unit: 'h', rest: {},
};

// The form of a job that was submitted before. What the form has no field for stays in `rest`.
export function formOf(job) {
  const input = job.trainingInput || {};
  const { scheduling: { maxRunningTime = '', ...scheduling } = {}, ...others } = input;
  const seconds = Number.parseFloat(maxRunningTime) || 0;
  const unit = seconds && seconds % 3600 === 0 ? 'h' : 'min';
  const rest = Object.fromEntries(Object.entries(others).filter(([name]) => !SHOWN.includes(name)));
  if (Object.keys(scheduling).length) rest.scheduling = scheduling;
  const taken = Object.fromEntries(SHOWN.filter((name) => name in EMPTY && name !== 'args').map((name) => [name, input[name] ?? EMPTY[name]]));
  return {
    ...EMPTY, ...taken, rest, unit,
    packages: (input.packageUris || []).join('\n'),
    args: textOf(input.args || []),
    labels: Object.entries(job.labels || {}).map(([key, value]) => `${key}=${value}`).join('\n'),
    longest: seconds ? String(seconds / UNITS[unit]) : '',
  };
}

// The body of projects.jobs.create; empty fields are left out.
export function requestOf(form) {
  const custom = form.scaleTier === 'CUSTOM';
  const input = {
    scaleTier: form.scaleTier,
    ...(custom && {
      masterType: form.masterType, workerType: form.workerType, workerCount: form.workerCount,
      parameterServerType: form.parameterServerType, parameterServerCount: form.parameterServerCount,
    }),
    packageUris: form.packages.split(/\s+/).filter(Boolean),
    pythonModule: form.pythonModule.trim(),
    args: wordsOf(form.args),
    region: form.region.trim(),
    jobDir: form.jobDir.trim(),
    runtimeVersion: form.runtimeVersion.trim(),
    pythonVersion: form.pythonVersion.trim(),
    ...form.rest,
  };
  if (Number(form.longest) > 0) input.scheduling = { ...form.rest.scheduling, maxRunningTime: `${Number(form.longest) * UNITS[form.unit]}s` };
  const labels = Object.fromEntries(pairsOf(form.labels));
  return { jobId: form.jobId.trim(), ...(Object.keys(labels).length && { labels }), trainingInput: filled(input) };
}

const filled = (values) => Object.fromEntries(Object.entries(values).filter(([, value]) =>
  value !== '' && value !== null && value !== undefined && !(Array.isArray(value) && !value.length)));

export function commandOf(request, project) {
  const input = request.trainingInput;
  // What has no flag goes into a file, which the command takes as well.
  const flagged = new Set(SHOWN);
  const others = Object.fromEntries(Object.entries(input).filter(([name]) => !flagged.has(name)));
  const config = Object.keys(others).length ? `echo ${shell(JSON.stringify({ trainingInput: others }))} > job.json && ` : '';
  const labels = Object.entries(request.labels || {}).map(([key, value]) => `${key}=${value}`).join(',');
  const flag = (name, value) => value !== undefined && value !== '' && [name, value];
  return config + shell('mlengine', 'jobs', 'submit', 'training', request.jobId || 'JOB',
    flag('--module-name', input.pythonModule), flag('--packages', input.packageUris?.join(',')),
    flag('--job-dir', input.jobDir), flag('--region', input.region),
    flag('--runtime-version', input.runtimeVersion), flag('--python-version', input.pythonVersion),
    input.scaleTier && input.scaleTier !== 'BASIC' && ['--scale-tier', input.scaleTier.toLowerCase().replaceAll('_', '-')],
    flag('--master-machine-type', input.masterType), flag('--worker-machine-type', input.workerType), flag('--worker-count', input.workerCount),
    flag('--parameter-server-machine-type', input.parameterServerType), flag('--parameter-server-count', input.parameterServerCount),
    flag('--labels', labels), config && ['--config', 'job.json'], '--project', project,
    input.args?.length > 0 && '--') + (input.args?.length ? ` ${input.args.map((word) => shell(word) || "''").join(' ')}` : '');
}
