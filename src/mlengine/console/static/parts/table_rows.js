// Rows of tables as people read them: nulls marked, lists and records unfolded, times in the reader's zone.
import { html } from '../core/base.js';
import { isNumber, local, utc } from '../core/tables.js';
import { translator, useLanguage } from '../core/words.js';
import { Grid } from './grid.js';
import words from '../words/tables.js';

const t = translator(words);
const LONG = 240; // letters of a text that are shown at once
const FEW = 5; // items of a list that are

// `rows`: values as `valuesOf` gives them. `start`: the number of the first one.
export function Rows({ fields, rows, start = 0, caption, loading, error, again, empty }) {
  useLanguage();
  const columns = [
    { id: '#', title: '#', class: 'number quiet', cell: ({ number }) => number },
    ...fields.map((field, at) => ({
      id: `${at}`, title: html`<span title=${typeText(field)}>${field.name}</span>`,
      class: isNumber(field.type) && field.mode !== 'REPEATED' ? 'number' : field.type === 'TIMESTAMP' ? 'time' : '',
      cell: ({ values }) => html`<${Value} field=${field} value=${values[at]} />`,
    })),
  ];
  const numbered = rows?.map((values, at) => ({ values, number: start + at + 1 }));
  return html`<div class="cells"><${Grid} columns=${columns} rows=${numbered} keyOf=${(row) => row.number} caption=${caption}
    loading=${loading} error=${error} again=${again} empty=${empty} /></div>`;
}

export const typeText = (field) => `${field.type}${field.precision ? `(${field.precision}${field.scale ? `, ${field.scale}` : ''})` : ''}${field.mode && field.mode !== 'NULLABLE' ? ` ${field.mode}` : ''}`;

function Value({ field, value }) {
  if (value === null) return html`<span class="null">NULL</span>`;
  if (field.mode === 'REPEATED') return html`<${List} field=${{ ...field, mode: '' }} values=${value} />`;
  if (field.type === 'RECORD') {
    return html`<dl class="record">${field.fields.map((part, at) => html`<div key=${part.name}><dt>${part.name}</dt><dd><${Value} field=${part} value=${value[at]} /></dd></div>`)}</dl>`;
  }
  if (field.type === 'TIMESTAMP') return html`<time title=${utc(value)}>${local(value)}</time>`;
  if (value === '') return html`<span class="null">${t('emptyText')}</span>`;
  if (value.length <= LONG) return html`<span class="text">${value}</span>`;
  return html`<details><summary><span class="text">${value.slice(0, LONG)}…</span></summary><span class="text">${value.slice(LONG)}</span></details>`;
}

function List({ field, values }) {
  if (!values.length) return html`<span class="null">${t('emptyList')}</span>`;
  const shown = (items) => (field.type === 'RECORD'
    ? html`<ol>${items.map((one, at) => html`<li key=${at}><${Value} field=${field} value=${one} /></li>`)}</ol>`
    : html`<span class="list">${items.map((one, at) => html`${at > 0 && ', '}<${Value} field=${field} value=${one} />`)}</span>`);
  if (values.length <= FEW) return shown(values);
  return html`${shown(values.slice(0, FEW))}<details><summary>${t('moreItems', { count: values.length - FEW })}</summary>${shown(values.slice(FEW))}</details>`;
}

// Where one is among many rows, and the way on. `go(start)`.
export function Pager({ start, size, shown, total, go, busy }) {
  useLanguage();
  if (!total || (start === 0 && shown >= total)) return total ? html`<p class="quiet" role="status">${t('allRows', { total: total.toLocaleString() })}</p>` : null;
  const end = start + shown;
  return html`<nav class="bar pager" aria-label=${t('pages')}>
    <button type="button" disabled=${busy || start === 0} onClick=${() => go(0)}>${t('first')}</button>
    <button type="button" disabled=${busy || start === 0} onClick=${() => go(Math.max(0, start - size))}>${t('previous')}</button>
    <button type="button" disabled=${busy || end >= total} onClick=${() => go(end)}>${t('next')}</button>
    <button type="button" disabled=${busy || end >= total} onClick=${() => go(Math.max(0, total - size))}>${t('last')}</button>
    <span class="quiet" role="status">${t('rowsOf', { from: (start + 1).toLocaleString(), to: end.toLocaleString(), total: total.toLocaleString() })}</span>
  </nav>`;
}
