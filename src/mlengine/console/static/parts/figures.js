// What versions did, as figures and charts: requests, errors, latency, batches, processes, memory.
import { html } from '../core/base.js';
import { get } from '../core/api.js';
import { bytes, moment, number, percent } from '../core/format.js';
import { useLoad } from '../core/load.js';
import { idOf, modelPath, own, versionPath } from '../core/models.js';
import { url, useQuery } from '../core/router.js';
import { translator, useLanguage } from '../core/words.js';
import { Command, Facts, Loading, Trouble, shell } from './basics.js';
import { Chart } from './chart.js';
import { Grid } from './grid.js';
import words from '../words/figures.js';

const t = translator(words);
const RANGES = ['15m', '1h', '1d', '30d'];
// How often is looked, by range, in milliseconds: the shortest shows a prediction within 5 s.
const EVERY = { '15m': 3000, '1h': 5000, '1d': 30000, '30d': 120000 };
const RECENT = '5m';

// Seconds as people say a latency.
export function latency(seconds) {
  if (seconds === undefined || seconds === null) return '–';
  if (seconds < 0.0009995) return `${number(seconds * 1e6, 0)} µs`;
  if (seconds < 0.99995) return `${number(seconds * 1e3, seconds < 0.01 ? 2 : 1)} ms`;
  return `${number(seconds, 2)} s`;
}

// Whether there is anything to say of a version: it was asked, or could be.
export const active = (one) => one.sum.requests > 0 || one.now.nodes > 0;

// A sum of the server in the words of our tables.
export function told(sum) {
  return {
    requests: sum.requests, rate: sum.requestsPerSecond, errors: sum.errors, errorShare: sum.requests ? percent(sum.errors / sum.requests) : '–',
    p50: sum.totalSeconds?.p50, p95: sum.totalSeconds?.p95, p99: sum.totalSeconds?.p99, batch: sum.batch?.mean,
  };
}

// The last five minutes, read again and again: by model id, or with `model` by version id.
export function useNow(project, model = '') {
  const path = model ? modelPath(project, model) : `/v1/projects/${encodeURIComponent(project)}`;
  return useLoad(async (signal) => {
    const found = await get(own(`${path}/metrics`), { since: RECENT }, { signal });
    const each = model ? found.versions : found.models;
    return Object.fromEntries((each || []).map((one) => [idOf(one.version || one.model), { ...told(one.sum), now: one.now, served: one.servedVersions }]));
  }, [path], { every: 5000 });
}

// Steps in which nothing happened are not sent: here they get their zeros, and gaps where nothing was measured.
function laid(found) {
  const step = Number.parseInt(found.step, 10);
  const floor = (text) => Math.floor(Date.parse(text) / 1000 / step) * step;
  const times = [];
  // The first step is mostly a part of one; where something happened in it, it is shown.
  const points = [found, ...(found.versions || [])].flatMap((one) => one.points || []);
  const first = points.some((point) => floor(point.start) === floor(found.since)) ? 0 : step;
  for (let at = floor(found.since) + first; at <= floor(found.until); at += step) times.push(at);
  const lines = (points) => {
    const by = new Map(points.map((point) => [floor(point.start), point]));
    return {
      // `pick` from each point; `otherwise` stands where there is none, unless the last one `stays`.
      of: (pick, otherwise = null, stays = false) => {
        let last = otherwise;
        return times.map((time) => {
          const value = by.has(time) ? pick(by.get(time)) ?? (stays ? last : otherwise) : stays ? last : otherwise;
          last = value;
          return value;
        });
      },
      codes: [...new Set(points.flatMap((point) => Object.keys(point.codes)))].filter((code) => !code.startsWith('2')).sort(),
    };
  };
  return { step, times, lines };
}

export const useRange = () => useQuery('range', RANGES[0]);

export function useFigures(path, range) {
  return useLoad((signal) => get(own(`${path}/metrics`), { since: range }, { signal }), [path, range], { every: EVERY[range] });
}

export function Range({ value, onChange }) {
  useLanguage();
  return html`<div class="segments" role="group" aria-label=${t('range')}>
    ${RANGES.map((range) => html`<button key=${range} type="button" class="small" aria-pressed=${range === value} onClick=${() => onChange(range)}>${t(range)}</button>`)}</div>`;
}

