// A file into a table: from this browser or from a bucket, with what it says of bad rows and lost digits.
import { html, useState } from '../core/base.js';
import { useAction } from '../core/load.js';
import { url } from '../core/router.js';
import { FORMATS, begin, columnsText, finished, formatWord, loadFile, problem, reference, remarks } from '../core/tables.js';
import { translator, useLanguage } from '../core/words.js';
import { Command, Dialog, Trouble, shell } from './basics.js';
import { SchemaEditor, blank, named } from './table_schema.js';
import words from '../words/tables.js';

const t = translator(words);
const WRITES = ['WRITE_APPEND', 'WRITE_TRUNCATE'];

const formatOf = (name) => {
  const bare = name.toLowerCase().replace(/\.gz$/, '');
  if (/\.(json|jsonl|ndjson)$/.test(bare)) return 'NEWLINE_DELIMITED_JSON';
  if (bare.endsWith('.parquet')) return 'PARQUET';
  if (bare.endsWith('.avro')) return 'AVRO';
  return bare.endsWith('.orc') ? 'ORC' : 'CSV';
};

export function LoadDialog({ project, dataset = '', table = '', exists = false, close, done }) {
  useLanguage();
  const [from, setFrom] = useState('file');
  const [file, setFile] = useState(null);
  const [uri, setUri] = useState('');
  const [into, setInto] = useState({ dataset, table });
  const [form, setForm] = useState({ format: 'CSV', autodetect: !exists, skip: '', delimiter: '', bad: '', write: 'WRITE_APPEND' });
  const [fields, setFields] = useState([blank()]);
  const [share, setShare] = useState(null);
  const put = (what) => setForm({ ...form, ...what });
  const schema = named(fields);
  const isCsv = form.format === 'CSV';
  const detects = form.autodetect || !['CSV', 'NEWLINE_DELIMITED_JSON'].includes(form.format);
  const load = useAction(async () => {
    const configuration = { load: {
      destinationTable: reference(project, into.dataset, into.table), sourceFormat: form.format, writeDisposition: form.write,
      ...(form.autodetect && { autodetect: true }), ...(!detects && schema.length > 0 && { schema: { fields: schema } }),
      ...(isCsv && form.skip !== '' && { skipLeadingRows: form.skip }), ...(isCsv && form.delimiter && { fieldDelimiter: form.delimiter }),
      ...(form.bad && { maxBadRecords: Number(form.bad) }), ...(from === 'uri' && { sourceUris: [uri] }),
    } };
    setShare(0);
    try {
      const started = from === 'uri' ? await begin(project, configuration) : await loadFile(project, configuration, file, setShare);
      setShare(1);
      return await finished(project, started);
    } finally {
      setShare(null);
    }
  });
  const [job, setJob] = useState(null);
  const submit = async (event) => {
    event.preventDefault();
    setJob(null);
    const found = await load.run();
    if (!found) return;
    setJob(found);
    if (!problem(found)) done?.();
  };
  const choose = (event) => {
    const found = event.target.files[0] || null;
    setFile(found);
    if (!found) return;
    const format = formatOf(found.name);
    put({ format });
    if (!into.table) setInto({ ...into, table: found.name.split('.')[0].replace(/\W+/g, '_') });
  };
  const source = from === 'uri' ? uri || 'gs://BUCKET/FILE' : file?.name || 'FILE';
  const command = shell('mlengine', 'tables', 'load', ['--source-format', formatWord(form.format)], form.autodetect && '--autodetect',
    isCsv && form.skip !== '' && ['--skip-leading-rows', form.skip], isCsv && form.delimiter && ['--field-delimiter', form.delimiter], form.bad && ['--max-bad-records', form.bad],
    form.write === 'WRITE_TRUNCATE' && '--replace', !detects && schema.length > 0 && ['--schema', columnsText(schema)],
    '--project', project, `${into.dataset || 'DATASET'}.${into.table || 'TABLE'}`, source);
  return html`<${Dialog} title=${t('loadTitle')} onClose=${close}><form onSubmit=${submit}>
    <div class="fields">
      <label><span>${t('from')}</span><select value=${from} onChange=${(event) => setFrom(event.target.value)}>
        <option value="file">${t('fromFile')}</option><option value="uri">${t('fromBucket')}</option></select></label>
      ${from === 'file'
        ? html`<label key="file"><span>${t('file')}</span><input type="file" required onChange=${choose} /></label>`
        : html`<label key="uri"><span>${t('uri')}</span><input required placeholder="gs://bucket/train*.csv" pattern="gs://.+/.+" value=${uri}
            onInput=${(event) => { setUri(event.target.value); put({ format: formatOf(event.target.value) }); }} /></label>`}
      <label><span>${t('dataset')}</span><input required readonly=${exists} value=${into.dataset} onInput=${(event) => setInto({ ...into, dataset: event.target.value })} /></label>
      <label><span>${t('table')}</span><input required readonly=${exists} value=${into.table} onInput=${(event) => setInto({ ...into, table: event.target.value })} /></label>
      <label><span>${t('format')}</span><select value=${form.format} onChange=${(event) => put({ format: event.target.value })}>${FORMATS.map((name) => html`<option key=${name}>${name}</option>`)}</select></label>
      <label><span>${t('write')}</span><select value=${form.write} onChange=${(event) => put({ write: event.target.value })}>${WRITES.map((name) => html`<option key=${name} value=${name}>${t(name)}</option>`)}</select></label>
      ${isCsv && html`<label><span>${t('skip')}</span><input type="number" min="0" placeholder=${form.autodetect ? t('automatic') : '0'} value=${form.skip} onInput=${(event) => put({ skip: event.target.value })} /></label>
        <label><span>${t('delimiter')}</span><input placeholder="," value=${form.delimiter} onInput=${(event) => put({ delimiter: event.target.value })} /></label>`}
      <label><span>${t('bad')}</span><input type="number" min="0" placeholder="0" value=${form.bad} onInput=${(event) => put({ bad: event.target.value })} /></label>
    </div>
    ${['CSV', 'NEWLINE_DELIMITED_JSON'].includes(form.format) && html`<label class="check"><input type="checkbox" checked=${form.autodetect} onChange=${(event) => put({ autodetect: event.target.checked })} /> ${t('autodetect')}</label>`}
    ${!detects && (exists ? html`<p class="quiet">${t('asTableHint')}</p>` : html`<${SchemaEditor} fields=${fields} change=${setFields} />`)}
    <${Command} text=${command} />
    <button class="main" disabled=${load.busy}>${t('load')}</button>
    <div role="status">${share !== null && html`<p>${share < 1 ? t('sending', { percent: `${Math.floor(100 * share)} %` }) : t('loadingRows')} <progress max="1" value=${share < 1 ? share : undefined}></progress></p>`}
      ${job && !problem(job) && html`<p class="note">${t('loaded', { rows: Number(job.statistics.load.outputRows).toLocaleString(), table: `${into.dataset}.${into.table}` })}
        <a href=${url(project, 'tables', into.dataset, into.table)} onClick=${close}>${t('openTable')}</a></p>`}</div>
    <${Trouble} error=${load.error} />
    ${job && html`<${Outcome} job=${job} />`}
  </form><//>`;
}

// What a job failed of, and what it remarks beside.
export function Outcome({ job }) {
  useLanguage();
  const said = remarks(job);
  const failed = problem(job);
  const rest = said.filter((one) => one !== failed?.message);
  return html`<${Trouble} error=${failed} />
    ${rest.length > 0 && html`<div class=${failed ? 'trouble' : 'note'} role=${failed ? 'alert' : 'status'}><strong>${failed ? t('badRows', { count: rest.length }) : t('warnings')}</strong>
      <ul class="remarks">${rest.map((one, at) => html`<li key=${at}>${one}</li>`)}</ul></div>`}`;
}
