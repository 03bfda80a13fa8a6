// This machine now: how busy it is, what runs where, what waits for what, whether the server's parts are well.
import { html } from '../core/base.js';
import { get } from '../core/api.js';
import { bytes, number, percent, since } from '../core/format.js';
import { useLoad } from '../core/load.js';
import { url } from '../core/router.js';
import { translator, useLanguage } from '../core/words.js';
import { Command, Facts, Heading, Loading, State, Trouble, shell } from '../parts/basics.js';
import { Grid } from '../parts/grid.js';
import { Meter } from '../parts/meter.js';
import words from '../words/machine.js';

const t = translator(words);

export default function Machine({ project }) {
  useLanguage();
  const { value, error, reload } = useLoad((signal) => get('/mlengine/v1/machine', undefined, { signal }), [], { every: 3000 });
  return html`<${Heading} title=${t('title')} />
    ${error && html`<${Trouble} error=${error} again=${reload} />`}
    ${!value && !error && html`<${Loading} />`}
    ${value && html`<p class="quiet">${t('live')}</p>
      <div class="cards three"><${Now} found=${value} /><${ForJobs} found=${value.forJobs} /><${Health} parts=${value.parts} /></div>
      <h2>${t('running')}</h2><${Running} rows=${value.running} />
      <h2>${t('waiting')}</h2><${Waiting} rows=${value.waiting} all=${value.queued} />
      <h2>${t('serving')}</h2><${Serving} rows=${value.serving} />`}
    <${Command} text=${shell('mlengine', 'jobs', 'list', '--project', project, '--filter', 'state=QUEUED OR state=RUNNING')} />`;
}

function Now({ found }) {
  const { machine } = found;
  const used = machine.memoryAvailableBytes === undefined ? NaN : machine.memoryBytes - machine.memoryAvailableBytes;
  const disk = machine.diskBytes - machine.diskFreeBytes;
  const share = (part, all) => ({ share: part / all, text: Number.isFinite(part) ? t('usedOf', { used: bytes(part), all: bytes(all) }) : bytes(all) });
  return html`<section class="card"><h2>${t('cpu')} · ${t('memory')}</h2>
    <${Meter} name=${t('cpu')} share=${machine.busy ?? NaN}
      text=${t('busyOf', { busy: machine.busy === undefined ? '–' : percent(machine.busy), cpus: machine.cpus })} />
    <${Meter} name=${t('memory')} ...${share(used, machine.memoryBytes)} />
    <${Meter} name=${t('disk')} ...${share(disk, machine.diskBytes)} />
    <${Facts} rows=${[
      [t('load'), machine.load && machine.load.map((value) => number(value)).join(' · ')],
      [t('gpus'), machine.gpus.length ? machine.gpus.map((gpu) => html`<div key=${gpu.index}>${gpu.index}: ${gpu.name}, ${gpu.inUse ? t('gpuBusy') : t('gpuFree')}</div>`) : t('noGpu')],
    ]} /></section>`;
}

function ForJobs({ found }) {
  const row = (name, free, all, shown) => html`<${Meter} name=${name} share=${all ? 1 - free / all : 0} text=${t('freeOf', { free: shown(free), all: shown(all) })} />`;
  const plain = (value) => number(value);
  return html`<section class="card"><h2>${t('forJobs')}</h2>
    ${row(t('slots'), found.freeSlots, found.slots, plain)}
    ${row(t('cpu'), found.freeCpus, found.cpus, plain)}
    ${row(t('memory'), Number(found.freeMemoryBytes), Number(found.memoryBytes), bytes)}
    ${found.gpus > 0 && row(t('gpus'), found.freeGpus, found.gpus, plain)}</section>`;
}

function Health({ parts }) {
  return html`<section class="card"><h2>${t('health')}</h2><ul class="health">
    ${parts.map((part) => html`<li key=${part.name}>
      <span class=${`state ${part.healthy ? 'good' : 'bad'}`}><i aria-hidden="true"></i>${part.healthy ? t('healthy') : 'ERROR'}</span> ${t(part.name)}
      ${part.problem && html`<p class="quiet">${part.problem}</p>`}</li>`)}</ul></section>`;
}

const named = (row) => (row.jobId
  ? html`<a href=${url(row.project, 'jobs', row.jobId)}>${row.jobId}</a>`
  : html`<span class="quiet">${t('otherProject')}</span>`);

function Running({ rows }) {
  const replicas = rows.flatMap((job, at) => job.replicas.map((replica, place) => ({ ...replica, job, first: place === 0, key: `${at}/${replica.name}` })));
  const columns = [
    { id: 'job', title: t('job'), cell: (row) => named(row.job) },
    { id: 'replica', title: t('replica'), cell: (row) => row.name },
    { id: 'state', title: t('state'), cell: (row) => html`<${State} value=${row.job.state} />` },
    { id: 'cpu', title: t('usedCpu'), class: 'number', cell: (row) => number(row.usedCpus) },
    { id: 'share', title: t('share'), class: 'number', cell: (row) => (row.reserved ? number(row.cpus) : t('shared')) },
    { id: 'memory', title: t('usedMemory'), class: 'number', cell: (row) => bytes(row.usedMemoryBytes) },
    { id: 'limit', title: t('memoryLimit'), class: 'number', cell: (row) => bytes(row.memoryBytes) },
    { id: 'gpu', title: t('gpu'), cell: (row) => row.gpus.join(', ') || '–' },
    { id: 'since', title: t('since'), class: 'number', cell: (row) => since(row.job.startTime) },
  ];
  return html`<${Grid} columns=${columns} rows=${replicas} keyOf=${(row) => row.key} caption=${t('running')} empty=${html`<p class="quiet">${t('noneRunning')}</p>`} />`;
}

function Waiting({ rows, all }) {
  const columns = [
    { id: 'position', title: t('position'), class: 'number', cell: (row) => row.position },
    { id: 'job', title: t('job'), cell: named },
    { id: 'reason', title: t('reason'), cell: (row) => row.reason || '–' },
    { id: 'waited', title: t('waited'), class: 'number', cell: (row) => since(row.createTime) },
  ];
  return html`<${Grid} columns=${columns} rows=${rows} keyOf=${(row) => row.position} caption=${t('waiting')} empty=${html`<p class="quiet">${t('noneWaiting')}</p>`} />
    ${all > rows.length && html`<p class="quiet">${t('moreWaiting', { shown: rows.length, all })}</p>`}`;
}

function Serving({ rows }) {
  const columns = [
    { id: 'version', title: t('version'), cell: (row) => (row.model
      ? html`<a href=${url(row.project, 'models', row.model, row.version)}>${row.model}/${row.version}</a>`
      : html`<span class="quiet">${t('otherProject')}</span>`) },
    { id: 'state', title: t('state'), cell: (row) => html`<${State} value=${row.state} />` },
    { id: 'node', title: t('node'), class: 'number', cell: (row) => row.node },
    { id: 'memory', title: t('usedMemory'), class: 'number', cell: (row) => bytes(row.memoryBytes) },
    { id: 'process', title: t('process'), class: 'number', cell: (row) => row.pid },
    { id: 'shared', title: t('sharedBy'), class: 'number', cell: (row) => row.sharedBy },
    { id: 'runtime', title: t('runtime'), cell: (row) => row.runtimeVersion },
  ];
  return html`<${Grid} columns=${columns} rows=${rows} keyOf=${(row) => `${row.project}/${row.model}/${row.version}/${row.node}/${row.pid}`} caption=${t('serving')} empty=${html`<p class="quiet">${t('noneServing')}</p>`} />`;
}
