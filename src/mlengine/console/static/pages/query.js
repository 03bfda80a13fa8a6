// SQL: written with what a dry run says beside it, run as a job, its rows, figures and the jobs before it.
import { html, useEffect, useRef, useState } from '../core/base.js';
import { get, post } from '../core/api.js';
import { bytes, duration, number } from '../core/format.js';
import { useAction, useLoad } from '../core/load.js';
import { url, useQuery } from '../core/router.js';
import { begin, bigquery, csvOf, finished, jsonOf, local, parametersIn, problem, reference, utc, valuesOf } from '../core/tables.js';
import { translator, useLanguage } from '../core/words.js';
import { Command, Dialog, Empty, Facts, Heading, Json, Loading, State, Tabs, Trouble, shell } from '../parts/basics.js';
import { Grid } from '../parts/grid.js';
import { Sql } from '../parts/sql.js';
import { Outcome } from '../parts/table_load.js';
import { Pager, Rows } from '../parts/table_rows.js';
import words from '../words/tables.js';

const t = translator(words);
const PAGE = 50;
const FETCH = 10000; // rows at once of a download
const REST = 500; // milliseconds without a key after which a query is looked at
const KINDS = ['STRING', 'INT64', 'FLOAT64', 'NUMERIC', 'BIGNUMERIC', 'BOOL', 'TIMESTAMP', 'DATE', 'TIME', 'DATETIME', 'BYTES', 'JSON'];

// What the form says, as a query's configuration.
export function configurationOf({ sql, values, names, target }) {
  const isNamed = names.length > 0 && names[0] !== '?';
  const parameters = names.map((name, at) => {
    const { type = 'STRING', list = false, text = '' } = values[isNamed ? name : at] || {};
    const isList = list;
    return {
      ...(isNamed && { name }),
      parameterType: isList ? { type: 'ARRAY', arrayType: { type } } : { type },
      parameterValue: isList ? { arrayValues: text.split('\n').filter((one) => one !== '').map((value) => ({ value })) } : { value: text },
    };
  });
  return {
    query: sql, useLegacySql: false,
    ...(parameters.length > 0 && { parameterMode: isNamed ? 'NAMED' : 'POSITIONAL', queryParameters: parameters }),
    ...(target && { destinationTable: target.table, writeDisposition: target.write }),
  };
}

