// A folder of trainer files as a source archive (.tar.gz), made in the browser: what `--package-path` does.
const BLOCK = 512;
const SKIPPED = /(^|\/)(\.git|\.hg|\.svn|\.venv|venv|node_modules|__pycache__|\.ipynb_checkpoints|\.tox)\/|\.pyc$|\.DS_Store$/;

// `files`: of an <input webkitdirectory>. Resolves to {file, module}: the archive, and the module it probably runs.
export async function packed(files) {
  const wanted = [...files].filter((file) => !SKIPPED.test(file.webkitRelativePath));
  const root = wanted[0]?.webkitRelativePath.split('/')[0] || '';
  const inner = wanted.map((file) => [file.webkitRelativePath.slice(root.length + 1), file]);
  const has = (path) => inner.some(([name]) => name === path);
  const isProject = has('setup.py') || has('pyproject.toml');
  if (!isProject && !has('__init__.py')) throw new Error('noPackage');
  const name = root.replace(/[^\w.-]/g, '_');
  const folder = `${name}-0.0.0`;
  const entries = inner.map(([path, file]) => [isProject ? `${folder}/${path}` : `${folder}/${root}/${path}`, file]);
  if (!isProject) entries.unshift([`${folder}/setup.py`, new Blob([setup(root)])]);
  const pieces = [];
  for (const [path, content] of entries.sort(([a], [b]) => (a < b ? -1 : 1))) {
    pieces.push(...head(path, content.size), content, new Uint8Array((BLOCK - (content.size % BLOCK)) % BLOCK));
  }
  pieces.push(new Uint8Array(2 * BLOCK));
  const stream = new Blob(pieces).stream().pipeThrough(new CompressionStream('gzip'));
  const blob = await new Response(stream).blob();
  const task = entries.map(([path]) => path.slice(folder.length + 1)).find((path) => /(^|\/)(task|main|train)\.py$/.test(path));
  return {
    file: new File([blob], `${folder}.tar.gz`, { type: 'application/gzip' }),
    module: task ? task.replace(/\.py$/, '').replaceAll('/', '.') : '',
  };
}

const setup = (name) => `from setuptools import find_packages, setup

setup(
    name="${name}",
    version="0.0.0",
    packages=find_packages(include=["${name}", "${name}.*"]),
    package_data={"": ["*", "**/*"]},
)
`;

// The blocks before a file in a POSIX tar; a path that is long or not ASCII gets a pax block of its own.
function head(path, size) {
  const coded = new TextEncoder().encode(path);
  if (coded.length <= 100 && coded.length === path.length) return [block(path, size, '0')];
  const record = pax(path);
  return [block('pax', record.length, 'x'), record, new Uint8Array((BLOCK - (record.length % BLOCK)) % BLOCK), block('file', size, '0')];
}

function pax(path) {
  const rest = new TextEncoder().encode(` path=${path}\n`);
  let length = rest.length;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return new TextEncoder().encode(`${length} path=${path}\n`);
}

function block(path, size, type) {
  const bytes = new Uint8Array(BLOCK);
  const write = (at, text) => bytes.set(new TextEncoder().encode(text), at);
  const octal = (value, digits) => value.toString(8).padStart(digits, '0');
  write(0, path);
  write(100, '0000644\0');
  write(108, '0000000\0');
  write(116, '0000000\0');
  write(124, `${octal(size, 11)}\0`);
  write(136, `${octal(1577836800, 11)}\0`);
  write(148, '        ');
  write(156, type);
  write(257, 'ustar\x0000');
  let sum = 0;
  for (const byte of bytes) sum += byte;
  write(148, `${octal(sum, 6)}\0 `);
  return bytes;
}
