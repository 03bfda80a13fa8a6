// A form made from what a model says it takes, the answer to it, and how long that took.
import { html, useEffect, useMemo, useState } from '../core/base.js';
import { call } from '../core/api.js';
import { useAction } from '../core/load.js';
import { versionPath } from '../core/models.js';
import { useQuery } from '../core/router.js';
import { translator, useLanguage } from '../core/words.js';
import { Facts, Json, Tabs, Trouble } from './basics.js';
import { latency } from './figures.js';
import { Samples } from './sample.js';
import words from '../words/version.js';

const t = translator(words);
const scalar = (input) => Array.isArray(input.shape) && input.shape.length === 0;
const NUMBERS = new Set(['number', 'integer']);

// What stands in a control for a value, and back. A number's control may be empty: null.
const shown = (input, value) => (scalar(input) && typeof value !== 'object' ? value ?? '' : JSON.stringify(value ?? null));

function given(input, text) {
  if (input.categories && input.closed && scalar(input)) return text === '' ? null : input.categories.find((one) => String(one) === String(text)) ?? text;
  if (input.type === 'boolean' && scalar(input)) return text === true || text === 'true' ? true : text === '' ? null : false;
  if (NUMBERS.has(input.type) && scalar(input)) return text === '' ? null : Number(text);
  if (input.type === 'string' && scalar(input)) return text === '' && input.nullable ? null : String(text);
  if (scalar(input) && input.type === 'bytes') return String(text);
  try {
    return JSON.parse(text);
  } catch {
    if (scalar(input)) return text === '' ? null : text;
    throw new Error(`${input.name}: ${t('notJson', { why: text.slice(0, 40) })}`);
  }
}

// The sample as values by input: rows and single tensors may come as lists.
function spread(schema) {
  const { sample, inputs } = schema;
  if (sample && typeof sample === 'object' && !Array.isArray(sample)) return sample;
  if (schema.instance === 'row' && Array.isArray(sample)) return Object.fromEntries(inputs.map((input, at) => [input.name, sample[at]]));
  return inputs.length === 1 ? { [inputs[0].name]: sample } : {};
}

function instanceOf(schema, values) {
  const found = schema.inputs.map((input) => [input.name, given(input, values[input.name])]);
  if (schema.instance === 'row' && !schema.named) return found.map(([, value]) => value);
  if (schema.instance === 'tensor' && found.length === 1 && (Array.isArray(schema.sample) || typeof schema.sample !== 'object')) return found[0][1];
  // What is no part of the sample is no must: it is left out where it is empty.
  return Object.fromEntries(found.filter(([name, value]) => value !== null || (schema.sample && name in schema.sample)));
}

export function PredictForm({ project, model, version, schema }) {
  useLanguage();
  const inputs = schema.inputs || [];
  const canForm = inputs.length > 0 && inputs.length <= 200 && schema.instance !== 'text';
  const [form, setForm] = useQuery('edit', canForm ? 'form' : 'json');
  const first = useMemo(() => Object.fromEntries(inputs.map((input) => [input.name, shown(input, spread(schema)[input.name])])), [schema]);
  const [values, setValues] = useState(first);
  const [text, setText] = useState(JSON.stringify(schema.sample ?? null, null, 2));
  const [signature, setSignature] = useState(schema.signature || '');
  const [answer, setAnswer] = useState(null);
  const read = () => {
    if (form === 'form' && canForm) return [instanceOf(schema, values)];
    const said = JSON.parse(text);
    // A list of instances, where one of them is no list itself; a single one otherwise.
    return Array.isArray(said) && (!Array.isArray(schema.sample) || said.every(Array.isArray)) && said.length ? said : [said];
  };
  let instances = null;
  let wrong = null;
  try {
    instances = read();
  } catch (fault) {
    wrong = { message: form === 'form' ? fault.message : t('notJson', { why: fault.message }), hints: [] };
  }
  const body = instances && { instances, ...(signature && signature !== schema.signature ? { signature_name: signature } : {}) };
  const address = `${location.origin}${versionPath(project, model, version)}:predict`;
  const ask = useAction(async () => {
    const began = performance.now();
    const got = await call('POST', `${versionPath(project, model, version)}:predict`, { body, raw: true });
    const said = await got.json();
    setAnswer({
      said, seconds: (performance.now() - began) / 1000, version: got.headers.get('x-mlengine-version'),
      times: [...(got.headers.get('Server-Timing') || '').matchAll(/(\w+);dur=([\d.]+)/g)].map(([, name, ms]) => [name, Number(ms) / 1000]),
    });
    return said;
  });
  // From one editor to the other nothing gets lost.
  const change = (next) => {
    if (next === 'json' && instances) setText(JSON.stringify(instances.length === 1 ? instances[0] : instances, null, 2));
    setForm(next);
  };
  useEffect(() => setAnswer(null), [version]);
  const submit = (event) => {
    event.preventDefault();
    if (body) ask.run();
  };
  const set = (name) => (value) => setValues({ ...values, [name]: value });
  return html`<div><div class="beside">
    <form class="card" onSubmit=${submit} aria-label=${t('test')}>
      ${canForm && html`<${Tabs} tabs=${[['form', t('asForm')], ['json', t('asJson')]]} value=${form} onChange=${change} label=${t('test')} />`}
      ${canForm && form === 'form'
        ? html`<div class="fields">${inputs.map((input) => html`<${Control} key=${input.name} input=${input} value=${values[input.name]} change=${set(input.name)} />`)}</div>`
        : html`${!canForm && html`<p class="quiet">${t('noForm')}</p>`}
          <label><span>${t('instances')}</span><textarea class="code" rows="12" spellcheck="false" value=${text} onInput=${(event) => setText(event.target.value)}></textarea></label>`}
      ${schema.signatures?.length > 1 && html`<p><label><span>${t('signature')}</span><select value=${signature} onChange=${(event) => setSignature(event.target.value)}>
        ${schema.signatures.map((name) => html`<option key=${name} value=${name}>${name}</option>`)}</select></label></p>`}
      <${Trouble} error=${wrong} />
      <p class="row-of-buttons"><button class="main" disabled=${ask.busy || !body}>${t('ask')}</button>
        ${schema.sample !== undefined && html`<button type="button" onClick=${() => { setValues(first); setText(JSON.stringify(schema.sample, null, 2)); }}>${t('fillSample')}</button>`}</p>
    </form>
    <section class="card" aria-label=${t('answer')} aria-live="polite"><h2>${t('answer')}</h2>
      <${Trouble} error=${ask.error} />
      ${answer && !ask.error ? html`<${Answer} answer=${answer} />` : !ask.error && html`<p class="quiet">${t('notAsked')}</p>`}
    </section>
  </div>
  ${body && html`<${Samples} ...${{ project, model, version, body, address }} />`}</div>`;
}

