// A form for a job: what it needs, what a check of it finds, and the request and command that come of it.
import { html, useEffect, useRef, useState } from '../core/base.js';
import { get, post } from '../core/api.js';
import { useAction, useLoad } from '../core/load.js';
import { go, url } from '../core/router.js';
import { upload } from '../core/upload.js';
import { translator, useLanguage } from '../core/words.js';
import { yaml } from '../core/yaml.js';
import { Command, Copy, Heading, Loading, Tabs, Trouble } from '../parts/basics.js';
import { EMPTY, commandOf, formOf, requestOf } from '../parts/job_request.js';
import { packed } from '../parts/trainer_package.js';
import words from '../words/job_new.js';

const t = translator(words);
const PAUSE = 400; // milliseconds without a key before the server is asked
const NEW = '\n'; // no bucket is called that

// Findings of a check belong to the field that they are about; their codes tell where the server does not.
const ABOUT = [
  [/^(duplicate-job|job-id)/, 'jobId'], [/^(module|no-module|missing-own|shadowed)/, 'pythonModule'],
  [/^(job-dir|missing-bucket)/, 'jobDir'], [/argument|backslash|dash|quote|variable|data-|local-path|empty-value|carriage/, 'args'],
  [/runtime/, 'runtimeVersion'], [/region/, 'region'], [/tier|machine|replica|accelerator/, 'scaleTier'],
  [/package|archive|wheel|require|python2|syntax|encoding|import|missing-name|gone/, 'packages'],
];
const fieldOf = (found) => {
  const told = found.field.replace(/^trainingInput\./, '');
  if (told.startsWith('packageUris')) return 'packages';
  if (told.startsWith('scheduling')) return 'longest';
  if (told.startsWith('labels')) return 'labels';
  if (told.startsWith('args')) return 'args';
  if (told in EMPTY) return told;
  return ABOUT.find(([code]) => code.test(found.code))?.[1] || '';
};

const proposed = () => {
  const now = new Date();
  const two = (value) => String(value).padStart(2, '0');
  return `job_${now.getFullYear()}${two(now.getMonth() + 1)}${two(now.getDate())}_${two(now.getHours())}${two(now.getMinutes())}${two(now.getSeconds())}`;
};
const following = (id) => (/_\d+$/.test(id) ? id.replace(/\d+$/, (digits) => String(Number(digits) + 1).padStart(digits.length, '0')) : `${id}_2`);

export default function NewJob({ project }) {
  useLanguage();
  const from = new URLSearchParams(location.search).get('from');
  const jobs = `/v1/projects/${encodeURIComponent(project)}/jobs`;
  const origin = useLoad((signal) => (from ? get(`${jobs}/${encodeURIComponent(from)}`, undefined, { signal }) : null), [from]);
  if (from && !origin.value) return html`<${Heading} title=${t('title')} path=${[[t('jobs'), url(project, 'jobs')]]} />
    ${origin.error ? html`<${Trouble} error=${origin.error} again=${origin.reload} />` : html`<${Loading} />`}`;
  const first = from ? copyOf(origin.value) : { ...EMPTY, jobId: proposed() };
  return html`<${Form} key=${from} project=${project} first=${first} from=${from} />`;
}

// Under the next id, and into a directory of its own where the first one was named after its job.
function copyOf(job) {
  const form = formOf(job);
  const jobId = following(job.jobId);
  return { ...form, jobId, jobDir: form.jobDir.replaceAll(job.jobId, jobId) };
}

