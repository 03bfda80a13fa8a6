// One job: how it stands and why, its log, what it used, what it was given, where its files are.
import { html, useState } from '../core/base.js';
import { get, post } from '../core/api.js';
import { bytes, moment, number, percent, since } from '../core/format.js';
import { useAction, useLoad } from '../core/load.js';
import { url, useQuery } from '../core/router.js';
import { translator, useLanguage } from '../core/words.js';
import { Command, Dialog, Facts, Heading, Json, Labels, Loading, State, Tabs, Trouble, shell } from '../parts/basics.js';
import { Chart } from '../parts/chart.js';
import { Grid } from '../parts/grid.js';
import { Logs } from '../parts/logs.js';
import { TensorBoard } from '../parts/tensorboard.js';
import words from '../words/job.js';

const t = translator(words);
const ENDED = new Set(['SUCCEEDED', 'FAILED', 'CANCELLED']);

export default function Job({ project, job: id }) {
  useLanguage();
  const path = `/v1/projects/${encodeURIComponent(project)}/jobs/${encodeURIComponent(id)}`;
  const [tab, setTab] = useQuery('tab', 'overview');
  const [asks, setAsks] = useState(false);
  const found = useLoad((signal) => get(path, undefined, { signal }), [project, id], {
    every: () => (ENDED.has(found.value?.state) ? 0 : 1500),
  });
  const cancel = useAction(() => post(`${path}:cancel`, {}));
  const job = found.value;
  if (!job) return html`<${Heading} title=${id} path=${[[t('jobs'), url(project, 'jobs')]]} />
    ${found.error ? html`<${Trouble} error=${found.error} again=${found.reload} />` : html`<${Loading} />`}`;
  const live = !ENDED.has(job.state);
  const input = job.trainingInput || {};
  const own = job.trainingOutput?.mlengine || {};
  const replicas = (own.replicas || []).map((replica) => replica.name);
  const actions = html`
    ${input.jobDir && html`<${TensorBoard} project=${project} logdir=${input.jobDir} />`}
    <a class="button" href=${`${url(project, 'jobs', 'new')}?from=${encodeURIComponent(id)}`}>${t('clone')}</a>
    ${job.state === 'SUCCEEDED' && input.jobDir && html`<a class="button" href=${`${url(project, 'models')}?origin=${encodeURIComponent(input.jobDir)}`}>${t('deploy')}</a>`}
    ${live && html`<button type="button" class="danger" onClick=${() => setAsks(true)}>${t('cancel')}</button>`}`;
  const tabs = [['overview', t('overview')], ['logs', t('logs')], ['charts', t('charts')], ['input', t('input')], ['environment', t('environment')], ['files', t('files')]];
  return html`
    <${Heading} title=${id} path=${[[t('jobs'), url(project, 'jobs')]]} actions=${actions}><${State} value=${job.state} /><//>
    <${Trouble} error=${found.error} />
    ${job.errorMessage && html`<div class="trouble" role="alert"><strong>${t('cause')}</strong><pre class="cause" tabindex="0">${job.errorMessage}</pre></div>`}
    ${own.waitReason && html`<div class="note"><strong>${t('waits')}:</strong> ${own.waitReason}</div>`}
    <${Tabs} tabs=${tabs} value=${tab} onChange=${setTab} label=${id} />
    ${tab === 'overview' && html`<${Overview} job=${job} own=${own} live=${live} project=${project} id=${id} replicas=${replicas} />`}
    ${tab === 'logs' && html`<${Logs} project=${project} job=${id} live=${live} replicas=${replicas} />
      <${Command} text=${shell('mlengine', 'jobs', 'stream-logs', id, '--project', project)} />`}
    ${tab === 'charts' && html`<${Charts} path=${path} live=${live} id=${id} project=${project} />`}
    ${tab === 'input' && html`<${Input} job=${job} id=${id} project=${project} />`}
    ${tab === 'environment' && html`<${Environment} project=${project} id=${id} />`}
    ${tab === 'files' && html`<${Files} project=${project} jobDir=${input.jobDir} />`}
    ${asks && html`<${Dialog} title=${t('cancel')} onClose=${() => setAsks(false)}>
      <p>${t('cancelAsk')}</p><${Command} text=${shell('mlengine', 'jobs', 'cancel', id, '--project', project)} />
      <${Trouble} error=${cancel.error} />
      <button type="button" class="danger" disabled=${cancel.busy} onClick=${async () => { if (await cancel.run()) { setAsks(false); found.reload(); } }}>${t('cancelNow')}</button>
    <//>`}`;
}

