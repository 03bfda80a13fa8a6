// The folder a version is made of: typed, or found by walking through buckets; models that lie there are offered.
import { html, useState } from '../core/base.js';
import { get } from '../core/api.js';
import { moment } from '../core/format.js';
import { useLoad } from '../core/load.js';
import { artefact, modelsIn, place } from '../core/models.js';
import { translator, useLanguage } from '../core/words.js';
import { Dialog, Loading, Trouble } from './basics.js';
import words from '../words/model.js';

const t = translator(words);

export function OriginField({ project, value, change }) {
  useLanguage();
  const [browses, setBrowses] = useState(false);
  return html`<div class="wide">
    <div class="bar"><label class="grows"><span>${t('origin')}: ${t('originHint')}</span><input name="origin" value=${value} placeholder="gs://" onInput=${(event) => change(event.target.value)} /></label>
      <button type="button" onClick=${() => setBrowses(true)}>${t('browse')}</button></div>
    ${place(value) && html`<${Found} origin=${value} change=${change} />`}
    ${browses && html`<${Browser} project=${project} origin=${value} close=${() => setBrowses(false)} choose=${(origin) => { change(origin); setBrowses(false); }} />`}
  </div>`;
}

function Found({ origin, change }) {
  const found = useLoad((signal) => modelsIn(origin, signal), [origin]);
  const plain = origin.replace(/\/+$/, '');
  const looking = found.loading || !found.value;
  // One element whatever is in it, or Preact loses its place.
  return html`<div role="status">${found.error ? html`<${Trouble} error=${found.error} />`
    : looking ? html`<p class="quiet">${t('looking')}</p>`
    : !found.value.length ? html`<p class="quiet">${t('noModels')}</p>`
    : html`<span class="quiet">${t('foundModels')}</span>
    <ul class="found">${found.value.slice(0, 8).map((one) => html`<li key=${one.origin}>
      ${one.origin === plain ? html`<strong class="breaks">${one.origin} ✓</strong>` : html`<span class="breaks">${one.origin}</span>`}
      <span class="quiet"> ${one.framework} · ${moment(one.updated)}</span>
      ${one.origin !== plain && html` <button type="button" class="small" onClick=${() => change(one.origin)}>${t('use')}</button>`}</li>`)}</ul>`}</div>`;
}

function Browser({ project, origin, close, choose }) {
  const start = place(origin);
  const [bucket, setBucket] = useState(start?.bucket || '');
  const [path, setPath] = useState(start?.path || '');
  const found = useLoad(async (signal) => {
    if (!bucket) return { folders: ((await get('/storage/v1/b', { project, maxResults: 1000 }, { signal })).items || []).map((one) => one.name), files: [] };
    const prefix = path ? `${path}/` : '';
    const page = await get(`/storage/v1/b/${encodeURIComponent(bucket)}/o`, { prefix, delimiter: '/', maxResults: 500 }, { signal });
    return {
      folders: (page.prefixes || []).map((name) => name.slice(prefix.length, -1)),
      files: (page.items || []).map((item) => item.name.slice(prefix.length)).filter(Boolean),
    };
  }, [bucket, path]);
  const open = (folder) => (bucket ? setPath(path ? `${path}/${folder}` : folder) : setBucket(folder));
  const up = () => (path ? setPath(path.split('/').slice(0, -1).join('/')) : setBucket(''));
  const here = bucket && `gs://${bucket}${path && `/${path}`}`;
  const listed = found.value && !found.loading;
  return html`<${Dialog} title=${t('chooseFolder')} onClose=${close}>
    <p class="breaks"><code>${here || t('buckets')}</code></p>
    <p class="row-of-buttons">${bucket && html`<button type="button" onClick=${up}>${t('up')}</button>
      <button type="button" class="main" onClick=${() => choose(here)}>${t('useFolder')}</button>`}</p>
    <${Trouble} error=${found.error} />
    ${listed ? html`<ul class="folders">
      ${found.value.folders.map((folder) => html`<li key=${folder}><button type="button" onClick=${() => open(folder)}>${folder}/</button></li>`)}
      ${found.value.files.slice(0, 100).map((name) => html`<li key=${name} class="quiet">${name}${artefact(name) ? html` <span class="mark">${t('modelHere')}</span>` : ''}</li>`)}</ul>` : !found.error && html`<${Loading} />`}
  <//>`;
}
