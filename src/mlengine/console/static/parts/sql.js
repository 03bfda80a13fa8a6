// A box for SQL: Tab indents, Ctrl or Cmd with Enter runs, and the place that an error names is marked.
import { html, useEffect, useRef } from '../core/base.js';
import { placeOf } from '../core/tables.js';
import { translator, useLanguage } from '../core/words.js';
import words from '../words/tables.js';

const t = translator(words);

export function Sql({ value, change, run, error }) {
  useLanguage();
  const box = useRef();
  const marks = useRef();
  // After Escape, Tab leaves the box again, or a keyboard could not get out of it.
  const leaves = useRef(false);
  const place = placeOf(value, error?.message);
  const end = place && place.at + (value.slice(place.at).match(/^(\w+|.)/)?.[0].length || 1);
  const follow = () => {
    marks.current.scrollTop = box.current.scrollTop;
    marks.current.scrollLeft = box.current.scrollLeft;
  };
  useEffect(follow);
  const keys = (event) => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      run();
    } else if (event.key === 'Escape') leaves.current = true;
    else if (event.key === 'Tab' && !leaves.current && !event.shiftKey) {
      event.preventDefault();
      // As typing does, so that it can be undone.
      document.execCommand('insertText', false, '  ');
    } else if (event.key !== 'Tab' && event.key !== 'Shift') leaves.current = false;
  };
  const show = () => {
    box.current.focus();
    box.current.setSelectionRange(place.at, end);
  };
  return html`<div class="sql">
      <pre ref=${marks} aria-hidden="true">${place ? html`${value.slice(0, place.at)}<mark>${value.slice(place.at, end) || ' '}</mark>${value.slice(end)}` : value}${'\n'}</pre>
      <textarea ref=${box} class="code" rows="8" spellcheck="false" autocapitalize="off" autocomplete="off" aria-label="SQL" aria-describedby="sql-keys"
        value=${value} onInput=${(event) => change(event.target.value)} onKeyDown=${keys} onScroll=${follow} onBlur=${() => { leaves.current = false; }}></textarea>
    </div>
    <p class="quiet" id="sql-keys">${t('sqlKeys')} ${place && html`<button type="button" class="small" onClick=${show}>${t('goTo', { place: `${place.line}:${place.column}` })}</button>`}</p>`;
}