function Form({ project, first, from }) {
  const [form, setForm] = useState(first);
  const [touched, setTouched] = useState(new Set(from ? Object.keys(EMPTY) : []));
  const change = (name, value) => {
    setForm((before) => ({ ...before, [name]: value }));
    setTouched((before) => new Set([...before, name]));
  };
  const propose = (name, value) => setForm((before) => ({ ...before, [name]: value }));
  const choices = useLoad((signal) => choicesOf(project, signal), [project]);
  const request = requestOf(form);
  const check = useCheck(project, request);
  const findings = check.value?.findings || [];
  // An id that is taken gives way to the free one that the server names, until somebody types one.
  const taken = findings.find((found) => found.code === 'duplicate-job');
  const free = taken?.hint.match(/'([^']+)'/)?.[1];
  useEffect(() => {
    if (free && form.jobId === first.jobId) setForm((before) => ({ ...before, jobId: free, jobDir: before.jobDir.replaceAll(before.jobId, free) }));
  }, [free]);
  const submit = useAction(() => post(`/v1/projects/${encodeURIComponent(project)}/jobs`, request));
  const send = async (event) => {
    event.preventDefault();
    setTouched(new Set(Object.keys(EMPTY)));
    const job = await submit.run();
    if (job) go(url(project, 'jobs', job.jobId));
  };
  const custom = form.scaleTier === 'CUSTOM';
  const found = choices.value || { runtimes: [], regions: [], tiers: [], types: [], buckets: [] };
  const field = { form, change, findings, touched };
  const kept = Object.keys(form.rest);
  return html`<${Heading} title=${from ? t('from', { job: from }) : t('title')} path=${[[t('jobs'), url(project, 'jobs')]]} />
    <${Trouble} error=${found.refused} again=${choices.reload} />
    <form class="job-form" onSubmit=${send}>
      <div>
        <${Field} ...${field} name="jobId" title=${t('jobId')} hint=${t('jobIdHint')} required=${true} />
        <fieldset><legend>${t('trainer')}</legend>
          <${Bucket} ...${field} propose=${propose} project=${project} buckets=${choices.value?.buckets} reload=${choices.reload} />
          <${Field} ...${field} name="packages" title=${t('package')} rows=${2} />
          <div class="fields"><${Field} ...${field} name="pythonModule" title=${t('module')} placeholder="trainer.task" /></div>
          <${Field} ...${field} name="args" title=${t('args')} rows=${4} placeholder=${'--train-files gs://…/train.csv\n--epochs 10'} />
        </fieldset>
        <fieldset><legend>${t('where')}</legend><div class="fields">
          <${Field} ...${field} name="jobDir" title=${t('jobDir')} hint=${t('jobDirHint')} placeholder="gs://…/…" wide=${true} />
          <${Field} ...${field} name="runtimeVersion" title=${t('runtime')} placeholder=${t('newest')} list=${found.runtimes} />
          <${Field} ...${field} name="pythonVersion" title=${t('python')} placeholder="3.11" />
          <${Field} ...${field} name="region" title=${t('region')} list=${found.regions} />
        </div></fieldset>
        <fieldset><legend>${t('machines')}</legend><div class="fields">
          <${Field} ...${field} name="scaleTier" title=${t('tier')} options=${[...found.tiers.map((tier) => [tier.name, tier.name]), ['CUSTOM', 'CUSTOM']]}
            hint=${custom ? t('customHere') : found.tiers.find((tier) => tier.name === form.scaleTier)?.here.join(' ')} wide=${true} />
          ${custom && [['masterType', 'masterType', ''], ['workerType', 'workerType', 'workerCount'], ['parameterServerType', 'psType', 'parameterServerCount']].map(([name, title, count]) => html`
            <${Field} key=${name} ...${field} name=${name} title=${t(title)} options=${[['', t('none')], ...found.types.map((type) => [type.name, type.available ? type.name : t('unavailable', { name: type.name })])]} />
            ${count && html`<${Field} key=${count} ...${field} name=${count} title=${t(count === 'workerCount' ? count : 'psCount')} type="number" />`}`)}
        </div></fieldset>
        <fieldset><legend>${t('more')}</legend><div class="fields">
          <${Field} ...${field} name="labels" title=${t('labels')} rows=${2} wide=${true} />
          <${Field} ...${field} name="longest" title=${t('longest')} type="number" step="any" />
          <${Field} ...${field} name="unit" title=${t('unit')} options=${['min', 'h', 'd'].map((unit) => [unit, t(unit)])} />
        </div></fieldset>
        ${kept.length > 0 && html`<p class="note">${t('cloned', { job: from, names: kept.join(', ') })}</p>`}
        <${Trouble} error=${submit.error} />
        <p><button class="main" disabled=${submit.busy}>${submit.busy ? t('submitting') : t('submit')}</button></p>
      </div>
      <aside aria-label=${t('preflight')}>
        <${Findings} check=${check} />
        <${Command} text=${commandOf(request, project)} />
        <${Preview} request=${request} />
      </aside>
    </form>`;
}

