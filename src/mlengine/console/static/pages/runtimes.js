// The runtimes: what each holds, whether it is built and how large it is, who uses it; built and removed here.
import { html, useState } from '../core/base.js';
import { get, post, remove } from '../core/api.js';
import { bytes, duration } from '../core/format.js';
import { useAction, useLoad } from '../core/load.js';
import { useQuery } from '../core/router.js';
import { translator, useLanguage } from '../core/words.js';
import { Command, Dialog, Facts, Heading, Loading, Trouble, shell } from '../parts/basics.js';
import { Grid } from '../parts/grid.js';
import words from '../words/runtimes.js';

const t = translator(words);
const ROOT = '/mlengine/v1/runtimes';
const pathOf = (name) => `${ROOT}/${encodeURIComponent(name)}`;

export default function Runtimes() {
  useLanguage();
  const [shown, show] = useQuery('runtime');
  const [removing, setRemoving] = useState('');
  const found = useLoad((signal) => get(ROOT, undefined, { signal }), [], {
    every: () => (found.value?.runtimes.some((runtime) => runtime.build && !runtime.build.failed) ? 1000 : 10000),
  });
  const build = useAction(async (name) => {
    await post(`${pathOf(name)}:build`, {});
    found.reload();
  });
  const columns = [
    { id: 'name', title: t('name'), cell: (runtime) => html`<button type="button" class="link" onClick=${() => show(runtime.name, { push: true })}>${runtime.name}</button><div class="quiet">${runtime.summary}</div>` },
    { id: 'built', title: t('built'), cell: (runtime) => html`<${Built} runtime=${runtime} />` },
    { id: 'size', title: t('size'), class: 'number', cell: (runtime) => bytes(runtime.bytes) },
    { id: 'used', title: t('used'), cell: (runtime) => usedBy(runtime) },
    { id: 'packages', title: t('packages'), class: 'roomy', cell: (runtime) => Object.entries(runtime.packages).map(([name, version]) => `${name} ${version}`).join(', ') },
    { id: 'act', title: '', cell: (runtime) => (runtime.built
      ? html`<button type="button" class="small" aria-label=${`${t('remove')} ${runtime.name}`} onClick=${() => setRemoving(runtime.name)}>${t('remove')}</button>`
      : html`<button type="button" class="small" aria-label=${`${t('build')} ${runtime.name}`} disabled=${build.busy || (runtime.build && !runtime.build.failed)} onClick=${() => build.run(runtime.name)}>${t('build')}</button>`) },
  ];
  return html`<${Heading} title=${t('title')} />
    <p class="quiet">${t('explain')}</p>
    <${Trouble} error=${build.error} />
    <${Grid} columns=${columns} rows=${found.value?.runtimes} error=${found.error} again=${found.reload} keyOf=${(runtime) => runtime.name} caption=${t('title')} />
    <${Command} text=${shell('mlengine', 'runtimes', 'list')} />
    ${shown && html`<${Details} name=${shown} close=${() => show('')} />`}
    ${removing && html`<${Remove} name=${removing} close=${() => setRemoving('')} done=${found.reload} />`}`;
}

const usedBy = (runtime) => (runtime.runningJobs || runtime.versions
  ? t('usedBy', { jobs: runtime.runningJobs, versions: runtime.versions })
  : html`<span class="quiet">${t('nobody')}</span>`);

function Built({ runtime }) {
  const [tone, word] = runtime.built ? ['good', 'yes'] : runtime.build ? (runtime.build.failed ? ['bad', 'failed'] : ['live', 'building']) : ['calm', 'no'];
  return html`<span class=${`state ${tone}`}><i aria-hidden="true"></i>${t(word)}</span>
    ${runtime.build && html`<div class="quiet" role="status">${runtime.build.progress}</div>`}`;
}

function Details({ name, close }) {
  const [text, setText] = useState('');
  const { value, error, reload } = useLoad((signal) => get(pathOf(name), undefined, { signal }), [name]);
  const rows = Object.entries(value?.lock || {}).filter(([package_]) => package_.includes(text.trim().toLowerCase()));
  const columns = [
    { id: 'package', title: t('package'), cell: ([package_]) => package_ },
    { id: 'version', title: t('version'), cell: ([, version]) => version },
  ];
  return html`<${Dialog} title=${name} onClose=${close}>
    <${Trouble} error=${error} again=${reload} />
    ${!value && !error && html`<${Loading} />`}
    ${value && html`<${Facts} rows=${[
        [t('summary'), value.summary], [t('python'), value.python], [t('built'), value.built ? t('yes') : t('no')], [t('size'), value.built && bytes(value.bytes)],
        [t('buildTook'), value.built && value.buildSeconds !== undefined && duration(value.buildSeconds)], [t('used'), usedBy(value)],
      ]} />
      <${Command} text=${value.built ? shell('mlengine', 'runtimes', 'describe', name) : shell('mlengine', 'runtimes', 'build', name)} />
      <label><span>${t('search')} (${t('packagesCount', { count: Object.keys(value.lock).length })})</span><input type="search" value=${text} onInput=${(event) => setText(event.target.value)} /></label>
      <div class="short"><${Grid} columns=${columns} rows=${rows} keyOf=${([package_]) => package_} caption=${t('details')} empty=${html`<p class="quiet">${t('noMatch')}</p>`} /></div>`}
  <//>`;
}

function Remove({ name, close, done }) {
  const act = useAction(() => remove(pathOf(name)));
  const run = async () => {
    if (!(await act.run())) return;
    done();
    close();
  };
  return html`<${Dialog} title=${t('remove')} onClose=${close}><p>${t('removeAsk', { name })}</p>
    <${Command} text=${shell('mlengine', 'runtimes', 'remove', name)} /><${Trouble} error=${act.error} />
    <button type="button" class="danger" disabled=${act.busy} onClick=${run}>${t('remove')}</button><//>`;
}
