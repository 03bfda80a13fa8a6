// One model: its versions and who answers how much, side by side, and what answered when.
import { html, useState } from '../core/base.js';
import { get, operation, patch, post, remove } from '../core/api.js';
import { moment, number } from '../core/format.js';
import { useAction, useLoad } from '../core/load.js';
import { idOf, labelsOf, labelsText, listAll, modelPath, versionPath } from '../core/models.js';
import { go, url, useQuery } from '../core/router.js';
import { translator, useLanguage } from '../core/words.js';
import { Command, Dialog, Empty, Facts, Heading, Labels, Loading, State, Tabs, Trouble, shell } from '../parts/basics.js';
import { Compare, latency, perSecond, useNow } from '../parts/figures.js';
import { Grid } from '../parts/grid.js';
import { RollBack, TrafficEditor, splitText, versionsReady } from '../parts/traffic.js';
import words from '../words/model.js';

const t = translator(words);

export default function Model({ project, model }) {
  useLanguage();
  const [tab, setTab] = useQuery('tab', 'versions');
  const [asks, setAsks] = useState('');
  const found = useLoad(async (signal) => {
    const [one, versions] = await Promise.all([get(modelPath(project, model), undefined, { signal }), listAll(versionPath(project, model), 'versions', signal)]);
    return { model: one, versions: versions.sort((a, b) => b.createTime.localeCompare(a.createTime)) };
  }, [project, model], { every: () => (found.value?.versions.some((version) => version.state === 'CREATING' || version.state === 'DELETING') ? 1500 : 8000) });
  const trail = [[t('models'), url(project, 'models')]];
  if (!found.value) return html`<div><${Heading} title=${model} path=${trail} />
    ${found.error ? html`<${Trouble} error=${found.error} again=${found.reload} />` : html`<${Loading} />`}</div>`;
  const { versions } = found.value;
  const own = found.value.model.mlengine || {};
  const close = () => setAsks('');
  const actions = html`
    <a class="button main" href=${url(project, 'models', model, 'new')}>${t('newVersion')}</a>
    ${own.traffic && html`<button type="button" onClick=${() => setAsks('traffic')}>${t('split')}</button>
      <${RollBack} project=${project} model=${model} previous=${own.previous} changed=${found.reload} />`}
    <button type="button" onClick=${() => setAsks('edit')}>${t('edit')}</button>
    ${!versions.length && html`<button type="button" class="danger" onClick=${() => setAsks('remove')}>${t('removeModel')}</button>`}`;
  return html`<div><${Heading} title=${model} path=${trail} actions=${actions} />
    <${Trouble} error=${found.error} />
    <${Facts} rows=${[
      [t('description'), found.value.model.description],
      [t('defaultVersion'), idOf(found.value.model.defaultVersion?.name)],
      [t('traffic'), splitText(own.traffic?.split)],
      [t('copies'), Object.entries(own.traffic?.shadow || {}).map(([version, part]) => `${version} ${number(100 * part)} %`).join(', ')],
      [t('regions'), (found.value.model.regions || []).join(', ')],
      [t('labels'), found.value.model.labels && html`<${Labels} labels=${found.value.model.labels} />`],
    ]} />
    <${Tabs} tabs=${[['versions', t('versions')], ['compare', t('compare')], ['history', t('history')]]} value=${tab} onChange=${setTab} label=${model} />
    ${tab === 'versions' && html`<${Versions} project=${project} model=${model} versions=${versions} traffic=${own.traffic} changed=${found.reload} />`}
    ${tab === 'compare' && html`<${Compare} project=${project} model=${model} />`}
    ${tab === 'history' && html`<${History} project=${project} model=${model} history=${own.history || []} />`}
    ${asks === 'traffic' && html`<${TrafficEditor} project=${project} model=${model} traffic=${own.traffic} versions=${versionsReady(versions)} close=${close} changed=${found.reload} />`}
    ${asks === 'edit' && html`<${Edit} project=${project} model=${found.value.model} close=${close} changed=${found.reload} />`}
    ${asks === 'remove' && html`<${Remove} title=${t('removeModel')} text=${t('removeModelAsk', { name: model })} path=${modelPath(project, model)}
      command=${shell('mlengine', 'models', 'delete', model, '--project', project)} close=${close} done=${() => go(url(project, 'models'))} />`}</div>`;
}

