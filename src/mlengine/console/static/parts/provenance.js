// Where a version came from: its folder, the job that wrote it and with which packages, and what runs it.
import { html } from '../core/base.js';
import { get } from '../core/api.js';
import { bytes, moment } from '../core/format.js';
import { useLoad } from '../core/load.js';
import { place } from '../core/models.js';
import { url } from '../core/router.js';
import { translator, useLanguage } from '../core/words.js';
import { Command, Facts, Labels, Loading, Trouble, shell } from './basics.js';
import { Grid } from './grid.js';
import words from '../words/version.js';

const t = translator(words);

// The job whose directory the folder lies in: directories above it are asked for, the nearest first.
async function jobOf(project, origin, signal) {
  const where = place(origin);
  if (!where) return null;
  const parts = where.path.split('/').filter(Boolean);
  const above = parts.map((_, at) => `gs://${[where.bucket, ...parts.slice(0, parts.length - at)].join('/')}`);
  const filter = above.flatMap((folder) => [folder, `${folder}/`]).map((folder) => `trainingInput.jobDir="${folder}"`).join(' OR ');
  if (!filter) return null;
  const found = await get(`/v1/projects/${encodeURIComponent(project)}/jobs`, { filter, pageSize: 100 }, { signal });
  const depth = (job) => job.trainingInput.jobDir.replace(/\/+$/, '').length;
  return (found.jobs || []).sort((a, b) => depth(b) - depth(a))[0] || null;
}

export function Provenance({ project, model, version, one }) {
  useLanguage();
  const origin = one.deploymentUri;
  const where = place(origin);
  const found = useLoad(async (signal) => {
    const [job, files] = await Promise.all([
      jobOf(project, origin, signal),
      where ? get(`/storage/v1/b/${encodeURIComponent(where.bucket)}/o`, { prefix: where.path && `${where.path}/`, maxResults: 200 }, { signal }) : {},
    ]);
    const path = job && `/mlengine/v1/projects/${encodeURIComponent(project)}/jobs/${encodeURIComponent(job.jobId)}/requirements`;
    // A job of another time may have left no list; that it is gone is no fault of the version.
    const lock = path ? await get(path, undefined, { signal }).then((said) => said.requirements || said.text || '', () => '') : '';
    return { job, files: files.items || [], lock };
  }, [project, origin]);
  const container = one.container;
  const columns = [
    { id: 'name', title: t('name'), cell: (item) => html`<a href=${`${url(project, 'buckets', where.bucket, ...item.name.split('/'))}?file=1`}>${item.name.slice(where.path ? where.path.length + 1 : 0)}</a>` },
    { id: 'size', title: t('size'), class: 'number', cell: (item) => bytes(item.size) },
    { id: 'changed', title: t('changed'), class: 'time', cell: (item) => moment(item.updated) },
  ];
  const job = found.value?.job;
  return html`<div><${Facts} rows=${[
      [t('origin'), where && html`<a href=${url(project, 'buckets', where.bucket, ...where.path.split('/').filter(Boolean))}>${origin}</a>`],
      [t('originJob'), found.value && (job ? html`<a href=${url(project, 'jobs', job.jobId)}>${job.jobId}</a>` : where && t('noJob'))],
      [t('created'), moment(one.createTime)], [t('runtime'), one.runtimeVersion], [t('python'), one.pythonVersion], [t('framework'), one.mlengine?.framework || one.framework], [t('machineType'), one.machineType],
      [t('class'), one.predictionClass], [t('packages'), (one.packageUris || []).join(', ')],
      [t('container'), container && html`<code>${[container.image, ...(container.command || []), ...(container.args || [])].filter(Boolean).join(' ')}</code>`],
      [t('env'), container?.env?.length > 0 && container.env.map((entry) => entry.name).join(', ')],
      [t('routes'), one.routes && Object.values(one.routes).join(', ')],
      [t('labels'), one.labels && html`<${Labels} labels=${one.labels} />`],
    ]} />
    ${found.error ? html`<${Trouble} error=${found.error} again=${found.reload} />` : !found.value ? html`<${Loading} />` : ''}
    ${found.value && where && html`<h2>${t('files')}</h2><${Grid} columns=${columns} rows=${found.value.files} keyOf=${(item) => item.name} caption=${t('files')} />
      <${Command} text=${shell('mlengine', 'storage', 'ls', '-r', origin)} />`}
    ${found.value?.lock && html`<details><summary>${t('lock')}</summary><pre tabindex="0">${found.value.lock}</pre>
      <${Command} text=${shell('mlengine', 'jobs', 'requirements', job.jobId, '--project', project)} /></details>`}
    <${Command} text=${shell('mlengine', 'versions', 'describe', version, '--model', model, '--project', project)} /></div>`;
}