export default function QueryPage({ project }) {
  useLanguage();
  const [jobId, setJobId] = useQuery('job');
  const [link, setLink] = useQuery('sql');
  const [tab, setTab] = useQuery('tab', 'results');
  const [sql, setSql] = useState(link);
  const [values, setValues] = useState({});
  const [target, setTarget] = useState({ on: false, dataset: '', table: '', write: 'WRITE_EMPTY' });
  const [saves, setSaves] = useState(false);
  const names = parametersIn(sql);
  const configuration = configurationOf({
    sql, values, names, target: target.on && { table: reference(project, target.dataset, target.table), write: target.write },
  });
  const dry = useDryRun(project, configuration);
  const goesOn = useRef(false);
  const job = useLoad(async (signal) => {
    const found = jobId ? await get(bigquery(project, 'jobs', jobId), undefined, { signal }) : null;
    goesOn.current = Boolean(found) && found.status.state !== 'DONE';
    return found;
  }, [project, jobId], { every: () => (goesOn.current ? 700 : 0) });
  // A job that is opened by its address brings its SQL along.
  const shown = useRef('');
  useEffect(() => {
    const query = job.value?.configuration.query;
    if (!query || shown.current === jobId || job.value.jobReference.jobId !== jobId) return;
    shown.current = jobId;
    setSql(query.query);
    setValues(valuesFrom(query.queryParameters || []));
  }, [job.value, jobId]);
  const run = useAction(async () => {
    const begun = await begin(project, { query: configuration });
    shown.current = begun.jobReference.jobId;
    if (link) setLink('');
    setJobId(begun.jobReference.jobId, { push: true });
    if (tab === 'history') setTab('results');
    return begun;
  });
  const cancel = useAction(() => post(`${bigquery(project, 'jobs', jobId)}/cancel`, {}));
  const current = jobId && job.value?.jobReference.jobId === jobId ? job.value : null;
  const runs = run.busy || (jobId && !current && !job.error) || (current && current.status.state !== 'DONE');
  const isSame = current?.configuration.query?.query === sql;
  const isQuery = current?.configuration.jobType === 'QUERY';
  const failed = current && problem(current);
  const wrong = (isSame && failed) || dry.error;
  const given = configuration.queryParameters || [];
  // The command line has no parameters that are lists.
  const command = !given.some((one) => one.parameterType.arrayType) && shell('mlengine', 'tables', 'query',
    target.on && ['--destination', `${target.dataset || 'DATASET'}.${target.table || 'TABLE'}`], target.on && target.write === 'WRITE_TRUNCATE' && '--replace', target.on && target.write === 'WRITE_APPEND' && '--append',
    given.map((one) => ['--parameter', `${one.name || ''}:${one.parameterType.type}:${one.parameterValue.value}`]), '--project', project, sql || 'SELECT …');
  return html`<${Heading} title=${t('query')} path=${[[t('tables'), url(project, 'tables')]]} />
    <${Sql} value=${sql} change=${setSql} run=${() => sql.trim() && run.run()} error=${wrong} />
    ${names.length > 0 && html`<${Parameters} names=${names} values=${values} change=${setValues} />`}
    <label class="check"><input type="checkbox" checked=${target.on} onChange=${(event) => setTarget({ ...target, on: event.target.checked })} /> ${t('intoTable')}</label>
    ${target.on && html`<${Target} value=${target} change=${setTarget} />`}
    <div class="bar">
      <button type="button" class="main" disabled=${run.busy || !sql.trim()} onClick=${run.run}>${t('run')}</button>
      ${runs && jobId && html`<button type="button" class="danger" disabled=${cancel.busy} onClick=${cancel.run}>${t('stop')}</button>`}
      <${Look} dry=${dry} />
    </div>
    <${Trouble} error=${run.error} /><${Trouble} error=${cancel.error} />
    <${Tabs} tabs=${[['results', t('results')], ['job', t('statistics')], ['history', t('history')]]} value=${tab} onChange=${setTab} label=${t('query')} />
    ${tab !== 'history' && jobId && html`<${Trouble} error=${job.error} again=${job.reload} />`}
    ${tab !== 'history' && !jobId && html`<${Empty} title=${t('noQuery')} text=${t('noQueryText')} command=${shell('mlengine', 'tables', 'query', '--project', project, 'SELECT 1 AS one')} />`}
    ${tab === 'results' && runs && html`<p role="status">${t('running')}</p>`}
    ${tab === 'results' && current?.status.state === 'DONE' && html`
      ${isQuery && !isSame && html`<p class="quiet">${t('otherText')}</p>`}
      <${Outcome} job=${current} />
      ${!failed && isQuery && html`<${Results} key=${jobId} project=${project} job=${current} save=${() => setSaves(true)} />`}`}
    ${current && tab === 'job' && html`<${Outcome} job=${current} />`}
    ${current && (tab === 'job' || (tab === 'results' && !isQuery)) && html`<${Statistics} project=${project} job=${current} />`}
    ${tab === 'history' && html`<${History} project=${project} open=${(id) => { setTab('results'); setJobId(id, { push: true }); }} />`}
    ${tab !== 'history' && command && html`<${Command} text=${command} />`}
    ${saves && current && html`<${SaveTable} project=${project} job=${current} close=${() => setSaves(false)} />`}`;
}

const valuesFrom = (parameters) => Object.fromEntries(parameters.map((one, at) => [one.name || at, {
  type: one.parameterType.arrayType?.type || one.parameterType.type, list: Boolean(one.parameterType.arrayType),
  text: one.parameterValue.arrayValues ? one.parameterValue.arrayValues.map(({ value }) => value).join('\n') : one.parameterValue.value ?? '',
}]));

// What the server says of a query before it runs; asked when the keys rest.
function useDryRun(project, configuration) {
  const [state, setState] = useState({ job: null, error: null, busy: false });
  const text = JSON.stringify(configuration);
  useEffect(() => {
    if (!configuration.query.trim()) {
      setState({ job: null, error: null, busy: false });
      return undefined;
    }
    const control = new AbortController();
    setState((before) => ({ ...before, busy: true }));
    const timer = setTimeout(async () => {
      try {
        const job = await post(bigquery(project, 'jobs'), { configuration: { query: configuration, dryRun: true } }, { signal: control.signal });
        setState({ job, error: null, busy: false });
      } catch (error) {
        if (!control.signal.aborted) setState({ job: null, error, busy: false });
      }
    }, REST);
    return () => {
      clearTimeout(timer);
      control.abort();
    };
  }, [project, text]);
  return state;
}

