// What is in a bucket, folder by folder; uploads by drag and drop; one object with a preview.
import { html, useRef, useState } from '../core/base.js';
import { get, remove } from '../core/api.js';
import { bytes, moment } from '../core/format.js';
import { useAction, useLoad } from '../core/load.js';
import { go, url, useQuery } from '../core/router.js';
import { upload } from '../core/upload.js';
import { translator, useLanguage } from '../core/words.js';
import { Command, Copy, Dialog, Empty, Facts, Heading, Loading, Trouble, shell } from '../parts/basics.js';
import { Grid } from '../parts/grid.js';
import { Preview, save } from '../parts/preview.js';
import words from '../words/buckets.js';

const t = translator(words);
const PAGE = 200;

// A name as part of an address. Browsers take "a//b", "." and ".." for something else; such names are told behind "?".
const isOdd = (name) => name.split('/').some((part) => ['', '.', '..'].includes(part));
const inBucket = (project, bucket, name) => url(project, 'buckets', bucket, ...name.split('/'));
export const objectUrl = (project, bucket, name) => (isOdd(name) ? `${url(project, 'buckets', bucket)}?object=${encodeURIComponent(name)}` : `${inBucket(project, bucket, name)}?file=1`);
export function folderUrl(project, bucket, prefix) {
  const bare = prefix.replace(/\/$/, '');
  if (!prefix) return url(project, 'buckets', bucket);
  return isOdd(bare) ? `${url(project, 'buckets', bucket)}?folder=${encodeURIComponent(prefix)}` : inBucket(project, bucket, bare);
}

// Letters that cannot be seen, such as ends of lines, as signs that can.
const seen = (name) => name.replace(/[\u0000-\u001f]/g, (letter) => String.fromCharCode(0x2400 + letter.charCodeAt(0))).replaceAll('\u007f', '\u2421');

export default function Bucket({ project, bucket, path = '' }) {
  useLanguage();
  // An object's address says so; everything else is a folder, which needs not exist to be looked into.
  const query = new URLSearchParams(location.search);
  const object = query.get('object') ?? (query.has('file') ? path : '');
  const prefix = query.get('folder') ?? (path && !path.endsWith('/') ? `${path}/` : path);
  const folders = (object || prefix.slice(0, -1)).split('/');
  const last = folders.pop();
  const above = folders.map((part, at) => [seen(part) || '/', folderUrl(project, bucket, `${folders.slice(0, at + 1).join('/')}/`)]);
  const trail = [[t('buckets'), url(project, 'buckets')], ...(prefix || object ? [[bucket, url(project, 'buckets', bucket)]] : []), ...above];
  const place = { project, bucket, trail, title: seen(last) || (prefix || object ? '/' : bucket), up: folders.length ? `${folders.join('/')}/` : '' };
  return object ? html`<${Stored} key=${object} ...${place} name=${object} file=${last || 'object'} />` : html`<${Folder} key=${prefix} ...${place} prefix=${prefix} />`;
}