function Overview({ job, own, live, project, id, replicas }) {
  const input = job.trainingInput || {};
  const columns = [
    { id: 'name', title: t('replica'), cell: (replica) => replica.name },
    { id: 'type', title: t('type'), cell: (replica) => replica.machineType || '–' },
    { id: 'cpus', title: 'CPU', class: 'number', cell: (replica) => replica.cpus ?? '–' },
    { id: 'memory', title: t('memory'), class: 'number', cell: (replica) => (replica.memoryBytes ? bytes(replica.memoryBytes) : '–') },
    { id: 'gpus', title: 'GPU', class: 'number', cell: (replica) => replica.gpuCount || '–' },
  ];
  return html`<${Facts} rows=${[
      [t('created'), moment(job.createTime)],
      [t('started'), job.startTime && moment(job.startTime)],
      [t('ended'), job.endTime && moment(job.endTime)],
      [t('waited'), job.startTime && since(job.createTime, job.startTime)],
      [t('took'), job.startTime && since(job.startTime, live ? undefined : job.endTime)],
      [t('position'), job.jobPosition],
      [t('restarts'), own.restarts],
      [t('runtime'), input.runtimeVersion],
      [t('module'), input.pythonModule],
      [t('jobDir'), input.jobDir],
      [t('labels'), job.labels && html`<${Labels} labels=${job.labels} />`],
    ]} />
    ${own.replicas?.length > 0 && html`<h2>${t('replicas')}</h2><${Grid} columns=${columns} rows=${own.replicas} keyOf=${(replica) => replica.name} caption=${t('replicas')} />`}
    <h2>${t('logs')}</h2><${Logs} project=${project} job=${id} live=${live} replicas=${replicas} />
    <${Command} text=${shell('mlengine', 'jobs', 'describe', id, '--project', project)} />`;
}

// Differences of growing counters, per second.
function rates(samples, field) {
  return samples.map((sample, place) => {
    if (!place) return null;
    const before = samples[place - 1];
    const seconds = (new Date(sample.time) - new Date(before.time)) / 1000;
    return seconds > 0 ? Math.max(0, Number(sample[field]) - Number(before[field])) / seconds : null;
  });
}

// Samples of several replicas on one axis of times; undefined where a replica was not looked at (null is a gap).
function together(replicas, pick) {
  const times = [...new Set(replicas.flatMap((replica) => replica.samples.map((sample) => Date.parse(sample.time) / 1000)))].sort((a, b) => a - b);
  const lines = replicas.map((replica) => {
    const values = pick(replica.samples);
    const at = new Map(replica.samples.map((sample, place) => [Date.parse(sample.time) / 1000, values[place]]));
    return { name: replica.name, values: times.map((time) => at.get(time)) };
  });
  return { times, lines };
}

function Charts({ path, live, id, project }) {
  const own = path.replace('/v1/', '/mlengine/v1/');
  const found = useLoad((signal) => get(`${own}/metrics`, undefined, { signal }), [own, live], { every: live ? 2000 : 0 });
  if (!found.value) return found.error ? html`<${Trouble} error=${found.error} />` : html`<${Loading} />`;
  const replicas = (found.value.replicas || []).filter((replica) => replica.samples.length);
  const one = (pick) => together(replicas, pick);
  const cores = (value) => number(value, 2);
  const speed = (value) => `${bytes(Math.round(value))}/s`;
  const rated = (fields) => {
    const all = fields.map(([field, name]) => one((samples) => rates(samples, field)).lines.map((line) => ({ ...line, name: `${line.name} ${name}` })));
    return { times: one((samples) => samples).times, lines: all.flat() };
  };
  const withGpu = replicas.some((replica) => replica.samples.some((sample) => sample.gpus));
  return html`<div class="cards">
      <${Chart} title=${t('cpu')} ...${one((samples) => samples.map((sample) => sample.cpus))} unit=${cores} />
      <${Chart} title=${t('memory')} ...${one((samples) => samples.map((sample) => Number(sample.memoryBytes)))} unit=${bytes} />
      <${Chart} title=${t('disk')} ...${rated([['diskReadBytes', t('read')], ['diskWrittenBytes', t('written')]])} unit=${speed} />
      <${Chart} title=${t('network')} ...${rated([['machineReceivedBytes', t('received')], ['machineSentBytes', t('sent')]])} unit=${speed} />
      ${withGpu && html`<${Chart} title=${t('gpu')} ...${one((samples) => samples.map((sample) => mean((sample.gpus || []).map((gpu) => gpu.busy))))} unit=${percent} top=${1} />
        <${Chart} title=${t('gpuMemory')} ...${one((samples) => samples.map((sample) => sum((sample.gpus || []).map((gpu) => Number(gpu.memoryBytes)))))} unit=${bytes} />`}
    </div>
    <p class="quiet">${t('networkNote')}</p>
    <${Command} text=${shell('mlengine', 'jobs', 'metrics', id, '--project', project)} />`;
}

