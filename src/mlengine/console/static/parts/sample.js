// A request to be copied: for a shell, for Python, for our command line; always what the page itself would send.
import { html } from '../core/base.js';
import { current } from '../core/session.js';
import { useQuery } from '../core/router.js';
import { translator, useLanguage } from '../core/words.js';
import { Copy, Tabs } from './basics.js';
import words from '../words/version.js';

const t = translator(words);
const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`;
// JSON that is also Python.
function python(value) {
  if (value === null) return 'None';
  if (value === true) return 'True';
  if (value === false) return 'False';
  if (Array.isArray(value)) return `[${value.map(python).join(', ')}]`;
  if (typeof value === 'object') return `{${Object.entries(value).map(([key, one]) => `${JSON.stringify(key)}: ${python(one)}`).join(', ')}}`;
  return JSON.stringify(value);
}

export function samplesOf({ project, model, version, body, address }) {
  const signedIn = Boolean(current());
  const text = JSON.stringify(body);
  const lines = body.instances.map((instance) => quoted(JSON.stringify(instance))).join(' ');
  const options = [`--project=${project}`, `--model=${model}`, `--version=${version}`, ...(body.signature_name ? [`--signature-name=${body.signature_name}`] : [])];
  return {
    curl: `curl -H 'Content-Type: application/json' ${signedIn ? '-H "Authorization: Bearer $(mlengine auth print-access-token)" ' : ''}\\\n  -d ${quoted(text)} \\\n  ${quoted(address)}`,
    python: `from mlengine import Client\n\nclient = Client(endpoint=${python(location.origin)}, project=${python(project)})\n`
      + `print(client.predict(${python(model)}, ${python(body.instances)}, version=${python(version)}${body.signature_name ? `, signature_name=${python(body.signature_name)}` : ''}))`,
    cli: `printf '%s\\n' ${lines} |\n  mlengine predict ${options.join(' ')} --json-instances=-`,
  };
}

export function Samples(given) {
  useLanguage();
  const [form, setForm] = useQuery('as', 'curl');
  const texts = samplesOf(given);
  const text = texts[form] || texts.curl;
  return html`<div><h2>${t('sameRequest')}</h2>
    <${Tabs} tabs=${[['curl', 'curl'], ['python', 'Python'], ['cli', t('command')]]} value=${form} onChange=${setForm} label=${t('sameRequest')} />
    <div class="json"><${Copy} text=${text} /><pre tabindex="0">${text}</pre></div></div>`;
}
