// One table or view: its columns, its rows, what is known of it, and what can be done with it.
import { html, useState } from '../core/base.js';
import { get, patch, remove } from '../core/api.js';
import { bytes, number } from '../core/format.js';
import { useAction, useLoad } from '../core/load.js';
import { go, url, useQuery } from '../core/router.js';
import { begin, bigquery, finished, formatWord, local, path as spelled, problem, reference, sqlType, utc, valuesOf } from '../core/tables.js';
import { translator, useLanguage } from '../core/words.js';
import { Command, Copy, Dialog, Facts, Heading, Labels, Loading, Tabs, Trouble, shell } from '../parts/basics.js';
import { SchemaEditor, SchemaTable, blank, named } from '../parts/table_schema.js';
import { LoadDialog, Outcome } from '../parts/table_load.js';
import { Pager, Rows } from '../parts/table_rows.js';
import words from '../words/tables.js';

const t = translator(words);
const PAGE = 50;

export default function Table({ project, dataset, table: name }) {
  useLanguage();
  const path = bigquery(project, 'datasets', dataset, 'tables', name);
  const [tab, setTab] = useQuery('tab', 'schema');
  const [asks, setAsks] = useState('');
  const found = useLoad((signal) => get(path, undefined, { signal }), [path]);
  const table = found.value;
  const trail = [[t('tables'), url(project, 'tables')], [dataset, `${url(project, 'tables')}?dataset=${encodeURIComponent(dataset)}`]];
  if (!table) return html`<${Heading} title=${name} path=${trail} />${found.error ? html`<${Trouble} error=${found.error} again=${found.reload} />` : html`<${Loading} />`}`;
  const isView = table.type === 'VIEW';
  const about = { project, dataset, name, path, table, isView, again: found.reload };
  const query = `SELECT *\nFROM ${spelled(dataset, name)}\nLIMIT 100`;
  const actions = html`<a class="button main" href=${queryUrl(project, query)}>${t('query')}</a>
    ${table.type === 'TABLE' && html`<button type="button" onClick=${() => setAsks('load')}>${t('load')}</button>`}
    ${!isView && html`<button type="button" onClick=${() => setAsks('extract')}>${t('extract')}</button>
      <button type="button" onClick=${() => setAsks('copy')}>${t('copyTable')}</button>`}
    <button type="button" class="danger" onClick=${() => setAsks('delete')}>${t('remove')}</button>`;
  const close = () => setAsks('');
  return html`<${Heading} title=${name} path=${trail} actions=${actions}><span class="state calm">${table.type}</span><//>
    ${table.description && html`<p>${table.description}</p>`}
    <${Tabs} tabs=${[['schema', t('schema')], ['preview', t('preview')], ['details', t('details')]]} value=${tab} onChange=${setTab} label=${name} />
    ${tab === 'schema' && html`<${Schema} ...${about} />`}
    ${tab === 'preview' && html`<${Preview} ...${about} />`}
    ${tab === 'details' && html`<${Details} ...${about} />`}
    ${asks === 'load' && html`<${LoadDialog} project=${project} dataset=${dataset} table=${name} exists close=${close} done=${found.reload} />`}
    ${asks === 'extract' && html`<${Extract} ...${about} close=${close} />`}
    ${asks === 'copy' && html`<${CopyTable} ...${about} close=${close} />`}
    ${asks === 'delete' && html`<${Delete} ...${about} close=${close} />`}`;
}

const queryUrl = (project, sql) => `${url(project, 'tables', 'query')}?sql=${encodeURIComponent(sql)}`;

function Schema({ project, dataset, name, path, table, isView, again }) {
  const [asks, setAsks] = useState(false);
  return html`${isView && html`<h2>SQL</h2><pre tabindex="0">${table.view.query}</pre><h2>${t('schema')}</h2>`}
    <${SchemaTable} fields=${table.schema?.fields || []} />
    ${table.type === 'TABLE' && html`<p><button type="button" onClick=${() => setAsks(true)}>${t('addColumns')}</button></p>`}
    <${Command} text=${shell('mlengine', 'tables', 'show', '--schema', '--project', project, `${dataset}.${name}`)} />
    ${asks && html`<${AddColumns} project=${project} dataset=${dataset} name=${name} path=${path} table=${table} close=${() => setAsks(false)} done=${again} />`}`;
}