function Versions({ project, model, versions, traffic, changed }) {
  const now = useNow(project, model);
  const [asks, setAsks] = useState(null);
  const of = (version) => now.value?.[idOf(version.name)];
  const share = (version) => {
    const part = traffic?.split[idOf(version.name)];
    const copied = traffic?.shadow[idOf(version.name)];
    return [part && `${part} %`, copied && `${number(100 * copied)} % ${t('shadow')}`].filter(Boolean).join(', ') || '–';
  };
  const columns = [
    { id: 'version', title: t('version'), cell: (version) => html`<a href=${url(project, 'models', model, idOf(version.name))}>${idOf(version.name)}</a>
      ${version.isDefault && html` <span class="mark">${t('default')}</span>`}` },
    { id: 'state', title: t('state'), cell: (version) => html`<${State} value=${version.state} />${version.mlengine?.asleep ? html` <span class="quiet">${t('asleep')}</span>` : ''}` },
    { id: 'traffic', title: t('traffic'), class: 'number', cell: share },
    { id: 'rate', title: t('rate'), class: 'number', cell: (version) => perSecond(of(version)?.rate) },
    { id: 'errors', title: t('errors'), class: 'number', cell: (version) => of(version)?.errorShare ?? '–' },
    { id: 'p95', title: t('p95'), class: 'number', cell: (version) => latency(of(version)?.p95) },
    { id: 'framework', title: t('framework'), cell: (version) => version.mlengine?.framework || version.framework },
    { id: 'created', title: t('created'), class: 'time', cell: (version) => moment(version.createTime) },
    { id: 'actions', title: html`<span class="unseen">${t('actions')}</span>`, cell: (version) => html`<span class="row-of-buttons">
      ${version.state === 'READY' && !version.isDefault && html`<button type="button" class="small" aria-label=${`${t('setDefault')}: ${idOf(version.name)}`} onClick=${() => setAsks(['default', idOf(version.name)])}>${t('setDefault')}</button>`}
      ${['READY', 'FAILED'].includes(version.state) && html`<button type="button" class="small danger" aria-label=${`${t('remove')}: ${idOf(version.name)}`} onClick=${() => setAsks(['remove', idOf(version.name)])}>${t('remove')}</button>`}</span>` },
  ];
  const empty = html`<${Empty} title=${t('emptyVersions')} text=${t('emptyVersionsText')}
    command=${shell('mlengine', 'versions', 'create', 'v1', '--model', model, '--origin', `gs://${project}-data/export`, '--project', project)} />`;
  return html`<div><${Grid} columns=${columns} rows=${versions} keyOf=${(version) => version.name} caption=${t('versions')} empty=${empty} />
    ${versions.length > 0 && html`<p class="quiet">${t('lastMinutes')}</p>`}<${Trouble} error=${now.error} />
    <${Command} text=${shell('mlengine', 'versions', 'list', '--model', model, '--project', project)} />
    ${asks?.[0] === 'default' && html`<${SetDefault} project=${project} model=${model} version=${asks[1]} close=${() => setAsks(null)} changed=${changed} />`}
    ${asks?.[0] === 'remove' && html`<${Remove} title=${t('remove')} text=${t('removeAsk', { name: asks[1] })} path=${versionPath(project, model, asks[1])}
      command=${shell('mlengine', 'versions', 'delete', asks[1], '--model', model, '--project', project)} close=${() => setAsks(null)} done=${() => { setAsks(null); changed(); }} />`}</div>`;
}

export function SetDefault({ project, model, version, close, changed }) {
  const set = useAction(() => post(`${versionPath(project, model, version)}:setDefault`, {}));
  const run = async () => {
    if (!(await set.run())) return;
    changed();
    close();
  };
  return html`<${Dialog} title=${t('setDefault')} onClose=${close}>
    <p>${t('setDefaultAsk', { name: version })}</p><${Trouble} error=${set.error} />
    <${Command} text=${shell('mlengine', 'versions', 'set-default', version, '--model', model, '--project', project)} />
    <button type="button" class="main" disabled=${set.busy} onClick=${run}>${t('setDefault')}</button><//>`;
}

export function Remove({ title, text, path, command, close, done }) {
  const act = useAction(async () => operation(await remove(path)));
  return html`<${Dialog} title=${title} onClose=${close}>
    <p>${text}</p><${Trouble} error=${act.error} /><${Command} text=${command} />
    <button type="button" class="danger" disabled=${act.busy} onClick=${async () => { if (await act.run()) done(); }}>${title}</button><//>`;
}

function Edit({ project, model, close, changed }) {
  const id = idOf(model.name);
  const [description, setDescription] = useState(model.description || '');
  const [labels, setLabels] = useState(labelsText(model.labels));
  const save = useAction(async () =>
    operation(await patch(modelPath(project, id), { description, labels: labelsOf(labels) }, { query: { updateMask: 'description,labels' } })));
  const submit = async (event) => {
    event.preventDefault();
    if (!(await save.run())) return;
    changed();
    close();
  };
  return html`<${Dialog} title=${t('edit')} onClose=${close}><form onSubmit=${submit}>
    <label><span>${t('description')}</span><input value=${description} onInput=${(event) => setDescription(event.target.value)} size="60" /></label>
    <label><span>${t('labels')}: ${t('labelsHint')}</span><input value=${labels} onInput=${(event) => setLabels(event.target.value)} size="60" /></label>
    <${Trouble} error=${save.error} />
    <${Command} text=${shell('mlengine', 'models', 'update', id, '--description', description || "''", '--clear-labels', labels.trim() && ['--update-labels', labels.replace(/\s/g, '')], '--project', project)} />
    <button class="main" disabled=${save.busy}>${t('save')}</button></form><//>`;
}

function History({ project, model, history }) {
  const columns = [
    { id: 'since', title: t('since'), class: 'time', cell: (served) => moment(served.since) },
    { id: 'default', title: t('defaultVersion'), cell: (served) => html`<a href=${url(project, 'models', model, served.version)}>${served.version}</a>` },
    { id: 'answered', title: t('answered'), cell: (served) => html`${splitText(served.split || { [served.version]: 100 })}${served === history[0] ? html` <span class="mark">${t('now')}</span>` : ''}` },
  ];
  return html`<${Grid} columns=${columns} rows=${history} caption=${t('history')} empty=${html`<p class="quiet">${t('noHistory')}</p>`} />
    <${Command} text=${shell('mlengine', 'models', 'describe', model, '--project', project)} />`;
}
