// A table of things: columns told once, rows as links, more on demand.
import { html } from '../core/base.js';
import { translator, useLanguage } from '../core/words.js';
import words from '../words/shell.js';
import { Loading, Trouble } from './basics.js';

const t = translator(words);

// `columns`: [{id, title, cell(row), class}], first cell is the row's heading. `more`: called for the next page.
// In an element of its own: this Preact loses the place of a part whose outermost element becomes another one.
export function Grid(given) {
  useLanguage();
  return html`<div class="grid">${table(given)}</div>`;
}

function table({ columns, rows, caption, keyOf, more, loading, error, again, empty }) {
  if (error && !rows?.length) return html`<${Trouble} error=${error} again=${again} />`;
  if (!rows) return html`<${Loading} />`;
  if (!rows.length && !loading) return empty || html`<p class="quiet">${t('nothing')}</p>`;
  return html`<div class="scroll" tabindex="0" role="region" aria-label=${caption}>
      <table><caption class="unseen">${caption}</caption>
        <thead><tr>${columns.map((column) => html`<th key=${column.id} scope="col" class=${column.class || ''}>${column.title}</th>`)}</tr></thead>
        <tbody>${rows.map((row, place) => html`<tr key=${keyOf ? keyOf(row) : place}>
          ${columns.map((column, at) => at === 0
            ? html`<th key=${column.id} scope="row" class=${column.class || ''}>${column.cell(row)}</th>`
            : html`<td key=${column.id} class=${column.class || ''}>${column.cell(row)}</td>`)}
        </tr>`)}</tbody>
      </table>
    </div>
    ${error && html`<${Trouble} error=${error} again=${again} />`}
    ${more && html`<p><button type="button" disabled=${loading} onClick=${more}>${loading ? t('loading') : t('more')}</button></p>`}`;
}
