// The datasets of a project with their tables, and the forms that make new ones.
import { html, useEffect, useState } from '../core/base.js';
import { get, post, remove } from '../core/api.js';
import { bytes, moment, number } from '../core/format.js';
import { useAction, useLoad } from '../core/load.js';
import { url, useQuery } from '../core/router.js';
import { all, bigquery, columnsText, reference } from '../core/tables.js';
import { translator, useLanguage } from '../core/words.js';
import { Command, Dialog, Empty, Heading, Labels, Loading, Trouble, shell } from '../parts/basics.js';
import { Grid } from '../parts/grid.js';
import { SchemaEditor, blank, named } from '../parts/table_schema.js';
import { LoadDialog } from '../parts/table_load.js';
import words from '../words/tables.js';

const t = translator(words);
const PAGE = 50;
const MANY = 10; // datasets from which on they can be searched

export default function Tables({ project }) {
  useLanguage();
  const [chosen, setChosen] = useQuery('dataset');
  const [search, setSearch] = useState('');
  const [asks, setAsks] = useState('');
  const found = useLoad((signal) => all(bigquery(project, 'datasets'), 'datasets', signal), [project]);
  const names = found.value?.map((one) => one.datasetReference.datasetId);
  const dataset = chosen || names?.[0] || '';
  const actions = html`<a class="button" href=${url(project, 'tables', 'query')}>${t('query')}</a>
    <button type="button" onClick=${() => setAsks('load')}>${t('load')}</button>
    <button type="button" class="main" onClick=${() => setAsks('dataset')}>${t('newDataset')}</button>`;
  const shown = names?.filter((name) => name.toLowerCase().includes(search.toLowerCase()));
  return html`<${Heading} title=${t('tables')} actions=${actions} />
    <${Trouble} error=${found.error} again=${found.reload} />
    ${!names && !found.error && html`<${Loading} />`}
    ${names && !names.length && html`<${Empty} title=${t('noDatasets')} text=${t('noDatasetsText')} command=${shell('mlengine', 'tables', 'mk', 'my_data', '--project', project)} />`}
    ${names?.length > 0 && html`<div class="datasets">
      <nav aria-label=${t('datasets')}>
        <h2>${t('datasets')}</h2>
        ${names.length >= MANY && html`<input type="search" aria-label=${t('search')} placeholder=${t('search')} value=${search} onInput=${(event) => setSearch(event.target.value)} />`}
        <ul>${shown.map((name) => html`<li key=${name}><button type="button" aria-current=${name === dataset ? 'true' : undefined} onClick=${() => setChosen(name, { push: true })}>${name}</button></li>`)}</ul>
      </nav>
      <${Dataset} key=${dataset} project=${project} dataset=${dataset} gone=${() => { setChosen(''); found.reload(); }} />
    </div>`}
    ${asks === 'dataset' && html`<${NewDataset} project=${project} close=${() => setAsks('')} made=${(name) => { found.reload(); setChosen(name); }} />`}
    ${asks === 'load' && html`<${LoadDialog} project=${project} dataset=${dataset} close=${() => setAsks('')} done=${found.reload} />`}`;
}