function Look({ dry }) {
  const told = dry.job?.statistics.query;
  const fields = told?.schema?.fields || [];
  return html`<div class="look" role="status">
    ${dry.error && html`<span class="wrong">${dry.error.status === 'UNREACHABLE' ? t('unreachable') : dry.error.message}</span>`}
    ${told && html`<span class="quiet">${told.statementType} · ${t('reads', { size: bytes(told.totalBytesProcessed) })}${fields.length > 0 && html` · ${t('gives')} `}
      ${fields.map((field, at) => html`${at > 0 && ', '}<code title=${field.mode}>${field.name} ${field.type}</code>`)}</span>`}
  </div>`;
}

function Parameters({ names, values, change }) {
  const isNamed = names[0] !== '?';
  return html`<fieldset><legend>${t('parameters')}</legend>${names.map((name, at) => {
    const key = isNamed ? name : at;
    const value = { type: 'STRING', list: false, text: '', ...values[key] };
    const put = (what) => change({ ...values, [key]: { ...value, ...what } });
    const label = isNamed ? `@${name}` : `? ${at + 1}`;
    return html`<div class="bar" key=${key}>
      <label><span>${label}: ${t('type')}</span><select value=${value.type} onChange=${(event) => put({ type: event.target.value })}>${KINDS.map((kind) => html`<option key=${kind}>${kind}</option>`)}</select></label>
      <label><span>${label}: ${value.list ? t('valueLines') : t('value')}</span>${value.list
        ? html`<textarea class="code" rows="3" value=${value.text} onInput=${(event) => put({ text: event.target.value })}></textarea>`
        : html`<input value=${value.text} onInput=${(event) => put({ text: event.target.value })} />`}</label>
      <label class="check"><input type="checkbox" checked=${value.list} onChange=${(event) => put({ list: event.target.checked })} /> ARRAY</label>
    </div>`;
  })}</fieldset>`;
}

function Target({ value, change }) {
  const put = (what) => change({ ...value, ...what });
  return html`<div class="bar">
    <label><span>${t('dataset')}</span><input value=${value.dataset} onInput=${(event) => put({ dataset: event.target.value })} /></label>
    <label><span>${t('table')}</span><input value=${value.table} onInput=${(event) => put({ table: event.target.value })} /></label>
    <label><span>${t('write')}</span><select value=${value.write} onChange=${(event) => put({ write: event.target.value })}>${['WRITE_EMPTY', 'WRITE_TRUNCATE', 'WRITE_APPEND'].map((one) => html`<option key=${one} value=${one}>${t(one)}</option>`)}</select></label>
  </div>`;
}

