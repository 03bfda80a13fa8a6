// Models and versions as the REST names them: their addresses there, all of them at once, and where models lie.
import { get } from './api.js';

export const modelPath = (project, model = '') => `/v1/projects/${encodeURIComponent(project)}/models${model && `/${encodeURIComponent(model)}`}`;
export const versionPath = (project, model, version = '') => `${modelPath(project, model)}/versions${version && `/${encodeURIComponent(version)}`}`;
// What is ours beyond Google's methods lies beside them.
export const own = (path) => `/mlengine${path}`;
export const idOf = (name) => (name || '').split('/').pop();

// All pages of a list.
export async function listAll(path, kind, signal, query = {}) {
  const found = [];
  let pageToken = '';
  do {
    const page = await get(path, { pageSize: 100, pageToken, ...query }, { signal });
    found.push(...(page[kind] || []));
    pageToken = page.nextPageToken || '';
  } while (pageToken);
  return found;
}

// Files that make their folder a model's, and the framework they tell of; the server goes by the same.
const ARTEFACTS = {
  'saved_model.pb': 'TENSORFLOW', 'saved_model.pbtxt': 'TENSORFLOW', 'model.keras': 'KERAS', 'model.h5': 'KERAS',
  'model.bst': 'XGBOOST', 'model.json': 'XGBOOST', 'model.ubj': 'XGBOOST', 'model.txt': 'LIGHTGBM',
  'model.pt2': 'PYTORCH', 'model.pt': 'PYTORCH', 'model.onnx': 'ONNX', 'model.joblib': 'SCIKIT_LEARN', 'model.pkl': 'SCIKIT_LEARN',
};
export const FRAMEWORKS = ['TENSORFLOW', 'SCIKIT_LEARN', 'XGBOOST', 'LIGHTGBM', 'KERAS', 'PYTORCH', 'ONNX'];
export const artefact = (name) => ARTEFACTS[name.split('/').pop()];

const LOOKED = 5; // pages of a thousand objects; a folder with more is no export

export function place(origin) {
  const found = (origin || '').match(/^gs:\/\/([^/]+)\/?(.*)$/);
  return found ? { bucket: found[1], path: found[2].replace(/\/+$/, '') } : null;
}

// The folders in `origin` that hold a model: what is called `model` first, then the newest.
export async function modelsIn(origin, signal) {
  const where = place(origin);
  if (!where) return [];
  const folders = new Map();
  let pageToken = '';
  for (let page = 0; page < LOOKED; page += 1) {
    const prefix = where.path ? `${where.path}/` : '';
    const query = { prefix, maxResults: 1000, pageToken, fields: 'items(name,updated),nextPageToken' };
    const found = await get(`/storage/v1/b/${encodeURIComponent(where.bucket)}/o`, query, { signal });
    for (const item of found.items || []) {
      const framework = artefact(item.name);
      if (!framework) continue;
      const folder = item.name.split('/').slice(0, -1).join('/');
      const before = folders.get(folder);
      if (!before || before.updated < item.updated) folders.set(folder, { framework, updated: item.updated });
    }
    pageToken = found.nextPageToken || '';
    if (!pageToken) break;
  }
  const first = (folder) => (folder === where.path || folder === `${where.path}/model` ? 1 : 0);
  return [...folders].map(([folder, told]) => ({ folder, origin: `gs://${where.bucket}${folder && `/${folder}`}`, ...told }))
    .sort((a, b) => first(b.folder) - first(a.folder) || b.updated.localeCompare(a.updated));
}

// "team=sea, year=1912" and back.
export const labelsText = (labels) => Object.entries(labels || {}).map(([key, value]) => (value ? `${key}=${value}` : key)).join(', ');
export const labelsOf = (text) =>
  Object.fromEntries(text.split(',').map((part) => part.trim()).filter(Boolean).map((part) => [part.split('=')[0].trim(), part.split('=').slice(1).join('=').trim()]));