function Dataset({ project, dataset, gone }) {
  useLanguage();
  const [asks, setAsks] = useState('');
  const [most, setMost] = useState(PAGE);
  const path = bigquery(project, 'datasets', dataset);
  const about = useLoad((signal) => get(path, undefined, { signal }), [path]);
  const found = useLoad(async (signal) => {
    const tables = [];
    let pageToken = '';
    do {
      const page = await get(`${path}/tables`, { maxResults: Math.min(1000, most - tables.length), pageToken }, { signal });
      tables.push(...(page.tables || []));
      pageToken = page.nextPageToken || '';
    } while (pageToken && tables.length < most);
    return { tables, more: Boolean(pageToken) };
  }, [path, most]);
  const tables = found.value?.tables;
  const figures = useFigures(path, tables);
  const of = (table) => figures[table.tableReference.tableId] || {};
  const href = (table) => url(project, 'tables', dataset, table.tableReference.tableId);
  const columns = [
    { id: 'name', title: t('table'), cell: (table) => html`<a href=${href(table)}>${table.tableReference.tableId}</a>` },
    { id: 'type', title: t('type'), cell: (table) => table.type },
    { id: 'rows', title: t('rows'), class: 'number', cell: (table) => number(of(table).numRows) },
    { id: 'size', title: t('size'), class: 'number', cell: (table) => bytes(of(table).numBytes) },
    { id: 'changed', title: t('changed'), class: 'time', cell: (table) => at(of(table).lastModifiedTime) },
    { id: 'labels', title: t('labels'), cell: (table) => html`<${Labels} labels=${table.labels} />` },
  ];
  const command = shell('mlengine', 'tables', 'load', '--autodetect', '--project', project, `${dataset}.train`, 'train.csv');
  return html`<section aria-label=${dataset}>
    <div class="heading"><div class="row"><h2>${dataset}</h2><span class="quiet">${about.value?.description}</span><${Labels} labels=${about.value?.labels} />
      <div class="actions"><button type="button" class="small" onClick=${() => setAsks('table')}>${t('newTable')}</button>
        <button type="button" class="small" onClick=${() => setAsks('load')}>${t('load')}</button>
        <button type="button" class="small danger" onClick=${() => setAsks('delete')}>${t('deleteDataset')}</button></div></div></div>
    <${Grid} columns=${columns} rows=${tables} error=${found.error} again=${found.reload} loading=${found.loading && Boolean(tables)} keyOf=${(table) => table.tableReference.tableId} caption=${t('tables')}
      more=${found.value?.more ? () => setMost(most + PAGE) : null} empty=${html`<${Empty} title=${t('noTables')} text=${t('noTablesText')} command=${command} />`} />
    <${Command} text=${shell('mlengine', 'tables', 'ls', '--project', project, dataset)} />
    ${asks === 'table' && html`<${NewTable} project=${project} dataset=${dataset} close=${() => setAsks('')} made=${found.reload} />`}
    ${asks === 'load' && html`<${LoadDialog} project=${project} dataset=${dataset} close=${() => setAsks('')} done=${found.reload} />`}
    ${asks === 'delete' && html`<${DeleteDataset} project=${project} dataset=${dataset} close=${() => setAsks('')} gone=${gone} />`}
  </section>`;
}

export const at = (millis) => (millis ? moment(new Date(Number(millis)).toISOString()) : '–');

// A list says neither rows nor bytes; they are asked table by table, a few at a time.
function useFigures(path, tables) {
  const [figures, setFigures] = useState({});
  useEffect(() => {
    const control = new AbortController();
    const waiting = [...(tables || [])];
    const work = async () => {
      for (let table = waiting.shift(); table; table = waiting.shift()) {
        const { tableId } = table.tableReference;
        try {
          const told = await get(`${path}/tables/${encodeURIComponent(tableId)}`, { fields: 'numRows,numBytes,lastModifiedTime' }, { signal: control.signal });
          setFigures((before) => ({ ...before, [tableId]: told }));
        } catch {
          if (control.signal.aborted) return;
        }
      }
    };
    for (let count = 0; count < 4; count += 1) work();
    return () => control.abort();
  }, [path, tables]);
  return figures;
}

