// The beginning of an object as people read it: a table, text, or a picture. Only as much is fetched as is shown.
import { html, useEffect, useState } from '../core/base.js';
import { call } from '../core/api.js';
import { bytes, number } from '../core/format.js';
import { useLoad } from '../core/load.js';
import { utc } from '../core/tables.js';
import { translator, useLanguage } from '../core/words.js';
import { Loading, Trouble } from './basics.js';
import { Grid } from './grid.js';
import words from '../words/buckets.js';

const t = translator(words);
const TEXT = 64 * 1024;
const LARGEST_IMAGE = 10 * 1024 * 1024;
const MOST_ROWS = 100;

const kindOf = (item) => {
  const name = item.name.toLowerCase();
  const type = item.contentType || '';
  if (name.endsWith('.parquet')) return 'parquet';
  if (/\.(png|jpe?g|gif|webp|svg)$/.test(name) || type.startsWith('image/')) return 'image';
  if (/\.[ct]sv$/.test(name) || type.startsWith('text/csv')) return 'csv';
  if (/\.(json|jsonl|ndjson)$/.test(name) || type.startsWith('application/json')) return 'json';
  if (/\.(txt|md|py|ya?ml|toml|log|cfg|ini|sh|sql|html|xml)$/.test(name) || type.startsWith('text/')) return 'text';
  return '';
};

const part = async (path, from, to, signal) =>
  (await call('GET', path, { query: { alt: 'media' }, headers: { Range: `bytes=${from}-${to}` }, raw: true, signal })).arrayBuffer();

export function Preview({ path, item }) {
  useLanguage();
  const kind = kindOf(item);
  if (!kind) return html`<p class="quiet">${t('noPreview')}</p>`;
  if (Number(item.size) === 0) return html`<p class="quiet">${t('emptyFile')}</p>`;
  if (kind === 'image') return html`<${Picture} path=${path} item=${item} />`;
  if (kind === 'parquet') return html`<${Parquet} path=${path} item=${item} />`;
  return html`<${Text} path=${path} item=${item} kind=${kind} />`;
}

function Text({ path, item, kind }) {
  const size = Number(item.size);
  const found = useLoad(async (signal) => new TextDecoder().decode(await part(path, 0, Math.min(size, TEXT) - 1, signal)), [path, item.generation]);
  if (found.value === undefined) return found.error ? html`<${Trouble} error=${found.error} />` : html`<${Loading} />`;
  const isCut = size > TEXT;
  const cut = isCut && html`<p class="quiet">${t('cut', { shown: bytes(TEXT), all: bytes(size) })}</p>`;
  let text = isCut ? found.value.slice(0, found.value.lastIndexOf('\n') + 1) || found.value : found.value;
  if (kind === 'csv') {
    const rows = separated(text, item.name.toLowerCase().endsWith('.tsv') ? '\t' : ',').slice(0, MOST_ROWS + 1);
    return html`${cut}<${Sheet} names=${rows[0] || []} rows=${rows.slice(1)} />`;
  }
  if (kind === 'json' && !isCut) {
    try {
      text = JSON.stringify(JSON.parse(text), null, 2);
    } catch {
      // Lines of JSON, or something else: shown as it is.
    }
  }
  return html`${cut}<pre tabindex="0">${text}</pre>`;
}

function Sheet({ names, rows }) {
  const columns = names.map((name, at) => ({ id: `${at}`, title: name, cell: (row) => shown(row[at]) }));
  return html`<${Grid} columns=${columns} rows=${rows} caption=${t('preview')} />`;
}

const shown = (value) => {
  if (value === null || value === undefined) return html`<span class="quiet">null</span>`;
  if (value instanceof Date) return value.toISOString();
  if (typeof value === 'object') return JSON.stringify(value, (_, one) => (typeof one === 'bigint' ? (Number.isSafeInteger(Number(one)) ? Number(one) : String(one)) : one))?.slice(0, 200);
  return String(value).slice(0, 200);
};