const rated = (value) => number(value, 2);
// A rate in a table: one request in five minutes is not none.
export const perSecond = (value) => (value > 0 && value < 0.01 ? '< 0.01' : number(value, 2));

// The tab of one version: how much it is asked, how well and how fast it answers.
export function Performance({ project, model, version }) {
  useLanguage();
  const [range, setRange] = useRange();
  const path = versionPath(project, model, version);
  const found = useFigures(path, range);
  if (!found.value) return html`<div>${found.error ? html`<${Trouble} error=${found.error} again=${found.reload} />` : html`<${Loading} />`}</div>`;
  const { sum, now, points } = found.value;
  const { step, times, lines } = laid(found.value);
  const { of, codes } = lines(points);
  const quantiles = (field) => ['p50', 'p95', 'p99'].map((name) => ({ name: t(name), values: of((point) => point[field]?.[name]) }));
  // A step is as long as told but the last, of which the server gives the rate.
  const eachSecond = (count) => (point) => (point.requests ? (count(point) * point.requestsPerSecond) / point.requests : 0);
  return html`<div><${Range} value=${range} onChange=${setRange} />
    <${Trouble} error=${found.error} />
    ${found.value.requestLoggingError && html`<div class="note"><strong>${t('logTrouble')}:</strong> ${found.value.requestLoggingError}</div>`}
    <${Facts} rows=${[
      [t('all'), number(sum.requests)], [t('meanRate'), perSecond(sum.requestsPerSecond)],
      [t('errors'), sum.requests > 0 && `${number(sum.errors)} (${percent(sum.errors / sum.requests)})`],
      ...['p50', 'p95', 'p99'].map((name) => [t(name), sum.totalSeconds?.[name] !== undefined && latency(sum.totalSeconds[name])]),
      [t('copied'), sum.shadowed > 0 && number(sum.shadowed)], [t('now'), number(now.inFlight)],
      [t('lastUse'), now.lastUseTime ? moment(now.lastUseTime) : t('never')],
    ]} />
    ${!sum.requests && html`<p class="note">${t('quiet')}</p>`}
    <div class="cards" data-step=${step}>
      <${Chart} title=${t('rate')} times=${times} unit=${rated} lines=${[
        { name: t('requests'), values: of((point) => point.requestsPerSecond, 0) },
        { name: t('predictions'), values: of(eachSecond((point) => point.instances), 0), dashed: true }]} />
      <${Chart} title=${t('codes')} times=${times} unit=${rated} lines=${codes.length
        ? codes.map((code) => ({ name: code, values: of(eachSecond((point) => point.codes[code] || 0), 0) }))
        : [{ name: t('noErrors'), values: of(() => 0, 0) }]} />
      <${Chart} title=${t('total')} times=${times} unit=${latency} lines=${quantiles('totalSeconds')} />
      <${Chart} title=${t('model')} times=${times} unit=${latency} lines=${quantiles('modelSeconds')} />
      <${Chart} title=${t('queue')} times=${times} unit=${latency} lines=${quantiles('queueSeconds')} />
      <${Chart} title=${t('batch')} times=${times} unit=${rated} lines=${[{ name: t('mean'), values: of((point) => point.batch?.mean) }]} />
      <${Chart} title=${t('replicas')} times=${times} unit=${rated} lines=${nodes(of)} />
      <${Chart} title=${t('inFlight')} times=${times} unit=${rated} lines=${[{ name: t('most'), values: of((point) => point.mostInFlight, 0) }]} />
    </div>
    <${Command} text=${shell('mlengine', 'versions', 'metrics', version, '--model', model, '--since', range, '--project', project)} /></div>`;
}

const nodes = (of) => [
  { name: t('mean'), values: of((point) => point.nodes?.mean, null, true) },
  { name: t('most'), values: of((point) => point.nodes?.most, null, true), dashed: true },
];