function NewDataset({ project, close, made }) {
  const [form, setForm] = useState({ name: '', description: '', days: '' });
  const put = (what) => setForm({ ...form, ...what });
  const lifetime = form.days && String(Math.round(Number(form.days) * 86400000));
  const create = useAction(() => post(bigquery(project, 'datasets'), {
    datasetReference: { projectId: project, datasetId: form.name },
    ...(form.description && { description: form.description }), ...(lifetime && { defaultTableExpirationMs: lifetime }),
  }));
  const submit = async (event) => {
    event.preventDefault();
    if (!(await create.run())) return;
    made(form.name);
    close();
  };
  return html`<${Dialog} title=${t('newDataset')} onClose=${close}><form onSubmit=${submit}>
    <div class="fields">
      <label><span>${t('name')}: ${t('nameHint')}</span><input required value=${form.name} onInput=${(event) => put({ name: event.target.value })} /></label>
      <label><span>${t('description')}</span><input value=${form.description} onInput=${(event) => put({ description: event.target.value })} /></label>
      <label><span>${t('expireDays')}</span><input type="number" min="0.01" step="any" placeholder=${t('never')} value=${form.days} onInput=${(event) => put({ days: event.target.value })} /></label>
    </div>
    <${Trouble} error=${create.error} />
    <${Command} text=${lifetime
      ? shell('mlengine', 'tables', 'query', '--project', project, `CREATE SCHEMA ${form.name || 'DATASET'} OPTIONS (default_table_expiration_days = ${form.days}${form.description && `, description = ${JSON.stringify(form.description)}`})`)
      : shell('mlengine', 'tables', 'mk', form.name || 'DATASET', form.description && ['--description', form.description], '--project', project)} />
    <button class="main" disabled=${create.busy}>${t('create')}</button></form><//>`;
}

function NewTable({ project, dataset, close, made }) {
  const [form, setForm] = useState({ name: '', description: '', view: '', kind: 'TABLE' });
  const [fields, setFields] = useState([blank()]);
  const put = (what) => setForm({ ...form, ...what });
  const isView = form.kind === 'VIEW';
  const create = useAction(() => post(bigquery(project, 'datasets', dataset, 'tables'), {
    tableReference: reference(project, dataset, form.name), ...(form.description && { description: form.description }),
    ...(isView ? { view: { query: form.view, useLegacySql: false } } : { schema: { fields: named(fields) } }),
  }));
  const submit = async (event) => {
    event.preventDefault();
    if (!(await create.run())) return;
    made();
    close();
  };
  const schema = named(fields);
  return html`<${Dialog} title=${t('newTable')} onClose=${close}><form onSubmit=${submit}>
    <div class="fields">
      <label><span>${t('kind')}</span><select value=${form.kind} onChange=${(event) => put({ kind: event.target.value })}><option value="TABLE">${t('table')}</option><option value="VIEW">${t('view')}</option></select></label>
      <label><span>${t('name')}: ${t('nameHint')}</span><input required value=${form.name} onInput=${(event) => put({ name: event.target.value })} /></label>
      <label><span>${t('description')}</span><input value=${form.description} onInput=${(event) => put({ description: event.target.value })} /></label>
    </div>
    ${isView
      ? html`<label><span>SQL</span><textarea class="code" required spellcheck="false" value=${form.view} onInput=${(event) => put({ view: event.target.value })}></textarea></label>`
      : html`<${SchemaEditor} fields=${fields} change=${setFields} />`}
    <${Trouble} error=${create.error} />
    <${Command} text=${shell('mlengine', 'tables', 'mk', `${dataset}.${form.name || 'NAME'}`, isView ? ['--view', form.view || 'SELECT …'] : schema.length > 0 && ['--schema', columnsText(schema)],
      form.description && ['--description', form.description], '--project', project)} />
    <button class="main" disabled=${create.busy}>${t('create')}</button></form><//>`;
}

function DeleteDataset({ project, dataset, close, gone }) {
  const [contents, setContents] = useState(false);
  const erase = useAction(() => remove(bigquery(project, 'datasets', dataset), { query: { deleteContents: contents ? 'true' : '' } }).then(() => true));
  const go = async () => {
    if (!(await erase.run())) return;
    close();
    gone();
  };
  return html`<${Dialog} title=${t('deleteDataset')} onClose=${close}>
    <p>${t('deleteDatasetAsk', { name: dataset })}</p>
    <label class="check"><input type="checkbox" checked=${contents} onChange=${(event) => setContents(event.target.checked)} /> ${t('withTables')}</label>
    <${Trouble} error=${erase.error} />
    <${Command} text=${shell('mlengine', 'tables', 'rm', contents && '-r', '--project', project, dataset)} />
    <button type="button" class="danger" disabled=${erase.busy} onClick=${go}>${t('remove')}</button><//>`;
}
