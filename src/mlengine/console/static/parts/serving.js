// How a version is served, as fields of a form: processes, batches, what becomes of odd requests.
import { html } from '../core/base.js';
import { translator, useLanguage } from '../core/words.js';
import words from '../words/model.js';

const t = translator(words);
const POLICIES = { unknownFields: ['REJECT', 'WARN', 'IGNORE'], missingFields: ['DEFAULT', 'NULL', 'REJECT'], nonFinite: ['NULL', 'TEXT', 'REJECT'] };
const FLAGS = { maxBatchSize: '--max-batch-size', maxLatencyMs: '--max-latency-ms', unknownFields: '--unknown-fields', missingFields: '--missing-fields', nonFinite: '--non-finite' };
const USUAL = { maxBatchSize: 1024, maxLatencyMs: 0, unknownFields: 'REJECT', missingFields: 'DEFAULT', nonFinite: 'NULL' };

// What the form shows of a version; of none, what is usual.
export function servingOf(version = {}) {
  const own = version.mlengine || {};
  const settings = Object.fromEntries(Object.entries(USUAL).map(([name, usual]) => [name, own[name] ?? usual]));
  const { autoScaling, manualScaling } = version;
  return { how: autoScaling ? 'automatic' : 'fixed', nodes: manualScaling?.nodes ?? 1, minNodes: autoScaling?.minNodes ?? (autoScaling ? 0 : 1), maxNodes: autoScaling?.maxNodes ?? 2, ...settings };
}

// What differs between two states of the form: parts of a Version, the paths that name them, and the flags.
export function servingChange(before, after) {
  const body = {};
  const mask = [];
  const flags = [];
  const scaled = ['how', ...(after.how === 'fixed' ? ['nodes'] : ['minNodes', 'maxNodes'])].some((name) => String(before[name]) !== String(after[name]));
  if (scaled && after.how === 'fixed') {
    body.manualScaling = { nodes: Number(after.nodes) };
    mask.push('manualScaling.nodes');
    flags.push('--nodes', after.nodes);
  } else if (scaled) {
    body.autoScaling = { minNodes: Number(after.minNodes), maxNodes: Number(after.maxNodes) };
    mask.push('autoScaling');
    flags.push('--min-nodes', after.minNodes, '--max-nodes', after.maxNodes);
  }
  for (const [name, flag] of Object.entries(FLAGS)) {
    if (String(before[name]) === String(after[name])) continue;
    body.mlengine = { ...body.mlengine, [name]: name in POLICIES ? after[name] : Number(after[name]) };
    mask.push(`mlengine.${name}`);
    flags.push(flag, name in POLICIES ? after[name].toLowerCase() : after[name]);
  }
  return { body, mask, flags };
}

export function ServingFields({ value, change }) {
  useLanguage();
  const typed = (event) => change({ ...value, [event.target.name]: event.target.value });
  const count = (name, title, min) => html`<label><span>${title}</span><input type="number" name=${name} min=${min} required value=${value[name]} onInput=${typed} /></label>`;
  return html`<div class="fields">
      <label><span>${t('scaling')}</span><select name="how" value=${value.how} onChange=${typed}><option value="fixed">${t('fixed')}</option><option value="automatic">${t('automatic')}</option></select></label>
      ${value.how === 'fixed' ? count('nodes', t('nodes'), 1) : [count('minNodes', t('minNodes'), 0), count('maxNodes', t('maxNodes'), 1)]}
      ${count('maxBatchSize', t('batch'), 1)}${count('maxLatencyMs', t('wait'), 0)}
    </div>
    <h3>${t('policies')}</h3>
    <div class="fields">${Object.entries(POLICIES).map(([name, choices]) => html`<label key=${name}><span>${t(name)}</span>
      <select name=${name} value=${value[name]} onChange=${typed}>${choices.map((choice) => html`<option key=${choice} value=${choice}>${t(choice)}</option>`)}</select></label>`)}</div>`;
}