// What there is to choose from. Whoever may not see one of these lists types instead, and reads why.
async function choicesOf(project, signal) {
  const asked = await Promise.allSettled([
    get('/mlengine/v1/runtimes', undefined, { signal }),
    get(`/v1/projects/${encodeURIComponent(project)}/locations`, undefined, { signal }),
    get('/mlengine/v1/machineTypes', undefined, { signal }),
    get('/storage/v1/b', { project, maxResults: 1000 }, { signal }),
  ]);
  const [runtimes, locations, machines, buckets] = asked.map((answer) => answer.value || {});
  const types = machines.machineTypes || [];
  return {
    runtimes: (runtimes.runtimes || []).map((runtime) => [runtime.name, `${runtime.name} · Python ${runtime.python}`]),
    regions: (locations.locations || []).map((location) => [location.name.split('/').at(-1)]),
    tiers: types.filter((type) => type.kind === 'SCALE_TIER'),
    types: types.filter((type) => type.kind !== 'SCALE_TIER').sort((a, b) => Number(b.available) - Number(a.available)),
    buckets: (buckets.items || []).map((bucket) => bucket.name),
    refused: asked.find((answer) => answer.status === 'rejected')?.reason,
  };
}

// The server's own check of the request, asked when the typing pauses.
function useCheck(project, request) {
  const text = JSON.stringify(request);
  const [state, setState] = useState({ value: null, error: null, busy: true });
  useEffect(() => {
    const control = new AbortController();
    setState((before) => ({ ...before, busy: true }));
    const timer = setTimeout(async () => {
      try {
        const value = await post(`/mlengine/v1/projects/${encodeURIComponent(project)}/jobs:check`, JSON.parse(text), { signal: control.signal });
        setState({ value, error: null, busy: false });
      } catch (error) {
        if (!control.signal.aborted) setState({ value: null, error, busy: false });
      }
    }, PAUSE);
    return () => {
      control.abort();
      clearTimeout(timer);
    };
  }, [project, text]);
  return state;
}

function Field({ name, title, hint, form, change, findings, touched, rows, options, list, wide, ...more }) {
  const about = touched.has(name) ? findings.filter((found) => fieldOf(found) === name) : [];
  const wrong = about.some((found) => found.severity === 'ERROR');
  const told = about.length || hint ? `${name}-about` : undefined;
  const given = {
    id: name, name, value: form[name], 'aria-invalid': wrong || undefined, 'aria-describedby': told,
    onInput: (event) => change(name, event.target.value), spellcheck: false, autocomplete: 'off', ...more,
  };
  const control = options
    ? html`<select ...${given}>${options.map(([value, label]) => html`<option key=${value} value=${value}>${label}</option>`)}</select>`
    : rows ? html`<textarea class="code" rows=${rows} ...${given}></textarea>` : html`<input list=${list ? `${name}-list` : undefined} ...${given} />`;
  return html`<div class=${wide || rows ? 'wide' : ''}>
    <label for=${name}><span>${title}</span></label>${control}
    ${list && html`<datalist id=${`${name}-list`}>${list.map(([value, label]) => html`<option key=${value} value=${value}>${label || value}</option>`)}</datalist>`}
    ${told && html`<div id=${told} class="about">${about.map((found) => html`<p key=${found.message} class=${found.severity}>${found.message} ${found.hint}</p>`)}
      ${!about.length && html`<p class="quiet">${hint}</p>`}</div>`}
  </div>`;
}

