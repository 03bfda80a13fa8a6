// What a version takes and answers, in tables and words, and what came of making it quicker.
import { html } from '../core/base.js';
import { number } from '../core/format.js';
import { own, versionPath } from '../core/models.js';
import { translator, useLanguage } from '../core/words.js';
import { Command, Facts, shell } from './basics.js';
import { latency } from './figures.js';
import { Grid } from './grid.js';
import { save } from './preview.js';
import words from '../words/version.js';

const t = translator(words);
const MOST = 12;
const shape = (one) => (one.shape === null || one.shape === undefined ? '?' : one.shape.length ? `[${one.shape.map((size) => size ?? '?').join(', ')}]` : '–');

function values(input) {
  if (input.categories) {
    const listed = input.categories.slice(0, MOST).map(String).join(', ') + (input.categories.length > MOST ? ` … (${input.categories.length})` : '');
    return input.closed ? listed : t('seen', { values: listed });
  }
  if (input.min === undefined && input.max === undefined) return '';
  return `${input.min ?? '…'} – ${input.max ?? '…'}`;
}

export function Schema({ project, model, version, one }) {
  useLanguage();
  const schema = one.mlengine?.schema;
  const address = own(versionPath(project, model, version));
  if (!schema) return html`<p class="quiet">${t('noSchema')}</p>`;
  const yes = (flag) => (flag ? t('yes') : t('no'));
  const inputs = [
    { id: 'name', title: t('name'), cell: (input) => input.name || '–' },
    { id: 'type', title: t('type'), cell: (input) => html`<code>${input.type}</code>` },
    { id: 'shape', title: t('shape'), cell: shape },
    { id: 'values', title: t('values'), cell: values },
    { id: 'need', title: t('need'), cell: (input) => yes(input.required) },
    { id: 'null', title: t('nullable'), cell: (input) => yes(input.nullable) },
  ];
  const form = schema.instance === 'row' && !schema.named ? 'rowPlain' : schema.instance;
  const policy = (name) => [t(name), one.mlengine[name] && t(one.mlengine[name])];
  return html`
    <${Facts} rows=${[[t('instanceForm'), form && t(form)], [t('framework'), schema.framework], [t('signatures'), (schema.signatures || []).map((name) => (name === schema.signature ? `${name} (${t('default')})` : name)).join(', ')]]} />
    ${schema.sure === false && html`<p class="note">${t('unsure')}</p>`}
    <h2>${t('inputs')}</h2><${Grid} columns=${inputs} rows=${schema.inputs || []} caption=${t('inputs')} />
    <h2>${t('outputs')}</h2><${Grid} columns=${inputs.slice(0, 3)} rows=${schema.outputs || []} caption=${t('outputs')} />
    <h2>${t('policies')}</h2><${Facts} rows=${['unknownFields', 'missingFields', 'nonFinite'].map(policy)} />
    <h2>${t('acceleration')}</h2><${Acceleration} report=${one.mlengine.acceleration || {}} />
    <p><button type="button" onClick=${() => save(`${address}/openapi`, `${model}-${version}-openapi.json`)}>${t('openapi')}</button></p>
    <${Command} text=${shell('mlengine', 'versions', 'describe', version, '--model', model, '--project', project)} />`;
}

function Acceleration({ report }) {
  const micro = (value) => latency(value / 1e6);
  const quicker = report.form && report.form !== 'none';
  const times = (before, after) => ({ before: micro(before), after: micro(after), times: number(before / after, 1) });
  return html`<div class="note">
    <p><strong>${quicker ? t('accelerated', { form: report.form }) : t('asItIs')}</strong> ${report.reason}</p>
    ${report.instances > 0 && html`<p>${t('sameAnswers', { same: report.sameAnswers, all: report.instances, difference: report.largestDifference ?? '–', tolerance: report.tolerance ?? '–' })}</p>`}
    ${quicker && report.after_us > 0 && html`<p>${t('oneRow', times(report.before_us, report.after_us))}</p>`}
    ${quicker && report.after_64_us > 0 && html`<p>${t('manyRows', times(report.before_64_us, report.after_64_us))}</p>`}
  </div>`;
}
