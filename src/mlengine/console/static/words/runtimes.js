export default {
  en: {
    title: 'Runtimes', name: 'Runtime', built: 'Built', size: 'Size', python: 'Python', packages: 'Packages', used: 'In use by', buildTook: 'Building took', summary: 'What it is for',
    yes: 'built', no: 'not built', building: 'building', failed: 'failed', usedBy: '{jobs} jobs, {versions} versions', nobody: 'nobody', build: 'Build', remove: 'Remove', removeAsk: 'Remove the environment of {name} from this machine? It is built again when a job or a version needs it.',
    details: 'All packages', package: 'Package', version: 'Version', search: 'Search', explain: 'A runtime is a Python with exactly pinned packages. It is built when a job or version first needs it, or ahead of that.', noMatch: 'No package fits.', packagesCount: '{count} packages',
  },
  ko: {
    title: '런타임', name: '런타임', built: '빌드', size: '크기', python: 'Python', packages: '패키지', used: '사용처', buildTook: '빌드 시간', summary: '용도',
    yes: '빌드됨', no: '빌드 안 됨', building: '빌드 중', failed: '실패', usedBy: '작업 {jobs}개, 버전 {versions}개', nobody: '없음', build: '빌드', remove: '제거', removeAsk: '이 머신에서 {name} 환경을 제거할까요? 작업이나 버전에 필요하면 다시 빌드됩니다.',
    details: '전체 패키지', package: '패키지', version: '버전', search: '검색', explain: '런타임은 버전이 정확히 고정된 패키지를 갖춘 Python입니다. 작업이나 버전에 처음 필요할 때 빌드되며, 미리 빌드할 수도 있습니다.', noMatch: '일치하는 패키지가 없습니다.', packagesCount: '패키지 {count}개',
  },
};
