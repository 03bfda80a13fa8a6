// The log of a job: its last lines first, older ones on demand, new ones as they come.
import { html, useEffect, useRef, useState } from '../core/base.js';
import { pause, post } from '../core/api.js';
import { useQuery } from '../core/router.js';
import { translator, useLanguage } from '../core/words.js';
import { Loading, Trouble } from './basics.js';
import words from '../words/job.js';

const t = translator(words);
const PAGE = 500;
const MOST = 5000; // lines on the page; the rest is in the download
const OVERLAP = 2000; // milliseconds that are read again, for lines that come late
const SEVERITIES = ['DEFAULT', 'INFO', 'WARNING', 'ERROR'];

const byTime = (one, other) => (one.insertId < other.insertId ? -1 : 1);
const quoted = (text) => `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;

// `live`: whether lines may still come. `replicas`: names of tasks to choose from.
export function Logs({ project, job, live, replicas }) {
  useLanguage();
  const [severity, setSeverity] = useQuery('severity', 'DEFAULT');
  const [task, setTask] = useQuery('task');
  const [search, setSearch] = useQuery('search');
  const [lines, setLines] = useState(null);
  const [older, setOlder] = useState('');
  const [error, setError] = useState(null);
  const [follows, setFollows] = useState(true);
  const [fetching, setFetching] = useState('');
  const box = useRef();
  const isLive = useRef(live);
  isLive.current = live;
  const isFollowing = useRef(follows);
  isFollowing.current = follows;
  const base = `resource.labels.job_id=${quoted(job)}`
    + (task ? ` AND resource.labels.task_name=${quoted(task)}` : '')
    + (severity === 'DEFAULT' ? '' : ` AND severity>=${severity}`)
    + (search ? ` AND jsonPayload.message:${quoted(search)}` : '');
  const ask = (more, signal) =>
    post('/v2/entries:list', { resourceNames: [`projects/${project}`], pageSize: PAGE, filter: base, ...more }, { signal });

  useEffect(() => {
    const control = new AbortController();
    const { signal } = control;
    let shown = [];
    let oldest = '';
    // The last lines; whether they are others than before.
    const end = async () => {
      const found = await ask({ orderBy: 'timestamp desc' }, signal);
      const lines = (found.entries || []).reverse();
      if (lines.at(-1)?.insertId === shown.at(-1)?.insertId && shown.length) return false;
      shown = lines;
      oldest = shown[0]?.insertId || '';
      setLines(shown);
      setOlder(found.nextPageToken || '');
      return true;
    };
    const follow = async () => {
      await end();
      let wait = 1000;
      let last = 2; // one more look after the end: its last lines may come with it
      while (last > 0) {
        if (!isLive.current) last -= 1;
        await pause(wait, signal);
        if (document.hidden) continue;
        // Replicas write side by side, and a line of one may come after a later one of another.
        const newest = shown.at(-1)?.timestamp;
        const from = newest ? new Date(new Date(newest) - OVERLAP) : null;
        let found = null;
        if (!from || shown.length < PAGE || new Date(shown.at(-PAGE).timestamp) < from) {
          const since = from ? ` AND timestamp>=${quoted(from.toISOString())}` : '';
          found = await ask({ filter: base + since, orderBy: 'timestamp asc' }, signal);
        }
        if (!found || found.nextPageToken) {
          // More was written than anybody reads: on with the end, unless somebody reads further up.
          const moved = isFollowing.current && (await end());
          wait = moved ? 1000 : Math.min(1.4 * wait, 4000);
          continue;
        }
        const seen = new Set(shown.map((entry) => entry.insertId));
        const fresh = (found.entries || []).filter((entry) => !seen.has(entry.insertId) && entry.insertId > oldest);
        wait = fresh.length ? 1000 : Math.min(1.4 * wait, 4000);
        if (!fresh.length) continue;
        shown = [...shown, ...fresh].sort(byTime).slice(-MOST);
        setLines((before) => [...before.filter((entry) => shown[0].insertId > entry.insertId), ...shown].slice(-MOST));
      }
    };
    const round = async () => {
      for (;;) {
        try {
          await follow();
          return;
        } catch (fault) {
          if (signal.aborted) return;
          setError(fault);
          setLines((before) => before || []);
          if (fault.status !== 'UNREACHABLE') return;
          await pause(2000, signal).catch(() => {});
          setError(null);
        }
      }
    };
    setLines(null);
    setError(null);
    round();
    return () => control.abort();
  }, [project, job, base]);

  useEffect(() => {
    if (follows && box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [lines, follows]);

  const loadOlder = async () => {
    setFollows(false);
    const found = await ask({ orderBy: 'timestamp desc', pageToken: older });
    setLines((before) => [...(found.entries || []).reverse(), ...(before || [])]);
    setOlder(found.nextPageToken || '');
  };
  const scrolled = (event) => {
    const { scrollTop, scrollHeight, clientHeight } = event.target;
    setFollows(scrollHeight - scrollTop - clientHeight < 30);
  };
  const download = async () => {
    const parts = [];
    let pageToken = '';
    let count = 0;
    do {
      const found = await ask({ pageSize: 1000, orderBy: 'timestamp asc', pageToken });
      parts.push((found.entries || []).map((entry) => `${entry.timestamp} ${entry.severity} ${entry.resource.labels.task_name} ${entry.jsonPayload.message}\n`).join(''));
      count += (found.entries || []).length;
      setFetching(t('fetched', { count }));
      pageToken = found.nextPageToken || '';
    } while (pageToken);
    setFetching('');
    const link = document.createElement('a');
    link.href = URL.createObjectURL(new Blob(parts, { type: 'text/plain' }));
    link.download = `${job}.log`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  };

  return html`<section aria-label=${t('logs')}>
    <div class="bar">
      <label><span>${t('severity')}</span><select value=${severity} onChange=${(event) => setSeverity(event.target.value)}>
        ${SEVERITIES.map((name) => html`<option key=${name} value=${name}>${name === 'DEFAULT' ? t('all') : `≥ ${name}`}</option>`)}</select></label>
      <label><span>${t('replica')}</span><select value=${task} onChange=${(event) => setTask(event.target.value)}>
        <option value="">${t('all')}</option>${['service', ...replicas].map((name) => html`<option key=${name} value=${name}>${name}</option>`)}</select></label>
      <label><span>${t('search')}</span><input type="search" value=${search} onChange=${(event) => setSearch(event.target.value)} /></label>
      <label class="check"><input type="checkbox" checked=${follows} onChange=${(event) => setFollows(event.target.checked)} /> ${t('follow')}</label>
      <button type="button" disabled=${Boolean(fetching)} onClick=${download}>${fetching || t('download')}</button>
    </div>
    <${Trouble} error=${error} />
    <div class="log" ref=${box} onScroll=${scrolled} tabindex="0" role="log" aria-label=${t('logs')}>
      ${older && html`<button class="small" type="button" onClick=${loadOlder}>${t('older')}</button>`}
      ${!lines && !error && html`<${Loading} />`}
      ${lines && !lines.length && html`<p class="quiet">${t('noLines')}</p>`}
      ${(lines || []).map((entry) => html`<div key=${entry.insertId} class=${`line ${entry.severity}`}>
        <time datetime=${entry.timestamp}>${clock(entry.timestamp)}</time>
        ${replicas.length > 1 && html`<b>${entry.resource.labels.task_name}</b>`}
        <span>${entry.jsonPayload.message}</span></div>`)}
    </div>
  </section>`;
}

const clock = (text) => {
  const time = new Date(text);
  return `${time.toLocaleTimeString('en-GB')}.${String(time.getMilliseconds()).padStart(3, '0')}`;
};
