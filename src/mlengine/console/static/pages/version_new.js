// A form for a new version of a model. What becomes of it is seen on the version's own page.
import { html, useState } from '../core/base.js';
import { get, post } from '../core/api.js';
import { useAction, useLoad } from '../core/load.js';
import { FRAMEWORKS, idOf, labelsOf, listAll, modelsIn, versionPath } from '../core/models.js';
import { go, url } from '../core/router.js';
import { translator, useLanguage } from '../core/words.js';
import { Command, Heading, Loading, Trouble, shell } from '../parts/basics.js';
import { OriginField } from '../parts/origin.js';
import { ServingFields, servingChange, servingOf } from '../parts/serving.js';
import words from '../words/model.js';

const t = translator(words);

// v1, v2 …: one more than the highest there is.
const nextId = (versions) => `v${1 + Math.max(0, ...versions.map((version) => Number(/^v(\d{1,9})$/.exec(idOf(version.name))?.[1] || 0)))}`;

export default function NewVersion({ project, model }) {
  useLanguage();
  const found = useLoad(async (signal) => {
    const query = new URLSearchParams(location.search);
    const asked = query.get('origin') || '';
    const [versions, runtimes, models] = await Promise.all([
      listAll(versionPath(project, model), 'versions', signal),
      // Who may not read them still may write one.
      get('/mlengine/v1/runtimes', undefined, { signal }).then((said) => (said.runtimes || []).map((one) => one.name), () => []),
      asked ? modelsIn(asked, signal).catch(() => []) : [],
    ]);
    const from = versions.find((version) => idOf(version.name) === query.get('from'));
    return { id: nextId(versions), origin: models[0]?.origin || asked, runtimes, from };
  }, [project, model]);
  const trail = [[t('models'), url(project, 'models')], [model, url(project, 'models', model)]];
  return html`<div><${Heading} title=${t('newVersion')} path=${trail} />
    ${found.value ? html`<${Form} project=${project} model=${model} ...${found.value} />` : found.error ? html`<${Trouble} error=${found.error} again=${found.reload} />` : html`<${Loading} />`}</div>`;
}

function Form({ project, model, id, origin, runtimes, from }) {
  const [given, setGiven] = useState({
    id, origin: from?.deploymentUri || origin, runtime: from?.runtimeVersion || '', framework: '', description: from?.description || '', labels: '',
    accelerate: from?.mlengine?.accelerate ?? true, class: from?.predictionClass || '', packages: (from?.packageUris || []).join(', '),
  });
  const [serving, setServing] = useState(servingOf(from));
  const typed = (event) => setGiven({ ...given, [event.target.name]: event.target.type === 'checkbox' ? event.target.checked : event.target.value });
  const change = servingChange(servingOf(), serving);
  const packages = given.packages.split(',').map((one) => one.trim()).filter(Boolean);
  const labels = labelsOf(given.labels);
  const body = {
    name: given.id, deploymentUri: given.origin.trim(), ...change.body,
    ...(given.runtime && { runtimeVersion: given.runtime }), ...(given.framework && { framework: given.framework }),
    ...(given.description && { description: given.description }), ...(Object.keys(labels).length && { labels }),
    ...(given.class && { predictionClass: given.class }), ...(packages.length && { packageUris: packages }),
  };
  // A model with a class of its own has no quicker form.
  if (!given.class && !given.accelerate) body.mlengine = { ...body.mlengine, accelerate: false };
  const create = useAction(() => post(versionPath(project, model), body));
  const submit = async (event) => {
    event.preventDefault();
    if (await create.run()) go(url(project, 'models', model, given.id));
  };
  const text = (name, title, more = {}) => html`<label><span>${title}</span><input name=${name} value=${given[name]} onInput=${typed} ...${more} /></label>`;
  return html`<form onSubmit=${submit}>
    <fieldset><legend>${t('about')}</legend><div class="fields">
      ${text('id', `${t('id')}: ${t('nameHint')}`, { required: true })}
      ${text('runtime', t('runtime'), { placeholder: t('runtimeHint'), list: runtimes.length ? 'runtimes' : undefined })}
      <datalist id="runtimes">${runtimes.map((name) => html`<option key=${name} value=${name}></option>`)}</datalist>
      <label><span>${t('framework')}</span><select name="framework" value=${given.framework} onChange=${typed}><option value="">${t('frameworkAuto')}</option>${FRAMEWORKS.map((name) => html`<option key=${name}>${name}</option>`)}</select></label>
      <${OriginField} project=${project} value=${given.origin} change=${(chosen) => setGiven({ ...given, origin: chosen })} />
      ${text('description', t('description'))}${text('labels', `${t('labels')}: ${t('labelsHint')}`)}
    </div></fieldset>
    <fieldset><legend>${t('serving')}</legend>
      <label class="check"><input type="checkbox" name="accelerate" checked=${given.accelerate && !given.class} disabled=${Boolean(given.class)} onChange=${typed} />${t('accelerate')}</label>
      <${ServingFields} value=${serving} change=${setServing} /></fieldset>
    <details><summary>${t('advanced')}</summary><p class="quiet">${t('advancedText')}</p>
      <div class="fields">${text('class', t('class'), { placeholder: 'module.Class' })}${text('packages', `${t('packages')}: ${t('packagesHint')}`)}</div></details>
    <${Trouble} error=${create.error} />
    <${Command} text=${shell('mlengine', 'versions', 'create', given.id || 'VERSION', '--model', model, '--origin', body.deploymentUri || 'gs://BUCKET/FOLDER',
      given.runtime && ['--runtime-version', given.runtime], given.framework && ['--framework', given.framework.toLowerCase().replace('_', '-')],
      given.description && ['--description', given.description], given.labels.trim() && ['--labels', given.labels.replace(/\s/g, '')], change.flags,
      body.mlengine?.accelerate === false && '--no-accelerate', given.class && ['--prediction-class', given.class], packages.length > 0 && ['--package-uris', packages.join(',')], '--project', project)} />
    <p><button class="main" disabled=${create.busy}>${t('create')}</button></p>
  </form>`;
}
