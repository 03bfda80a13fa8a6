// The columns of a table: as a table to read, and as a form to write, with fields within fields.
import { html, useState } from '../core/base.js';
import { MODES, TYPES } from '../core/tables.js';
import { translator, useLanguage } from '../core/words.js';
import { Trouble } from './basics.js';
import { Grid } from './grid.js';
import { typeText } from './table_rows.js';
import words from '../words/tables.js';

const t = translator(words);
export const blank = () => ({ name: '', type: 'STRING', mode: 'NULLABLE' });

export function SchemaTable({ fields }) {
  useLanguage();
  const rows = flat(fields, '');
  const columns = [
    { id: 'name', title: t('column'), cell: (row) => html`<span class="quiet">${row.within}</span>${row.field.name}` },
    { id: 'type', title: t('type'), cell: (row) => html`<code>${typeText({ ...row.field, mode: '' })}</code>` },
    { id: 'mode', title: t('mode'), cell: (row) => row.field.mode || 'NULLABLE' },
    { id: 'description', title: t('description'), cell: (row) => row.field.description || html`<span class="quiet">–</span>` },
  ];
  return html`<${Grid} columns=${columns} rows=${rows} keyOf=${(row) => row.within + row.field.name} caption=${t('schema')} empty=${html`<p class="quiet">${t('noColumns')}</p>`} />`;
}

const flat = (fields, within) => fields.flatMap((field) => [{ field, within }, ...flat(field.fields || [], `${within}${field.name}.`)]);

// `fields` and `change(fields)`. The same schema can be written as JSON.
export function SchemaEditor({ fields, change }) {
  useLanguage();
  const [text, setText] = useState(null);
  const [error, setError] = useState(null);
  const asText = () => setText(JSON.stringify(named(fields), null, 2));
  const typed = (written) => {
    setText(written);
    try {
      const read = JSON.parse(written);
      const found = Array.isArray(read) ? read : read.fields;
      if (!Array.isArray(found)) throw new Error(t('schemaList'));
      change(found.map((field) => ({ ...blank(), ...field })));
      setError(null);
    } catch (fault) {
      setError(fault);
    }
  };
  return html`<fieldset class="schema"><legend>${t('schema')}</legend>
    ${text === null
      ? html`<${Fields} fields=${fields} change=${change} />
          <button type="button" class="small" onClick=${asText}>${t('asJson')}</button>`
      : html`<label><span>${t('schemaJson')}</span><textarea class="code" rows="10" spellcheck="false" value=${text} onInput=${(event) => typed(event.target.value)}></textarea></label>
          <${Trouble} error=${error} />
          <button type="button" class="small" disabled=${Boolean(error)} onClick=${() => setText(null)}>${t('asForm')}</button>`}
  </fieldset>`;
}

const tidy = ({ name, type, mode, fields, ...more }) => ({ ...more, name, type, mode: mode || 'NULLABLE', ...(type === 'RECORD' ? { fields } : {}) });
// The fields that have a name: a last line that was left empty is none.
export const named = (fields) => fields.filter((field) => field.name.trim()).map((field) => tidy({ ...field, name: field.name.trim(), fields: named(field.fields || []) }));

function Fields({ fields, change, within = '' }) {
  const put = (at, what) => change(fields.map((field, place) => (place === at ? { ...field, ...what } : field)));
  const retype = (at, type) => put(at, { type, ...(type === 'RECORD' && !fields[at].fields?.length && { fields: [blank()] }) });
  return html`<ul class="columns">${fields.map((field, at) => html`<li key=${at}>
      <div class="bar">
        <label><span>${t('column')}</span><input size="16" value=${field.name} onInput=${(event) => put(at, { name: event.target.value })} /></label>
        <label><span>${t('type')}</span><select value=${field.type} onChange=${(event) => retype(at, event.target.value)}>${TYPES.map((type) => html`<option key=${type}>${type}</option>`)}</select></label>
        <label><span>${t('mode')}</span><select value=${field.mode || 'NULLABLE'} onChange=${(event) => put(at, { mode: event.target.value })}>${MODES.map((mode) => html`<option key=${mode}>${mode}</option>`)}</select></label>
        <button type="button" class="small drop" aria-label=${t('removeColumn', { name: within + field.name })} title=${t('removeColumn', { name: within + field.name })}
          onClick=${() => change(fields.filter((_, place) => place !== at))}>✕</button>
      </div>
      ${field.type === 'RECORD' && html`<${Fields} fields=${field.fields || []} within=${`${within}${field.name}.`} change=${(inner) => put(at, { fields: inner })} />`}
    </li>`)}</ul>
    <button type="button" class="small" onClick=${() => change([...fields, blank()])}>${!within ? t('addColumn') : within === '.' ? t('addFieldHere') : t('addField', { name: within.slice(0, -1) })}</button>${' '}`;
}