function Folder({ project, bucket, prefix, trail, title }) {
  const [begins, setBegins] = useQuery('begins');
  const [pages, setPages] = useState({ items: [], token: '', busy: false, error: null });
  const [doing, setDoing] = useState([]);
  const [over, setOver] = useState(false);
  const [asks, setAsks] = useState('');
  const chooser = useRef();
  const ask = (pageToken, signal) =>
    get(`/storage/v1/b/${encodeURIComponent(bucket)}/o`, { prefix: prefix + begins, delimiter: '/', maxResults: PAGE, pageToken }, { signal });
  const found = useLoad(async (signal) => {
    const page = await ask('', signal);
    setPages({ items: [], token: page.nextPageToken || '', busy: false, error: null });
    return rowsOf(page);
  }, [bucket, prefix, begins]);
  const more = async () => {
    setPages({ ...pages, busy: true });
    try {
      const page = await ask(pages.token);
      setPages({ items: [...pages.items, ...rowsOf(page)], token: page.nextPageToken || '', busy: false, error: null });
    } catch (error) {
      setPages({ ...pages, busy: false, error });
    }
  };
  const send = async (files) => {
    for (const { name, file } of files) {
      const tell = (what) => setDoing((before) => [...before.filter((one) => one.name !== name), { name, ...what }]);
      try {
        await upload(bucket, prefix + name, file, (share) => tell({ share }));
        tell({ done: true });
      } catch (error) {
        tell({ error });
      }
    }
    found.reload();
  };
  const dropped = async (event) => {
    event.preventDefault();
    setOver(false);
    send(await filesOf(event.dataTransfer));
  };
  const chosen = (event) => send([...event.target.files].map((file) => ({ name: file.name, file })));
  const left = (event) => !event.currentTarget.contains(event.relatedTarget) && setOver(false);
  const base = (name) => seen(name.slice(prefix.length)) || seen(name);
  const columns = [
    { id: 'name', title: t('name'), class: 'break', cell: (row) => html`<a href=${(row.folder ? folderUrl : objectUrl)(project, bucket, row.name)}>${base(row.name)}</a>` },
    { id: 'size', title: t('size'), class: 'number', cell: (row) => (row.folder ? '–' : bytes(row.size)) },
    { id: 'type', title: t('type'), cell: (row) => (row.folder ? t('folder') : row.contentType) },
    { id: 'changed', title: t('changed'), class: 'time', cell: (row) => (row.folder ? '–' : moment(row.updated)) },
  ];
  const rows = found.value ? [...found.value, ...pages.items] : null;
  const done = doing.filter((one) => one.done);
  const empty = begins
    ? html`<p class="quiet">${t('noneBegins', { begins })}</p>`
    : html`<${Empty} title=${t('emptyFolder')} text=${t('emptyFolderText')} command=${shell('mlengine', 'storage', 'cp', 'FILE', `gs://${bucket}/${prefix}`)} />`;
  return html`<div class=${over ? 'dropping' : ''} onDragOver=${(event) => { event.preventDefault(); setOver(true); }} onDragLeave=${left} onDrop=${dropped}>
    <${Heading} title=${title} path=${trail} actions=${html`
      ${!prefix && html`<button type="button" class="danger" onClick=${() => setAsks('delete')}>${t('removeBucket')}</button>`}
      <button type="button" onClick=${() => setAsks('folder')}>${t('newFolder')}</button>
      <button type="button" class="main" onClick=${() => chooser.current.click()}>${t('upload')}</button>`} />
    <input ref=${chooser} class="unseen" type="file" multiple aria-label=${t('upload')} tabindex="-1" onChange=${chosen} />
    <form class="bar" role="search" onSubmit=${(event) => event.preventDefault()}>
      <label><span>${t('filterPrefix')}</span><input type="search" value=${begins} onInput=${(event) => setBegins(event.target.value)} /></label>
      <p class="quiet">${t('drop')}</p></form>
    <div role="status">
      ${done.length > 0 && html`<p>${done.length === 1 ? t('uploaded', { name: seen(done[0].name) }) : t('uploadedMany', { count: done.length })}</p>`}
      ${doing.filter((one) => !one.done).map((one) => (one.error
        ? html`<p key=${one.name}>${seen(one.name)}</p><${Trouble} error=${one.error} />`
        : html`<p key=${one.name}>${t('uploading', { name: seen(one.name), percent: `${Math.floor(100 * (one.share || 0))} %` })} <progress max="1" value=${one.share || 0}></progress></p>`))}</div>
    <${Grid} columns=${columns} rows=${rows} error=${found.error || pages.error} again=${found.reload} keyOf=${(row) => row.name} caption=${t('bucket')}
      more=${pages.token ? more : null} loading=${pages.busy} empty=${empty} />
    ${rows?.length > 0 && html`<p class="quiet" role="status">${t(pages.token ? 'firstNames' : 'allNames', { count: rows.length })}</p>`}
    <${Command} text=${shell('mlengine', 'storage', 'ls', '-l', `gs://${bucket}/${prefix}${begins && `${begins}*`}`)} />
    ${rows?.length > 0 && html`<${Command} text=${shell('mlengine', 'storage', 'cp', 'FILE', `gs://${bucket}/${prefix}`)} title=${t('upload')} />`}
    ${asks === 'delete' && html`<${DeleteBucket} project=${project} bucket=${bucket} close=${() => setAsks('')} />`}
    ${asks === 'folder' && html`<${NewFolder} project=${project} bucket=${bucket} prefix=${prefix} close=${() => setAsks('')} />`}
  </div>`;
}

// What was dropped, folders with all that is in them: [{name, file}].
async function filesOf(transfer) {
  // The transfer is empty after the first wait, so everything is taken out of it before.
  const plain = [...transfer.files].map((file) => ({ name: file.name, file }));
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.some((entry) => entry.isDirectory)) return plain;
  const walk = async (entry, within) => {
    if (entry.isFile) return [{ name: within + entry.name, file: await new Promise((good, bad) => entry.file(good, bad)) }];
    const reader = entry.createReader();
    const found = [];
    for (;;) {
      // A reader gives a hundred or so at a time, and nothing after the last.
      const some = await new Promise((good, bad) => reader.readEntries(good, bad));
      if (!some.length) return found;
      for (const one of some) found.push(...(await walk(one, `${within}${entry.name}/`)));
    }
  };
  return (await Promise.all(entries.map((entry) => walk(entry, '')))).flat();
}

function NewFolder({ project, bucket, prefix, close }) {
  const [name, setName] = useState('');
  const submit = (event) => {
    event.preventDefault();
    close();
    go(folderUrl(project, bucket, `${prefix}${name.replace(/^\/+|\/+$/g, '')}/`));
  };
  return html`<${Dialog} title=${t('newFolder')} onClose=${close}><form onSubmit=${submit}>
    <p>${t('newFolderText')}</p>
    <label><span>${t('name')}</span><input required pattern=".*[^/].*" value=${name} onInput=${(event) => setName(event.target.value)} /></label>
    <${Command} text=${shell('mlengine', 'storage', 'cp', 'FILE', `gs://${bucket}/${prefix}${name || 'FOLDER'}/`)} />
    <button class="main">${t('openFolder')}</button></form><//>`;
}

function DeleteBucket({ project, bucket, close }) {
  const erase = useAction(() => remove(`/storage/v1/b/${encodeURIComponent(bucket)}`).then(() => true));
  const gone = async () => {
    if (await erase.run()) go(url(project, 'buckets'));
  };
  return html`<${Dialog} title=${t('removeBucket')} onClose=${close}>
    <p>${t('removeBucketAsk', { name: bucket })}</p><${Trouble} error=${erase.error} />
    <${Command} text=${shell('mlengine', 'storage', 'rb', `gs://${bucket}`)} />
    <button type="button" class="danger" disabled=${erase.busy} onClick=${gone}>${t('removeBucket')}</button><//>`;
}

const rowsOf = (page) => [
  ...(page.prefixes || []).map((name) => ({ name, folder: true })),
  ...(page.items || []),
];

function Stored({ project, bucket, trail, title, up, name, file }) {
  const [asks, setAsks] = useState(false);
  const path = `/storage/v1/b/${encodeURIComponent(bucket)}/o/${encodeURIComponent(name)}`;
  const found = useLoad((signal) => get(path, undefined, { signal }), [path]);
  const erase = useAction(() => remove(path).then(() => true));
  const download = useAction(() => save(path, file));
  const address = `gs://${bucket}/${name}`;
  const item = found.value;
  const gone = async () => {
    if (await erase.run()) go(folderUrl(project, bucket, up));
  };
  const actions = item && html`<button type="button" disabled=${download.busy} onClick=${download.run}>${t('download')}</button>
    <button type="button" class="danger" onClick=${() => setAsks(true)}>${t('remove')}</button>`;
  return html`<${Heading} title=${title} path=${trail} actions=${actions} />
    <${Trouble} error=${found.error} again=${found.reload} /><${Trouble} error=${download.error} />
    ${!item && !found.error && html`<${Loading} />`}
    ${item && html`<${Facts} rows=${[[t('url'), html`<code>${seen(address)}</code> <${Copy} text=${address} />`], [t('size'), bytes(item.size)], [t('type'), item.contentType],
        [t('changed'), moment(item.updated)], [t('checksum'), item.crc32c], [t('generation'), item.generation]]} />
      <h2>${t('preview')}</h2><${Preview} path=${path} item=${item} />
      <${Command} text=${shell('mlengine', 'storage', 'cp', address, '.')} />`}
    ${asks && html`<${Dialog} title=${t('remove')} onClose=${() => setAsks(false)}>
      <p>${t('removeAsk', { name: seen(name) })}</p><${Trouble} error=${erase.error} />
      <${Command} text=${shell('mlengine', 'storage', 'rm', address)} />
      <button type="button" class="danger" disabled=${erase.busy} onClick=${gone}>${t('remove')}</button><//>`}`;
}