// Where packages and results go; files and folders of this machine are uploaded there.
function Bucket({ project, buckets, reload, form, change, propose, touched }) {
  const [chosen, setChosen] = useState('');
  const [fresh, setFresh] = useState(`${project}-ml`);
  const [progress, setProgress] = useState('');
  const file = useRef();
  const folder = useRef();
  const bucket = chosen || buckets?.[0] || (buckets ? NEW : '');
  const own = bucket && bucket !== NEW ? `gs://${bucket}/${form.jobId}` : '';
  useEffect(() => {
    if (own && !touched.has('jobDir')) propose('jobDir', own);
  }, [own]);
  const make = useAction(async () => {
    await post('/storage/v1/b', { name: fresh }, { query: { project } });
    setChosen(fresh);
    reload();
  });
  const send = useAction(async (one, module) => {
    const name = `packages/${form.jobId}/${one.name}`;
    await upload(bucket, name, one, (share) => setProgress(t('uploading', { name: one.name, percent: `${Math.floor(100 * share)} %` })));
    setProgress(t('uploaded', { name: one.name }));
    change('packages', `gs://${bucket}/${name}`);
    if (module && !form.pythonModule) change('pythonModule', module);
  });
  const [wrong, setWrong] = useState('');
  const folderChosen = async (event) => {
    if (!event.target.files.length) return;
    setWrong('');
    try {
      const made = await packed(event.target.files);
      await send.run(made.file, made.module);
    } catch (fault) {
      setWrong(t(fault.message));
    }
  };
  const options = [...new Set([...(buckets || []), ...(chosen && chosen !== NEW ? [chosen] : [])])];
  return html`<div class="fields">
      <label><span>${t('bucket')}</span><select value=${bucket} onChange=${(event) => setChosen(event.target.value)}>
        ${options.map((name) => html`<option key=${name} value=${name}>gs://${name}</option>`)}<option value=${NEW}>${t('newBucket')}</option></select></label>
      ${bucket === NEW && html`<label><span>${t('newBucketName')}</span><input value=${fresh} spellcheck=${false} onInput=${(event) => setFresh(event.target.value)} /></label>
        <div><button type="button" disabled=${make.busy} onClick=${make.run}>${t('makeBucket')}</button></div>`}
    </div>
    <${Trouble} error=${make.error} />
    <div class="bar">
      <button type="button" disabled=${send.busy || !own} onClick=${() => file.current.click()}>${t('upload')}</button>
      <button type="button" disabled=${send.busy || !own} onClick=${() => folder.current.click()}>${t('uploadFolder')}</button>
      <input ref=${file} hidden type="file" accept=".gz,.whl,.zip,.tar" onChange=${(event) => event.target.files[0] && send.run(event.target.files[0])} />
      <input ref=${folder} hidden type="file" webkitdirectory onChange=${folderChosen} />
      <span class="quiet" role="status">${progress || t('packageHint')}</span>
    </div>
    <${Trouble} error=${send.error || (wrong && { message: wrong })} />`;
}

function Findings({ check }) {
  const { value, error, busy } = check;
  const findings = value?.findings || [];
  const errors = findings.filter((found) => found.severity === 'ERROR');
  const warnings = findings.filter((found) => found.severity !== 'ERROR');
  return html`<section class="card findings" aria-live="polite" aria-busy=${busy}>
    <h2>${t('preflight')}</h2>
    ${error && html`<${Trouble} error=${error} />`}
    ${!value && !error && html`<p class="quiet">${t('checking')}</p>`}
    ${value && !findings.length && html`<p class="fine">${t('allGood')}</p>`}
    ${errors.length > 0 && html`<h3>${t('errors', { count: errors.length })}</h3>`}
    ${errors.map((found) => html`<${Finding} key=${found.code + found.message} found=${found} />`)}
    ${warnings.length > 0 && html`<h3>${t('warnings', { count: warnings.length })}</h3>`}
    ${warnings.map((found) => html`<${Finding} key=${found.code + found.message} found=${found} />`)}
    ${value?.unchecked.length > 0 && html`<p class="quiet">${t('unchecked')} ${value.unchecked.join(' ')}</p>`}
  </section>`;
}

function Finding({ found }) {
  const field = fieldOf(found);
  const show = () => document.getElementById(field)?.focus();
  return html`<div class=${`finding ${found.severity}`}>
    <p>${found.where && html`<code>${found.where}</code> `}${found.message}</p>${found.hint && html`<p class="quiet">${found.hint}</p>`}
    <p><code class="quiet">${found.code}</code> ${field && html`<button class="small" type="button" onClick=${show}>→ ${field}</button>`}</p>
  </div>`;
}

function Preview({ request }) {
  const [form, setForm] = useState('yaml');
  const text = form === 'yaml' ? yaml(request) : JSON.stringify(request, null, 2);
  return html`<section><h2>${t('preview')}</h2>
    <${Tabs} tabs=${[['yaml', 'YAML'], ['json', 'JSON']]} value=${form} onChange=${setForm} label=${t('preview')} />
    <div class="json"><${Copy} text=${text} /><pre tabindex="0">${text}</pre></div></section>`;
}
