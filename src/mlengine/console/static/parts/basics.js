// Small parts that every page is made of: states, problems, commands to copy, tabs, dialogs, key-value tables.
import { html, useEffect, useRef, useState } from '../core/base.js';
import { translator, useLanguage } from '../core/words.js';
import words from '../words/shell.js';

const t = translator(words);

const TONES = {
  SUCCEEDED: 'good', READY: 'good', DONE: 'good', RUNNING: 'live', PREPARING: 'live', CREATING: 'live',
  QUEUED: 'calm', PENDING: 'calm', FAILED: 'bad', CANCELLED: 'calm', CANCELLING: 'warn', DELETING: 'warn',
  ERROR: 'bad', CRITICAL: 'bad', WARNING: 'warn', LOST: 'bad',
};

// A state in a word and a colour; never by colour alone.
export function State({ value }) {
  return html`<span class=${`state ${TONES[value] || 'calm'}`}><i aria-hidden="true"></i>${value}</span>`;
}

// What the server said when it refused, in its own words, with what to do next.
export function Trouble({ error, again }) {
  useLanguage();
  if (!error) return null;
  return html`<div class="trouble" role="alert">
    <strong>${error.status && error.status !== 'UNREACHABLE' ? error.status : ''}</strong>
    <p>${error.status === 'UNREACHABLE' ? t('unreachable') : error.message}</p>
    ${(error.hints || []).map((hint) => html`<p class="quiet">${hint}</p>`)}
    ${again && html`<button onClick=${again}>${t('tryAgain')}</button>`}
  </div>`;
}

export function Loading() {
  useLanguage();
  return html`<p class="quiet loading" role="status">${t('loading')}</p>`;
}

export function Copy({ text, label }) {
  useLanguage();
  const [done, setDone] = useState(false);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // Without https there is no clipboard; the old way asks nobody.
      const area = Object.assign(document.createElement('textarea'), { value: text });
      document.body.append(area);
      area.select();
      document.execCommand('copy');
      area.remove();
    }
    setDone(true);
    setTimeout(() => setDone(false), 1500);
  };
  return html`<button class="small" type="button" onClick=${copy}>${done ? t('copied') : label || t('copy')}</button>`;
}

// The equivalent command of what a page does; `words` are quoted where a shell would need it.
export const shell = (...parts) =>
  parts.flat(Infinity).filter((part) => part !== '' && part !== null && part !== undefined && part !== false)
    .map((part) => (/^[\w@%+=:,./~-]+$/.test(String(part)) ? part : `'${String(part).replaceAll("'", `'\\''`)}'`)).join(' ');

export function Command({ text, title }) {
  useLanguage();
  return html`<div class="command">
    <span class="quiet">${title || t('command')}</span>
    <div><code>${text}</code><${Copy} text=${text} /></div>
  </div>`;
}

// `tabs`: [[id, label]]; arrow keys move.
export function Tabs({ tabs, value, onChange, label }) {
  const keys = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const place = (tabs.findIndex(([id]) => id === value) + step + tabs.length) % tabs.length;
    onChange(tabs[place][0]);
    event.currentTarget.children[place].focus();
  };
  return html`<div class="tabs" role="tablist" aria-label=${label || ''} onKeyDown=${keys}>
    ${tabs.map(([id, name]) => html`<button key=${id} role="tab" type="button" aria-selected=${id === value}
      tabindex=${id === value ? 0 : -1} onClick=${() => onChange(id)}>${name}</button>`)}
  </div>`;
}

// [[name, value]] with empty ones left out.
export function Facts({ rows }) {
  const shown = rows.filter(([, value]) => value !== undefined && value !== null && value !== '' && value !== false);
  return html`<dl class="facts">${shown.map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}

export function Json({ value }) {
  const text = JSON.stringify(value, null, 2);
  return html`<div class="json"><${Copy} text=${text} /><pre tabindex="0">${text}</pre></div>`;
}

// A modal dialog of the browser's own, so that focus and Escape work as people know them.
export function Dialog({ title, onClose, children }) {
  const box = useRef();
  useLanguage();
  useEffect(() => {
    box.current.showModal();
  }, []);
  return html`<dialog ref=${box} onClose=${onClose} aria-label=${title}>
    <header><h2>${title}</h2><button class="small" type="button" onClick=${() => box.current.close()}>${t('close')}</button></header>
    ${children}
  </dialog>`;
}

// Nothing here yet, and the first command that changes this.
export function Empty({ title, text, command, children }) {
  useLanguage();
  return html`<div class="empty"><h2>${title || t('nothing')}</h2>${text && html`<p>${text}</p>`}
    ${command && html`<${Command} text=${command} />`}${children}</div>`;
}

export function Labels({ labels }) {
  return html`<span class="labels">${Object.entries(labels || {}).map(([key, value]) => html`<span key=${key}>${key}${value ? `=${value}` : ''}</span>`)}</span>`;
}

// A page's heading with its actions, and the path that leads here: [[label, href]].
export function Heading({ title, path = [], actions, children }) {
  useEffect(() => {
    document.title = `${title} · mlengine`;
  }, [title]);
  return html`<header class="heading">
    ${path.length > 0 && html`<nav aria-label="Breadcrumb">${path.map(([name, href]) => html`<a key=${href} href=${href}>${name}</a><span aria-hidden="true">/</span>`)}</nav>`}
    <div class="row"><h1>${title}</h1>${children}<div class="actions">${actions}</div></div>
  </header>`;
}
