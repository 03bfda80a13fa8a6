// One click to TensorBoard: the server starts it for a folder, and it opens in a tab of its own.
import { html } from '../core/base.js';
import { post } from '../core/api.js';
import { useAction } from '../core/load.js';
import { translator, useLanguage } from '../core/words.js';
import { Trouble } from './basics.js';
import words from '../words/job.js';

const t = translator(words);

export function TensorBoard({ project, logdir }) {
  useLanguage();
  const start = useAction(async () => {
    // Opened while the click still counts, or the browser takes it for an advertisement.
    const tab = open('', '_blank');
    // It was given a copy of what this tab keeps; what TensorBoard shows must not find our token there.
    tab?.sessionStorage.clear();
    try {
      const found = await post(`/mlengine/v1/projects/${encodeURIComponent(project)}/tensorboards`, { logdir });
      tab.opener = null;
      tab.location = found.url;
      return found;
    } catch (error) {
      tab?.close();
      throw error;
    }
  });
  return html`<button type="button" disabled=${start.busy} onClick=${start.run}>${start.busy ? t('tensorboardStarting') : t('tensorboard')}</button>
    ${start.error && html`<${Trouble} error=${start.error} />`}`;
}
