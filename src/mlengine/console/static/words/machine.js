export default {
  en: {
    title: 'Machine and queue', cpu: 'CPU', memory: 'Memory', disk: 'Data disk', load: 'Load (1, 5, 15 minutes)', gpus: 'GPUs',
    busyOf: '{busy} of {cpus} cores', usedOf: '{used} of {all} used', gpuBusy: 'given to a job', gpuFree: 'free', noGpu: 'none',
    forJobs: 'Kept for jobs', slots: 'Jobs at once', freeOf: '{free} of {all} free',
    running: 'What runs', job: 'Job', replica: 'Replica', share: 'Share of CPU', usedCpu: 'CPU used', memoryLimit: 'Memory limit', usedMemory: 'Memory used', gpu: 'GPU', since: 'Running for', state: 'State',
    noneRunning: 'No job runs.', otherProject: 'of another project', shared: 'not limited',
    serving: 'Versions that are served', version: 'Version', node: 'Node', process: 'Process', sharedBy: 'Nodes in it', noneServing: 'No version is served.',
    waiting: 'What waits', position: 'Place', reason: 'Why', waited: 'Waiting for', noneWaiting: 'The queue is empty.', moreWaiting: 'The first {shown} of {all} that wait.',
    health: 'Health', healthy: 'OK', database: 'Database', blobs: 'Bucket contents', gateway: 'Gateway', loops: 'Background loops', runtime: 'Runtime', live: 'Refreshes by itself every 3 seconds.',
  },
  ko: {
    title: '머신과 대기열', cpu: 'CPU', memory: '메모리', disk: '데이터 디스크', load: '부하 (1분, 5분, 15분)', gpus: 'GPU',
    busyOf: '{cpus}코어 중 {busy} 사용', usedOf: '{all} 중 {used} 사용', gpuBusy: '작업에 할당됨', gpuFree: '사용 가능', noGpu: '없음',
    forJobs: '작업용 자원', slots: '동시 작업 수', freeOf: '{all} 중 {free} 남음',
    running: '실행 중', job: '작업', replica: '복제본', share: 'CPU 할당', usedCpu: 'CPU 사용', memoryLimit: '메모리 한도', usedMemory: '메모리 사용', gpu: 'GPU', since: '경과', state: '상태',
    noneRunning: '실행 중인 작업이 없습니다.', otherProject: '다른 프로젝트', shared: '제한 없음',
    serving: '서빙 중인 버전', version: '버전', node: '노드', process: '프로세스', sharedBy: '공유 노드 수', noneServing: '서빙 중인 버전이 없습니다.',
    waiting: '대기 중', position: '순번', reason: '이유', waited: '대기 시간', noneWaiting: '대기열이 비어 있습니다.', moreWaiting: '대기 중인 {all}개 중 처음 {shown}개입니다.',
    health: '상태 점검', healthy: '정상', database: '데이터베이스', blobs: '버킷 저장소', gateway: '게이트웨이', loops: '백그라운드 루프', runtime: '런타임', live: '3초마다 자동으로 새로 고칩니다.',
  },
};