// One input: what it is decides the control.
function Control({ input, value, change }) {
  const type = input.type === 'any' ? '' : input.type;
  const title = `${input.name}${type && ` · ${type}`}${input.nullable ? ` · ${t('optional')}` : ''}`;
  const typed = (event) => change(event.target.value);
  if (!scalar(input))
    return html`<label class="wide"><span>${title} · [${(input.shape || []).map((size) => size ?? '?').join(', ')}]</span>
      <textarea class="code" rows="3" spellcheck="false" title=${t('fill')} value=${value} onInput=${typed}></textarea></label>`;
  if (input.categories && input.closed)
    return html`<label><span>${title}</span><select value=${value} onChange=${typed}>
      ${input.nullable && html`<option value="">${t('unknown')}</option>`}
      ${input.categories.map((one) => html`<option key=${one} value=${one}>${String(one)}</option>`)}</select></label>`;
  if (input.type === 'boolean')
    return input.nullable
      ? html`<label><span>${title}</span><select value=${String(value)} onChange=${typed}><option value="">${t('unknown')}</option><option value="true">true</option><option value="false">false</option></select></label>`
      : html`<label class="check"><input type="checkbox" checked=${value === true || value === 'true'} onChange=${(event) => change(event.target.checked)} />${input.name}</label>`;
  const options = input.categories && `values-${input.name}`;
  return html`<label><span>${title}</span><input type=${NUMBERS.has(input.type) ? 'number' : 'text'} step="any" min=${input.min} max=${input.max} list=${options || undefined}
    required=${!input.nullable && NUMBERS.has(input.type)} value=${value} onInput=${typed} />
    ${options && html`<datalist id=${options}>${input.categories.map((one) => html`<option key=${one} value=${one}></option>`)}</datalist>`}</label>`;
}

function Answer({ answer }) {
  const predictions = answer.said.predictions || [];
  const one = predictions.length === 1 && predictions[0] && typeof predictions[0] === 'object' && !Array.isArray(predictions[0]) ? predictions[0] : null;
  // Six digits are enough to look at; the whole answer is below.
  const round = (value) => (typeof value === 'number' ? Number(value.toPrecision(6)) : value);
  const text = (value) => (typeof value === 'object' ? JSON.stringify(value, (_, inner) => round(inner)).replaceAll(',', ', ') : String(round(value)));
  return html`${one && Object.values(one).every((value) => text(value).length < 200) && html`<div class="prediction"><${Facts} rows=${Object.entries(one).map(([name, value]) => [name, text(value)])} /></div>`}
    <${Json} value=${answer.said} />
    <${Facts} rows=${[[`${t('took')} (${t('inBrowser')})`, latency(answer.seconds)], ...answer.times.map(([name, seconds]) => [t(name), latency(seconds)]), [t('answeredBy'), answer.version]]} />`;
}