function AddColumns({ project, dataset, name, path, table, close, done }) {
  const [fields, setFields] = useState([blank()]);
  const both = [...(table.schema?.fields || []), ...named(fields)];
  const change = useAction(() => patch(path, { schema: { fields: both } }));
  const submit = async (event) => {
    event.preventDefault();
    if (!(await change.run())) return;
    done();
    close();
  };
  const sql = named(fields).map((field) => `ADD COLUMN ${field.name} ${sqlType(field)}`).join(', ');
  return html`<${Dialog} title=${t('addColumns')} onClose=${close}><form onSubmit=${submit}>
    <p class="quiet">${t('addColumnsHint')}</p><${SchemaEditor} fields=${fields} change=${setFields} />
    <${Trouble} error=${change.error} />
    <${Command} text=${shell('mlengine', 'tables', 'query', '--project', project, `ALTER TABLE ${spelled(dataset, name)} ${sql || 'ADD COLUMN …'}`)} />
    <button class="main" disabled=${change.busy || !sql}>${t('addColumn')}</button></form><//>`;
}

function Preview({ project, dataset, name, path, table, isView }) {
  const [from, setFrom] = useQuery('start', '0');
  const [wanted, setWanted] = useQuery('columns');
  const fields = table.schema?.fields || [];
  const chosen = wanted.split(',').filter((column) => fields.some((field) => field.name === column));
  const start = Number(from) || 0;
  const found = useLoad((signal) => (isView ? null : get(`${path}/data`, {
    startIndex: String(start), maxResults: PAGE, selectedFields: chosen.join(','), 'formatOptions.useInt64Timestamp': 'true',
  }, { signal }).then((page) => ({ ...page, start, chosen }))), [path, start, wanted]);
  if (isView) return html`<div class="note">${t('viewNoRows')}</div><a class="button" href=${queryUrl(project, `SELECT *\nFROM ${spelled(dataset, name)}\nLIMIT 100`)}>${t('query')}</a>`;
  const page = found.value;
  const picked = page?.chosen.length ? page.chosen : fields.map((field) => field.name);
  const shown = fields.length ? picked.map((column) => fields.find((field) => field.name === column)) : [];
  const toggle = (column) => {
    const before = chosen.length ? chosen : fields.map((field) => field.name);
    const next = before.includes(column) ? before.filter((one) => one !== column) : fields.map((field) => field.name).filter((one) => one === column || before.includes(one));
    setWanted(next.length === fields.length ? '' : next.join(','));
  };
  const rows = page && (page.rows || []).map((row) => valuesOf(shown, row));
  return html`${fields.length > 1 && html`<details class="choose"><summary>${t('columnsShown', { count: chosen.length || fields.length, all: fields.length })}</summary>
      <div class="bar">${fields.map((field) => html`<label key=${field.name} class="check"><input type="checkbox" checked=${!chosen.length || chosen.includes(field.name)}
        disabled=${chosen.length === 1 && chosen[0] === field.name} onChange=${() => toggle(field.name)} /> ${field.name}</label>`)}</div></details>`}
    <${Rows} fields=${shown} rows=${rows} start=${page?.start || 0} caption=${t('preview')} error=${found.error} again=${found.reload} empty=${html`<p class="quiet">${t('noRows')}</p>`} />
    ${page && html`<${Pager} start=${page.start} size=${PAGE} shown=${rows.length} total=${Number(page.totalRows)} go=${(next) => setFrom(String(next))} busy=${found.loading} />`}
    <${Command} text=${chosen.length
      ? shell('mlengine', 'tables', 'query', '--max-rows', PAGE, '--project', project, `SELECT ${chosen.join(', ')} FROM ${spelled(dataset, name)}`)
      : shell('mlengine', 'tables', 'head', '--max-rows', PAGE, start > 0 && ['--start-row', start], '--project', project, `${dataset}.${name}`)} />`;
}

const time = (millis) => millis && html`<time title=${utc(`${millis}000`)}>${local(`${millis}000`)}</time>`;