// Fields of RFC 4180: quotes, doubled quotes, line breaks within quotes.
export function separated(text, comma) {
  const rows = [[]];
  let field = '';
  let quoted = false;
  for (let at = 0; at < text.length; at += 1) {
    const letter = text[at];
    if (quoted) {
      if (letter !== '"') field += letter;
      else if (text[at + 1] === '"') field += text[(at += 1)];
      else quoted = false;
    } else if (letter === '"' && field === '') quoted = true;
    else if (letter === comma || letter === '\n') {
      rows.at(-1).push(field.replace(/\r$/, ''));
      field = '';
      if (letter === '\n') rows.push([]);
    } else field += letter;
  }
  if (field !== '' || rows.at(-1).length) rows.at(-1).push(field);
  return rows.filter((row) => row.length);
}

// Times with all their digits, as text; a Date of the browser ends at the millisecond.
const EXACT = {
  timestampFromMilliseconds: (millis) => utc(`${millis}000`),
  timestampFromMicroseconds: (micros) => utc(String(micros)),
  timestampFromNanoseconds: (nanos) => utc(String(nanos / 1000n)),
  dateFromDays: (days) => new Date(days * 86400000).toISOString().slice(0, 10),
};

function Parquet({ path, item }) {
  const found = useLoad(async (signal) => {
    const { parquetMetadataAsync, parquetReadObjects } = await import('../vendor/hyparquet/index.js');
    const size = Number(item.size);
    const file = { byteLength: size, slice: (from, to = size) => part(path, from, to - 1, signal) };
    const metadata = await parquetMetadataAsync(file);
    const compressors = {};
    if (metadata.row_groups.some((group) => group.columns.some((column) => column.meta_data?.codec === 'ZSTD'))) {
      const { decompress } = await import('../vendor/fzstd.js');
      compressors.ZSTD = (packed, length) => decompress(packed, new Uint8Array(length));
    }
    const rows = await parquetReadObjects({ file, metadata, compressors, parsers: EXACT, rowStart: 0, rowEnd: Math.min(MOST_ROWS, Number(metadata.num_rows)) });
    const names = metadata.schema[0].num_children ? Object.keys(rows[0] || {}) : [];
    return { count: Number(metadata.num_rows), names, rows: rows.map((row) => names.map((name) => row[name])) };
  }, [path, item.generation]);
  if (!found.value) return found.error ? html`<${Trouble} error=${found.error} />` : html`<${Loading} />`;
  const { count, names, rows } = found.value;
  return html`<p class="quiet">${t('rows', { count: number(count), columns: names.length })}</p><${Sheet} names=${names} rows=${rows} />`;
}

function Picture({ path, item }) {
  const [source, setSource] = useState('');
  const [error, setError] = useState(null);
  const fits = Number(item.size) <= LARGEST_IMAGE;
  useEffect(() => {
    if (!fits) return undefined;
    let address = '';
    call('GET', path, { query: { alt: 'media' }, raw: true })
      .then(async (answer) => {
        // As a picture it cannot run anything, whatever the file holds.
        address = URL.createObjectURL(new Blob([await answer.arrayBuffer()], { type: item.contentType }));
        setSource(address);
      })
      .catch(setError);
    return () => address && URL.revokeObjectURL(address);
  }, [path]);
  if (!fits) return html`<p class="quiet">${t('tooBig', { size: bytes(item.size) })}</p>`;
  if (error) return html`<${Trouble} error=${error} />`;
  return source ? html`<img class="picture" src=${source} alt=${item.name} />` : html`<${Loading} />`;
}

// Downloads with the caller's token, which a plain link could not carry.
export async function save(path, name) {
  const answer = await call('GET', path, { query: { alt: 'media' }, raw: true });
  const link = document.createElement('a');
  link.href = URL.createObjectURL(await answer.blob());
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}