const sum = (values) => (values.length ? values.reduce((total, value) => total + value, 0) : null);
const mean = (values) => (values.length ? sum(values) / values.length : null);

function Input({ job, id, project }) {
  const [form, setForm] = useQuery('as', 'table');
  const input = job.trainingInput || {};
  const rows = Object.entries(input).flatMap(([key, value]) =>
    value && typeof value === 'object' && !Array.isArray(value) ? Object.entries(value).map(([inner, one]) => [`${key}.${inner}`, one]) : [[key, value]]);
  const shown = (value) => (typeof value === 'object' ? html`<code>${Array.isArray(value) ? value.join(' ') : JSON.stringify(value)}</code>` : String(value));
  const columns = [
    { id: 'key', title: t('key'), cell: ([key]) => key },
    { id: 'value', title: t('value'), cell: ([, value]) => shown(value) },
  ];
  return html`<${Tabs} tabs=${[['table', t('asTable')], ['json', t('asJson')]]} value=${form} onChange=${setForm} />
    ${form === 'json' ? html`<${Json} value=${job} />` : html`<${Grid} columns=${columns} rows=${rows} keyOf=${([key]) => key} caption=${t('input')} />`}
    <${Command} text=${shell('mlengine', 'jobs', 'describe', id, '--project', project, '--format', form === 'json' ? 'json' : 'yaml')} />`;
}

function Environment({ project, id }) {
  const path = `/mlengine/v1/projects/${encodeURIComponent(project)}/jobs/${encodeURIComponent(id)}/requirements`;
  const found = useLoad((signal) => get(path, undefined, { signal }), [path]);
  if (!found.value) return found.error ? html`<${Trouble} error=${found.error} />` : html`<${Loading} />`;
  const text = found.value.requirements || found.value.text || '';
  return html`<p class="quiet">${text ? t('requirements') : t('noRequirements')}</p>
    ${text && html`<pre tabindex="0">${text}</pre>`}
    <${Command} text=${shell('mlengine', 'jobs', 'requirements', id, '--project', project)} />`;
}

function Files({ project, jobDir }) {
  const place = jobDir?.match(/^gs:\/\/([^/]+)\/?(.*)$/);
  const prefix = place ? (place[2] && !place[2].endsWith('/') ? `${place[2]}/` : place[2]) : '';
  const found = useLoad(
    async (signal) => (place ? get(`/storage/v1/b/${encodeURIComponent(place[1])}/o`, { prefix, maxResults: 500 }, { signal }) : {}), [jobDir],
  );
  if (!place) return html`<p class="quiet">${t('noJobDir')}</p>`;
  const href = (item) => url(project, 'buckets', place[1], ...item.name.split('/')) + '?file=1';
  const columns = [
    { id: 'name', title: t('name'), cell: (item) => html`<a href=${href(item)}>${item.name.slice(prefix.length)}</a>` },
    { id: 'size', title: t('size'), class: 'number', cell: (item) => bytes(item.size) },
    { id: 'changed', title: t('changed'), class: 'time', cell: (item) => moment(item.updated) },
  ];
  return html`<${Grid} columns=${columns} rows=${found.value ? found.value.items || [] : null} error=${found.error} again=${found.reload}
      keyOf=${(item) => item.name} caption=${t('files')} empty=${html`<p class="quiet">${t('noFiles')}</p>`} />
    <${Command} text=${shell('mlengine', 'storage', 'ls', '-r', jobDir)} />`;
}