function Details({ project, dataset, name, table, isView, again, path }) {
  const [when, setWhen] = useState('');
  const past = when && new Date(when);
  const asOf = past && `SELECT *\nFROM ${spelled(dataset, name)}\n  FOR SYSTEM_TIME AS OF TIMESTAMP '${past.toISOString().replace('T', ' ').replace('Z', '+00')}'\nLIMIT 100`;
  const address = `${project}.${dataset}.${name}`;
  return html`<${Facts} rows=${[
      [t('address'), html`<code>${address}</code> <${Copy} text=${address} />`],
      [t('rows'), !isView && number(table.numRows)], [t('size'), !isView && bytes(table.numBytes)],
      [t('created'), time(table.creationTime)], [t('changed'), time(table.lastModifiedTime)],
      [t('expires'), table.expirationTime ? time(table.expirationTime) : t('never')],
      [t('version'), table.mlengine?.version], [t('location'), table.location],
      [t('partitioning'), table.timePartitioning && `${table.timePartitioning.type || 'DAY'} (${table.timePartitioning.field})`],
      [t('clustering'), table.clustering?.fields?.join(', ')],
      [t('labels'), table.labels && html`<${Labels} labels=${table.labels} />`],
    ]} />
    <${Say} path=${path} table=${table} again=${again} />
    ${!isView && html`<h2>${t('past')}</h2><p class="quiet">${t('pastText')}</p>
      <div class="bar"><label><span>${t('asOf')}</span><input type="datetime-local" step="1" value=${when} onInput=${(event) => setWhen(event.target.value)} /></label>
        ${asOf ? html`<a class="button" href=${queryUrl(project, asOf)}>${t('queryAsOf')}</a>` : html`<button type="button" disabled>${t('queryAsOf')}</button>`}</div>
      ${past && html`<${Command} title=${t('restoreHow')} text=${shell('mlengine', 'tables', 'cp', '--project', project, `${dataset}.${name}@${past.getTime()}`, `${dataset}.${name}_restored`)} />`}`}
    <${Command} text=${shell('mlengine', 'tables', 'show', '--project', project, `${dataset}.${name}`)} />`;
}

// Description and expiration, which can be changed.
function Say({ path, table, again }) {
  const [description, setDescription] = useState(table.description || '');
  const [days, setDays] = useState('');
  const save = useAction(() => patch(path, {
    description: description || null, ...(days && { expirationTime: String(Date.now() + Math.round(Number(days) * 86400000)) }),
  }));
  const submit = async (event) => {
    event.preventDefault();
    if (await save.run()) again();
  };
  return html`<form class="bar" onSubmit=${submit}>
      <label><span>${t('description')}</span><input size="40" value=${description} onInput=${(event) => setDescription(event.target.value)} /></label>
      <label><span>${t('expireIn')}</span><input type="number" min="0.001" step="any" placeholder="–" value=${days} onInput=${(event) => setDays(event.target.value)} /></label>
      <button disabled=${save.busy}>${t('save')}</button></form><${Trouble} error=${save.error} />`;
}

// A job that a dialog runs to its end.
function useJob(project, configuration) {
  const [job, setJob] = useState(null);
  const work = useAction(async () => {
    setJob(null);
    const found = await finished(project, await begin(project, configuration));
    setJob(found);
    return found;
  });
  return { ...work, job };
}

