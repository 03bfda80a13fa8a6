export default {
  en: {
    range: 'Range', '15m': '15 minutes', '1h': '1 hour', '1d': '1 day', '30d': '30 days',
    rate: 'Requests per second', requests: 'requests', predictions: 'predictions', codes: 'Errors by HTTP code, per second', noErrors: 'errors', total: 'Latency in all', model: 'Latency of the model', queue: 'Latency of waiting and sending',
    batch: 'Predictions in one call of the model', mean: 'mean', batchShort: 'Batch', replicas: 'Processes that serve', most: 'most', memory: 'Memory of its processes', cpu: 'CPU (cores)', inFlight: 'Requests under way, most at once',
    all: 'Requests', errors: 'Errors', p50: 'p50', p95: 'p95', p99: 'p99', lastUse: 'Last request', never: 'never', now: 'Under way now', copied: 'Of these, copies', meanRate: 'Requests/s',
    errorsChart: 'Errors per second', p95Chart: 'Latency, p95', modelChart: 'Latency of the model, p95', versions: 'Versions', version: 'Version', quiet: 'No request in this time. Ask for one prediction, and it shows here within seconds.', logTrouble: 'Requests are not logged',
  },
  ko: {
    range: '기간', '15m': '15분', '1h': '1시간', '1d': '1일', '30d': '30일',
    rate: '초당 요청', requests: '요청', predictions: '예측', codes: 'HTTP 코드별 초당 오류', noErrors: '오류', total: '전체 지연 시간', model: '모델 지연 시간', queue: '대기·전송 지연 시간',
    batch: '모델 호출당 예측 수', mean: '평균', batchShort: '배치', replicas: '서빙 중인 프로세스', most: '최대', memory: '프로세스 메모리', cpu: 'CPU (코어)', inFlight: '처리 중인 요청, 최대 동시 수',
    all: '요청', errors: '오류', p50: 'p50', p95: 'p95', p99: 'p99', lastUse: '마지막 요청', never: '없음', now: '지금 처리 중', copied: '그중 복사된 요청', meanRate: '초당 요청',
    errorsChart: '초당 오류', p95Chart: '지연 시간, p95', modelChart: '모델 지연 시간, p95', versions: '버전', version: '버전', quiet: '이 기간에 요청이 없습니다. 예측을 한 번 요청하면 몇 초 안에 여기에 나타납니다.', logTrouble: '요청이 기록되지 않습니다',
  },
};