function Results({ project, job, save }) {
  const [from, setFrom] = useQuery('start', '0');
  const start = Number(from) || 0;
  const path = bigquery(project, 'queries', job.jobReference.jobId);
  const found = useLoad((signal) => get(path, { startIndex: String(start), maxResults: PAGE, 'formatOptions.useInt64Timestamp': 'true' }, { signal })
    .then((page) => ({ ...page, start })), [path, start]);
  const [told, setTold] = useState('');
  const download = useAction(async (kind) => {
    const blob = await everything(path, kind, (count) => setTold(t('fetched', { count: count.toLocaleString() })));
    const link = Object.assign(document.createElement('a'), { href: URL.createObjectURL(blob), download: `${job.jobReference.jobId}.${kind}` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  });
  if (found.error) return html`<${Trouble} error=${found.error} again=${found.reload} />`;
  if (!found.value) return html`<${Loading} />`;
  const page = found.value;
  if (!page.schema) return html`<p class="note" role="status">${doneText(job)}</p>`;
  const { fields } = page.schema;
  const rows = (page.rows || []).map((row) => valuesOf(fields, row));
  return html`<div class="bar">
      <button type="button" class="small" disabled=${download.busy} onClick=${() => download.run('csv')}>${t('asCsv')}</button>
      <button type="button" class="small" disabled=${download.busy} onClick=${() => download.run('json')}>${t('asJsonFile')}</button>
      <button type="button" class="small" onClick=${save}>${t('saveTable')}</button>
      <span class="quiet" role="status">${download.busy && told}</span></div>
    <${Trouble} error=${download.error} />
    <${Rows} fields=${fields} rows=${rows} start=${page.start} caption=${t('results')} empty=${html`<p class="quiet" role="status">${t('noResults')}</p>`} />
    <${Pager} start=${page.start} size=${PAGE} shown=${rows.length} total=${Number(page.totalRows)} go=${(next) => setFrom(String(next))} busy=${found.loading} />`;
}

function doneText(job) {
  const told = job.statistics.query || {};
  if (told.numDmlAffectedRows !== undefined) return t('affected', { kind: told.statementType, count: number(told.numDmlAffectedRows) });
  const target = told.ddlTargetTable;
  if (told.ddlOperationPerformed) return t('ddl', { kind: told.ddlOperationPerformed, table: target ? `${target.datasetId}.${target.tableId}` : '' });
  return t('doneWithoutRows');
}

// All rows as a file. They are pieces of text until the end, so that memory holds them once.
async function everything(path, kind, tell) {
  const parts = [];
  let fields;
  let pageToken = '';
  let count = 0;
  do {
    const page = await get(path, { maxResults: FETCH, pageToken, 'formatOptions.useInt64Timestamp': 'true' });
    if (!fields) {
      fields = page.schema.fields;
      parts.push(kind === 'csv' ? `${fields.map((field) => csvOf({ type: 'STRING' }, field.name)).join(',')}\r\n` : '[');
    }
    const record = { type: 'RECORD', fields };
    const lines = (page.rows || []).map((row) => valuesOf(fields, row));
    if (kind === 'csv') parts.push(new Blob(lines.map((values) => `${values.map((value, at) => csvOf(fields[at], value)).join(',')}\r\n`)));
    else parts.push(new Blob(lines.map((values, at) => `${count + at ? ',\n ' : '\n '}${jsonOf(record, values)}`)));
    count += lines.length;
    tell(count);
    pageToken = page.pageToken || '';
  } while (pageToken);
  if (kind === 'json') parts.push('\n]\n');
  return new Blob(parts, { type: kind === 'csv' ? 'text/csv' : 'application/json' });
}

function SaveTable({ project, job, close }) {
  const [form, setForm] = useState({ dataset: '', table: '', write: 'WRITE_EMPTY' });
  const [saved, setSaved] = useState(null);
  // The rows that are seen are copied; the query does not run a second time.
  const save = useAction(async () => {
    const destinationTable = reference(project, form.dataset, form.table);
    const begun = await begin(project, { copy: { sourceTable: job.configuration.query.destinationTable, destinationTable, writeDisposition: form.write } });
    setSaved(await finished(project, begun));
  });
  const submit = (event) => {
    event.preventDefault();
    save.run();
  };
  return html`<${Dialog} title=${t('saveTable')} onClose=${close}><form onSubmit=${submit}>
    <${Target} value=${form} change=${setForm} />
    <${Command} text=${shell('mlengine', 'tables', 'query', '--destination', `${form.dataset || 'DATASET'}.${form.table || 'TABLE'}`, form.write === 'WRITE_TRUNCATE' && '--replace', form.write === 'WRITE_APPEND' && '--append', '--project', project, job.configuration.query.query)} />
    <button class="main" disabled=${save.busy || !form.dataset || !form.table}>${t('save')}</button>
    <div role="status">${saved && !problem(saved) && html`<p class="note">${t('saved')} <a href=${url(project, 'tables', form.dataset, form.table)}>${t('openTable')}</a></p>`}</div>
    <${Trouble} error=${save.error} />${saved && html`<${Outcome} job=${saved} />`}</form><//>`;
}

const time = (millis) => millis && html`<time title=${utc(`${millis}000`)}>${local(`${millis}000`)}</time>`;
const took = (statistics) => (statistics.endTime && statistics.startTime ? duration((statistics.endTime - statistics.startTime) / 1000) : '');

function Statistics({ project, job }) {
  const { statistics } = job;
  const query = statistics.query || {};
  const versions = Object.entries(query.mlengine?.versions || {});
  const target = job.configuration.query?.destinationTable;
  const columns = [
    { id: 'table', title: t('table'), cell: ([name]) => { const [, dataset, table] = name.split(/[.:]/); return html`<a href=${url(project, 'tables', dataset, table)}>${name}</a>`; } },
    { id: 'version', title: t('version'), class: 'number', cell: ([, version]) => version },
  ];
  return html`<${Facts} rows=${[
      [t('job'), html`<code>${job.jobReference.jobId}</code>`], [t('state'), html`<${State} value=${problem(job) ? 'FAILED' : job.status.state} />`],
      [t('kind'), query.statementType], [t('user'), job.user_email], [t('created'), time(statistics.creationTime)], [t('took'), took(statistics)],
      [t('bytesRead'), query.totalBytesProcessed && bytes(query.totalBytesProcessed)], [t('rowsChanged'), query.numDmlAffectedRows && number(query.numDmlAffectedRows)],
      [t('destination'), target && !target.datasetId.startsWith('_') && `${target.datasetId}.${target.tableId}`],
    ]} />
    ${versions.length > 0 && html`<h2>${t('tablesRead')}</h2><${Grid} columns=${columns} rows=${versions} keyOf=${([name]) => name} caption=${t('tablesRead')} />`}
    ${query.mlengine?.plan && html`<h2>${t('plan')}</h2><pre class="plan" tabindex="0">${query.mlengine.plan}</pre>`}
    <h2>JSON</h2><${Json} value=${job} />`;
}

function History({ project, open }) {
  const [pages, setPages] = useState({ jobs: [], token: null, busy: false, error: null });
  const path = bigquery(project, 'jobs');
  const found = useLoad((signal) => get(path, { maxResults: PAGE }, { signal }), [path], { every: 5000 });
  const token = pages.token ?? found.value?.nextPageToken;
  const more = async () => {
    setPages({ ...pages, busy: true });
    try {
      const page = await get(path, { maxResults: PAGE, pageToken: token });
      setPages({ jobs: [...pages.jobs, ...page.jobs], token: page.nextPageToken || '', busy: false, error: null });
    } catch (error) {
      setPages({ ...pages, busy: false, error });
    }
  };
  const first = found.value?.jobs || [];
  const seen = new Set(first.map((job) => job.jobReference.jobId));
  const jobs = found.value ? [...first, ...pages.jobs.filter((job) => !seen.has(job.jobReference.jobId))] : null;
  const columns = [
    { id: 'what', title: t('what'), cell: (job) => html`<a class="oneline" href=${`${url(project, 'tables', 'query')}?job=${encodeURIComponent(job.jobReference.jobId)}`}
        onClick=${(event) => { event.preventDefault(); open(job.jobReference.jobId); }}>${whatOf(job)}</a>` },
    { id: 'kind', title: t('kind'), cell: (job) => job.configuration.jobType },
    { id: 'state', title: t('state'), cell: (job) => html`<${State} value=${job.errorResult ? 'FAILED' : job.state} />` },
    { id: 'created', title: t('created'), class: 'time', cell: (job) => time(job.statistics.creationTime) },
    { id: 'took', title: t('took'), class: 'number', cell: (job) => took(job.statistics) },
    { id: 'size', title: t('bytesRead'), class: 'number', cell: (job) => bytes(job.statistics.query?.totalBytesProcessed) },
    { id: 'user', title: t('user'), cell: (job) => job.user_email },
  ];
  return html`<${Grid} columns=${columns} rows=${jobs} error=${found.error || pages.error} again=${found.reload} keyOf=${(job) => job.jobReference.jobId} caption=${t('history')}
      more=${token ? more : null} loading=${pages.busy} empty=${html`<p class="quiet">${t('noHistory')}</p>`} />`;
}

const named = (table) => (table ? `${table.datasetId}.${table.tableId}` : '');
function whatOf(job) {
  const { configuration } = job;
  if (configuration.query) return configuration.query.query.replace(/\s+/g, ' ').slice(0, 160);
  const { load, copy, extract } = configuration;
  if (load) return `→ ${named(load.destinationTable)}`;
  if (copy) return `${named(copy.sourceTable || copy.sourceTables?.[0])} → ${named(copy.destinationTable)}`;
  return `${named(extract?.sourceTable)} → ${extract?.destinationUris?.[0] || extract?.destinationUri || ''}`;
}
