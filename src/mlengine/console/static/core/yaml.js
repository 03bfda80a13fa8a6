// A JSON value as YAML, for previews: plain where that is safe, quoted as JSON (which YAML reads) where not.
const PLAIN = /^[A-Za-z_/][\w./:@+-]*$/;
const WORDS = /^(true|false|yes|no|on|off|null|y|n|~)$/i;

const scalar = (value) =>
  typeof value === 'string' && PLAIN.test(value) && !WORDS.test(value) && !value.endsWith(':') ? value : JSON.stringify(value);

export function yaml(value, indent = '') {
  const entries = Array.isArray(value) ? value.map((one) => ['-', one]) : Object.entries(value).map(([key, one]) => [`${key}:`, one]);
  return entries.map(([mark, one]) => {
    const isEmpty = one && typeof one === 'object' && !Object.keys(one).length;
    if (!one || typeof one !== 'object') return `${indent}${mark} ${scalar(one)}`;
    if (isEmpty) return `${indent}${mark} ${Array.isArray(one) ? '[]' : '{}'}`;
    return `${indent}${mark}\n${yaml(one, Array.isArray(one) ? indent : `${indent}  `)}`;
  }).join('\n');
}