// What the processes of a version use of the machine.
export function Resources({ project, model, version }) {
  useLanguage();
  const [range, setRange] = useRange();
  const path = versionPath(project, model, version);
  const found = useFigures(path, range);
  if (!found.value) return html`<div>${found.error ? html`<${Trouble} error=${found.error} again=${found.reload} />` : html`<${Loading} />`}</div>`;
  const { times, lines } = laid(found.value);
  const { of } = lines(found.value.points);
  const { now, sum } = found.value;
  return html`<div><${Range} value=${range} onChange=${setRange} />
    <${Trouble} error=${found.error} />
    <${Facts} rows=${[[t('memory'), bytes(now.memoryBytes)], [t('cpu'), sum.cpus !== undefined && number(sum.cpus, 3)], [t('replicas'), number(now.nodes)]]} />
    <div class="cards">
      <${Chart} title=${t('memory')} times=${times} unit=${bytes} lines=${[
        { name: t('mean'), values: of((point) => point.memoryBytes && Number(point.memoryBytes.mean), null, true) },
        { name: t('most'), values: of((point) => point.memoryBytes && Number(point.memoryBytes.most), null, true), dashed: true }]} />
      <${Chart} title=${t('cpu')} times=${times} unit=${(value) => number(value, 3)} lines=${[{ name: t('mean'), values: of((point) => point.cpus).map((value, at, all) => (at === all.length - 1 && !value ? null : value)) }]} />
      <${Chart} title=${t('replicas')} times=${times} unit=${rated} lines=${nodes(of)} />
    </div>
    <${Command} text=${shell('mlengine', 'versions', 'metrics', version, '--model', model, '--since', range, '--format', 'json', '--project', project)} /></div>`;
}

// The versions of a model beside each other.
export function Compare({ project, model }) {
  useLanguage();
  const [range, setRange] = useRange();
  return html`<div><${Range} value=${range} onChange=${setRange} />
    <${ModelCharts} project=${project} model=${model} range=${range} summary />
    <${Command} text=${shell('mlengine', 'models', 'metrics', model, '--since', range, '--project', project)} /></div>`;
}

export function ModelCharts({ project, model, range, summary }) {
  useLanguage();
  const found = useFigures(modelPath(project, model), range);
  if (!found.value) return html`<div>${found.error ? html`<${Trouble} error=${found.error} again=${found.reload} />` : html`<${Loading} />`}</div>`;
  const { times, lines } = laid(found.value);
  const each = (found.value.versions || []).filter(active).map((one) => ({ name: idOf(one.version), ...lines(one.points), ...told(one.sum) }));
  const drawn = (pick, otherwise) => each.map(({ name, of }) => ({ name, values: of(pick, otherwise) }));
  const errors = (point) => (point.requests ? (point.errors * point.requestsPerSecond) / point.requests : 0);
  return html`<div><${Trouble} error=${found.error} />
    ${summary && html`<${Summary} rows=${each} cell=${(row) => html`<a href=${url(project, 'models', model, row.name)}>${row.name}</a>`} />`}
    <div class="cards">
      <${Chart} title=${t('rate')} times=${times} unit=${rated} lines=${drawn((point) => point.requestsPerSecond, 0)} />
      <${Chart} title=${t('errorsChart')} times=${times} unit=${rated} lines=${drawn(errors, 0)} />
      <${Chart} title=${t('p95Chart')} times=${times} unit=${latency} lines=${drawn((point) => point.totalSeconds?.p95)} />
      <${Chart} title=${t('modelChart')} times=${times} unit=${latency} lines=${drawn((point) => point.modelSeconds?.p95)} />
    </div></div>`;
}

// Figures of several versions, a row each; `cell` names the row.
export function Summary({ rows, cell, empty }) {
  useLanguage();
  const columns = [
    { id: 'version', title: t('version'), cell },
    { id: 'requests', title: t('all'), class: 'number', cell: (row) => number(row.requests) },
    { id: 'rate', title: t('meanRate'), class: 'number', cell: (row) => perSecond(row.rate) },
    { id: 'errors', title: t('errors'), class: 'number', cell: (row) => row.errorShare },
    { id: 'p50', title: t('p50'), class: 'number', cell: (row) => latency(row.p50) },
    { id: 'p95', title: t('p95'), class: 'number', cell: (row) => latency(row.p95) },
    { id: 'p99', title: t('p99'), class: 'number', cell: (row) => latency(row.p99) },
    { id: 'batch', title: t('batchShort'), class: 'number', cell: (row) => number(row.batch) },
  ];
  return html`<${Grid} columns=${columns} rows=${rows} caption=${t('versions')} empty=${empty} />`;
}
