// Which pages there are, at which addresses, and where the menu shows them. A page is loaded when it is opened.
export const SECTIONS = [
  ['train', ['jobs', 'models', 'monitoring']],
  ['data', ['buckets', 'tables']],
  ['operate', ['machine', 'runtimes', 'accounts', 'audit', 'settings']],
];

export const ROUTES = [
  ['/jobs', () => import('./jobs.js'), 'jobs'],
  ['/jobs/new', () => import('./job_new.js'), 'jobs'],
  ['/jobs/:job', () => import('./job.js'), 'jobs'],
  ['/models', () => import('./models.js'), 'models'],
  ['/models/:model', () => import('./model.js'), 'models'],
  ['/models/:model/new', () => import('./version_new.js'), 'models'],
  ['/models/:model/:version', () => import('./version.js'), 'models'],
  ['/monitoring', () => import('./monitoring.js'), 'monitoring'],
  ['/buckets', () => import('./buckets.js'), 'buckets'],
  ['/buckets/:bucket', () => import('./bucket.js'), 'buckets'],
  ['/buckets/:bucket/:path*', () => import('./bucket.js'), 'buckets'],
  ['/tables', () => import('./tables.js'), 'tables'],
  ['/tables/query', () => import('./query.js'), 'tables'],
  ['/tables/:dataset/:table', () => import('./table.js'), 'tables'],
  ['/machine', () => import('./machine.js'), 'machine'],
  ['/runtimes', () => import('./runtimes.js'), 'runtimes'],
  ['/accounts', () => import('./accounts.js'), 'accounts'],
  ['/audit', () => import('./audit.js'), 'audit'],
  ['/settings', () => import('./settings.js'), 'settings'],
];