function Extract({ project, dataset, name, close }) {
  const [form, setForm] = useState({ uri: '', format: 'CSV', gzip: false, header: true });
  const put = (what) => setForm({ ...form, ...what });
  const isText = form.format !== 'PARQUET';
  const work = useJob(project, { extract: {
    sourceTable: reference(project, dataset, name), destinationUris: [form.uri], destinationFormat: form.format,
    ...(isText && form.gzip && { compression: 'GZIP' }), ...(form.format === 'CSV' && !form.header && { printHeader: false }),
  } });
  const submit = (event) => {
    event.preventDefault();
    work.run();
  };
  return html`<${Dialog} title=${t('extractTitle')} onClose=${close}><form onSubmit=${submit}>
    <div class="fields">
      <label class="wide"><span>${t('toUri')}</span><input required pattern="gs://.+/.+" placeholder=${`gs://bucket/${name}.csv`} value=${form.uri} onInput=${(event) => put({ uri: event.target.value })} /></label>
      <label><span>${t('format')}</span><select value=${form.format} onChange=${(event) => put({ format: event.target.value })}>${['CSV', 'NEWLINE_DELIMITED_JSON', 'PARQUET'].map((one) => html`<option key=${one}>${one}</option>`)}</select></label>
    </div>
    ${isText && html`<label class="check"><input type="checkbox" checked=${form.gzip} onChange=${(event) => put({ gzip: event.target.checked })} /> ${t('gzip')}</label>`}
    ${form.format === 'CSV' && html`<label class="check"><input type="checkbox" checked=${form.header} onChange=${(event) => put({ header: event.target.checked })} /> ${t('header')}</label>`}
    <${Command} text=${shell('mlengine', 'tables', 'extract', ['--destination-format', formatWord(form.format)], isText && form.gzip && ['--compression', 'gzip'], form.format === 'CSV' && !form.header && '--no-print-header', '--project', project, `${dataset}.${name}`, form.uri || 'gs://BUCKET/FILE')} />
    <button class="main" disabled=${work.busy}>${t('extract')}</button>
    <div role="status">${work.busy && t('working')}${work.job && !problem(work.job) && html`<p class="note">${t('extracted', { uri: form.uri })}</p>`}</div>
    <${Trouble} error=${work.error} />${work.job && html`<${Outcome} job=${work.job} />`}</form><//>`;
}

function CopyTable({ project, dataset, name, close }) {
  const [form, setForm] = useState({ dataset, table: `${name}_copy`, write: 'WRITE_EMPTY', when: '' });
  const put = (what) => setForm({ ...form, ...what });
  const source = form.when ? `${name}@${new Date(form.when).getTime()}` : name;
  const work = useJob(project, { copy: {
    sourceTable: reference(project, dataset, source), destinationTable: reference(project, form.dataset, form.table), writeDisposition: form.write,
  } });
  const submit = (event) => {
    event.preventDefault();
    work.run();
  };
  return html`<${Dialog} title=${t('copyTitle')} onClose=${close}><form onSubmit=${submit}>
    <div class="fields">
      <label><span>${t('dataset')}</span><input required value=${form.dataset} onInput=${(event) => put({ dataset: event.target.value })} /></label>
      <label><span>${t('table')}</span><input required value=${form.table} onInput=${(event) => put({ table: event.target.value })} /></label>
      <label><span>${t('write')}</span><select value=${form.write} onChange=${(event) => put({ write: event.target.value })}>${['WRITE_EMPTY', 'WRITE_TRUNCATE', 'WRITE_APPEND'].map((one) => html`<option key=${one} value=${one}>${t(one)}</option>`)}</select></label>
      <label><span>${t('asOfMaybe')}</span><input type="datetime-local" step="1" value=${form.when} onInput=${(event) => put({ when: event.target.value })} /></label>
    </div>
    <${Command} text=${shell('mlengine', 'tables', 'cp', form.write === 'WRITE_TRUNCATE' && '--replace', form.write === 'WRITE_APPEND' && '--append', '--project', project, `${dataset}.${source}`, `${form.dataset}.${form.table}`)} />
    <button class="main" disabled=${work.busy}>${t('copyTable')}</button>
    <div role="status">${work.busy && t('working')}${work.job && !problem(work.job) && html`<p class="note">${t('copied')} <a href=${url(project, 'tables', form.dataset, form.table)}>${t('openTable')}</a></p>`}</div>
    <${Trouble} error=${work.error} />${work.job && html`<${Outcome} job=${work.job} />`}</form><//>`;
}

function Delete({ project, dataset, name, path, close }) {
  const erase = useAction(() => remove(path).then(() => true));
  const gone = async () => {
    if (await erase.run()) go(`${url(project, 'tables')}?dataset=${encodeURIComponent(dataset)}`);
  };
  return html`<${Dialog} title=${t('remove')} onClose=${close}>
    <p>${t('deleteTableAsk', { name: `${dataset}.${name}` })}</p><${Trouble} error=${erase.error} />
    <${Command} text=${shell('mlengine', 'tables', 'rm', '--project', project, `${dataset}.${name}`)} />
    <button type="button" class="danger" disabled=${erase.busy} onClick=${gone}>${t('remove')}</button><//>`;
}
