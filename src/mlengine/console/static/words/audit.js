export default {
  en: {
    title: 'Audit log', time: 'Time', method: 'Method', resource: 'On what', caller: 'Who', status: 'Result', message: 'Message', key: 'Key', job: 'Job',
    from: 'From', until: 'Until', only: 'Refused or failed only', empty: 'Nothing was changed yet', emptyText: 'Every change is noted here: who, when, on what, and whether it was allowed. For example:',
    noMatch: 'No entry of those looked at fits. Older ones may.', explain: 'Newest first. Reading and predictions are not noted.', contains: 'contains', older: 'Look at older entries', whoAmI: 'owner of this machine', nobody: 'nobody (no token)',
  },
  ko: {
    title: '감사 로그', time: '시각', method: '메서드', resource: '대상', caller: '요청자', status: '결과', message: '메시지', key: '키', job: '작업',
    from: '시작', until: '끝', only: '거부되거나 실패한 것만', empty: '아직 변경 기록이 없습니다', emptyText: '누가 언제 무엇을 변경했고 허용되었는지가 모두 여기에 남습니다. 예:',
    noMatch: '확인한 항목 중에는 일치하는 것이 없습니다. 더 오래된 항목에 있을 수 있습니다.', explain: '최신순입니다. 읽기와 예측은 기록하지 않습니다.', contains: '포함', older: '더 오래된 항목 보기', whoAmI: '이 머신의 소유자', nobody: '알 수 없음 (토큰 없음)',
  },
};
