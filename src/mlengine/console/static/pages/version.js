// One version: how it does, a form to ask it, what it takes, where it came from, how it is served.
import { html, useState } from '../core/base.js';
import { get, operation, patch } from '../core/api.js';
import { useAction, useLoad } from '../core/load.js';
import { labelsOf, labelsText, versionPath } from '../core/models.js';
import { go, url, useQuery } from '../core/router.js';
import { translator, useLanguage } from '../core/words.js';
import { Command, Heading, Loading, State, Tabs, Trouble, shell } from '../parts/basics.js';
import { Performance, Resources } from '../parts/figures.js';
import { Provenance } from '../parts/provenance.js';
import { PredictForm } from '../parts/predict_form.js';
import { Schema } from '../parts/schema.js';
import { ServingFields, servingChange, servingOf } from '../parts/serving.js';
import { Stages } from '../parts/stages.js';
import { Remove, SetDefault } from './model.js';
import words from '../words/version.js';

const t = translator(words);
const TABS = ['performance', 'resources', 'test', 'schema', 'origin', 'settings'];

export default function Version({ project, model, version }) {
  useLanguage();
  const [tab, setTab] = useQuery('tab', 'performance');
  const [asks, setAsks] = useState('');
  const path = versionPath(project, model, version);
  const found = useLoad((signal) => get(path, undefined, { signal }), [path], { every: () => (found.value?.state === 'CREATING' ? 700 : 8000) });
  const trail = [[t('models'), url(project, 'models')], [model, url(project, 'models', model)]];
  const one = found.value;
  if (!one) return html`<div><${Heading} title=${version} path=${trail} />
    ${found.error ? html`<${Trouble} error=${found.error} again=${found.reload} />` : html`<${Loading} />`}</div>`;
  const ready = one.state === 'READY';
  const actions = html`
    ${ready && !one.isDefault && html`<button type="button" onClick=${() => setAsks('default')}>${t('setDefault')}</button>`}
    ${one.state === 'FAILED' && html`<a class="button" href=${`${url(project, 'models', model, 'new')}?from=${encodeURIComponent(version)}`}>${t('makingAgain')}</a>`}
    ${['READY', 'FAILED'].includes(one.state) && html`<button type="button" class="danger" onClick=${() => setAsks('remove')}>${t('remove')}</button>`}`;
  const shown = ready || !['performance', 'resources', 'test'].includes(tab) ? tab : 'origin';
  const [said, ...log] = (one.errorMessage || '').split('\n');
  const tabs = TABS.filter((id) => ready || ['schema', 'origin', 'settings'].includes(id)).map((id) => [id, t(id)]);
  const given = { project, model, version };
  return html`<div><${Heading} title=${version} path=${trail} actions=${actions}><${State} value=${one.state} />
      ${one.isDefault && html`<span class="mark">${t('default')}</span>`}${one.mlengine?.asleep && html`<span class="quiet">${t('asleep')}</span>`}<//>
    ${one.description && html`<p class="quiet">${one.description}</p>`}
    <${Trouble} error=${found.error} />
    ${one.state === 'CREATING' && html`<${Stages} project=${project} version=${one} />`}
    ${said && html`<div class="trouble" role="alert"><strong>${t('failed')}</strong><p>${said}</p></div>
      ${log.some(Boolean) && html`<details open><summary>${t('workerLog')}</summary><pre tabindex="0">${log.join('\n')}</pre></details>`}`}
    <${Tabs} tabs=${tabs} value=${shown} onChange=${setTab} label=${version} />
    ${shown === 'performance' && html`<${Performance} ...${given} />`}
    ${shown === 'resources' && html`<${Resources} ...${given} />`}
    ${shown === 'test' && html`<${Test} ...${given} />`}
    ${shown === 'schema' && html`<${Schema} ...${given} one=${one} />`}
    ${shown === 'origin' && html`<${Provenance} ...${given} one=${one} />`}
    ${shown === 'settings' && html`<${Settings} key=${one.etag} ...${given} one=${one} changed=${found.reload} />`}
    ${asks === 'default' && html`<${SetDefault} ...${given} close=${() => setAsks('')} changed=${found.reload} />`}
    ${asks === 'remove' && html`<${Remove} title=${t('remove')} text=${t('removeAsk', { name: version })} path=${path}
      command=${shell('mlengine', 'versions', 'delete', version, '--model', model, '--project', project)} close=${() => setAsks('')} done=${() => go(url(project, 'models', model))} />`}</div>`;
}

function Test({ project, model, version }) {
  const found = useLoad((signal) => get(`/mlengine${versionPath(project, model, version)}/schema`, undefined, { signal }), [model, version]);
  if (!found.value) return html`<div>${found.error ? html`<${Trouble} error=${found.error} again=${found.reload} />` : html`<${Loading} />`}</div>`;
  return html`<div><${PredictForm} project=${project} model=${model} version=${version} schema=${found.value} /></div>`;
}

function Settings({ project, model, version, one, changed }) {
  const [serving, setServing] = useState(servingOf(one));
  const [description, setDescription] = useState(one.description || '');
  const [labels, setLabels] = useState(labelsText(one.labels));
  const { body, mask, flags } = servingChange(servingOf(one), serving);
  if (description !== (one.description || '')) {
    body.description = description;
    mask.push('description');
    flags.push('--description', description || "''");
  }
  if (labels !== labelsText(one.labels)) {
    body.labels = labelsOf(labels);
    mask.push('labels');
    flags.push('--clear-labels', ...(labels.trim() ? ['--update-labels', labels.replace(/\s/g, '')] : []));
  }
  const save = useAction(async () => operation(await patch(versionPath(project, model, version), body, { query: { updateMask: mask.join(',') } })));
  const submit = async (event) => {
    event.preventDefault();
    if (await save.run()) changed();
  };
  return html`<form onSubmit=${submit}>
    <p class="quiet">${t('fixedNote')}</p>
    <div class="fields"><label><span>${t('description')}</span><input value=${description} onInput=${(event) => setDescription(event.target.value)} /></label>
      <label><span>${t('labels')}: ${t('labelsHint')}</span><input value=${labels} onInput=${(event) => setLabels(event.target.value)} /></label></div>
    <h3>${t('scaling')}</h3><${ServingFields} value=${serving} change=${setServing} />
    <${Trouble} error=${save.error} />
    <${Command} text=${shell('mlengine', 'versions', mask.length ? 'update' : 'describe', version, '--model', model, flags, '--project', project)} />
    <p class="row-of-buttons"><button class="main" disabled=${save.busy || !mask.length}>${t('save')}</button>
      <span class="quiet" role="status">${mask.length ? '' : t('unchanged')}</span></p>
  </form>`;
}
