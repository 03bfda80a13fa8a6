/* The load generator of the serving benchmark: many connections, every answer's values checked.

   In C, because what measures must cost less than what is measured: about 4 microseconds of CPU a request.
   Read `load.py` for how it is called and what it prints.

   load HOST PORT CONNECTIONS SECONDS PLAN [RATE]
     PLAN  a file: u32 number of requests, u32 length of the anchor, the anchor, double tolerance; then per
           request u32 length, the bytes of the HTTP request, u32 count, doubles: the numbers expected in the
           answer's body after the anchor, in order; what stands in double quotes is passed over.
     RATE  requests a second that come whether or not the server keeps up (open loop; latency counts from the
           moment a request was due). Without it each connection asks again as soon as it was answered.
   load serve PORT BODY_BYTES
     Answers every request with one canned body: the fastest server there is, to measure this program itself.
*/
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BUFFER (1 << 20)
#define MOST_STATUSES 600

typedef struct {
  char *bytes;
  uint32_t length;
  uint32_t count;
  double *expected;
} Request;

typedef struct {
  int fd;
  int busy;
  Request *request;
  uint32_t sent;
  double due;
  double asked_at;
  char *buffer;
  size_t filled;
  int wants_write;
} Connection;

static Request *requests;
static uint32_t request_count, anchor_length;
static char *anchor;
static double tolerance;
static uint32_t next_request;

static uint32_t *latencies, *from_asking;
static size_t latency_count, latency_room;
static long statuses[MOST_STATUSES], wrong, broken, asked;
static char first_wrong[600];
static int epoll_fd;
static struct sockaddr_in server;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec * 1e-9;
}

static void die(const char *what) {
  perror(what);
  exit(2);
}

static void read_plan(const char *path) {
  FILE *file = fopen(path, "rb");
  if (!file) die(path);
  if (fread(&request_count, 4, 1, file) != 1 || fread(&anchor_length, 4, 1, file) != 1) die("plan");
  anchor = calloc(1, anchor_length + 1);
  if (anchor_length && fread(anchor, anchor_length, 1, file) != 1) die("plan");
  if (fread(&tolerance, 8, 1, file) != 1) die("plan");
  requests = calloc(request_count, sizeof(Request));
  for (uint32_t i = 0; i < request_count; i++) {
    Request *r = &requests[i];
    if (fread(&r->length, 4, 1, file) != 1) die("plan");
    r->bytes = malloc(r->length);
    if (fread(r->bytes, r->length, 1, file) != 1 || fread(&r->count, 4, 1, file) != 1) die("plan");
    r->expected = malloc(8 * (r->count + 1));
    if (r->count && fread(r->expected, 8, r->count, file) != r->count) die("plan");
  }
  fclose(file);
}

/* Both counted: from when it was due, and from when a connection was free to ask. */
static void note(double seconds, double since_asking) {
  if (latency_count == latency_room) {
    latency_room = latency_room ? 2 * latency_room : 1 << 16;
    latencies = realloc(latencies, latency_room * sizeof(uint32_t));
    from_asking = realloc(from_asking, latency_room * sizeof(uint32_t));
  }
  from_asking[latency_count] = (uint32_t)(since_asking * 1e6 + 0.5);
  latencies[latency_count++] = (uint32_t)(seconds * 1e6 + 0.5);
}

static int right(Request *r, const char *body, size_t length) {
  const char *p = body, *end = body + length;
  if (anchor_length) {
    p = memmem(body, length, anchor, anchor_length);
    if (!p) return 0;
    p += anchor_length;
  }
  for (uint32_t i = 0; i < r->count; i++) {
    for (;; p++) {
      if (p >= end) return 0;
      if (*p == '"') {
        p = memchr(p + 1, '"', end - p - 1);
        if (!p) return 0;
      } else if (*p == '-' || (*p >= '0' && *p <= '9')) {
        break;
      }
    }
    char *after;
    double value = strtod(p, &after); /* The buffer ends with a zero byte. */
    if (!(fabs(value - r->expected[i]) <= tolerance)) return 0;
    p = after;
  }
  return 1;
}

/* Length of the whole answer in the buffer, 0 while it is incomplete, -1 if it cannot be read. */
static long complete(Connection *c, int *status, char **body, size_t *body_length) {
  c->buffer[c->filled] = 0;
  char *head_end = strstr(c->buffer, "\r\n\r\n");
  if (!head_end) return 0;
  *status = atoi(c->buffer + 9);
  *body = head_end + 4;
  size_t have = c->filled - (*body - c->buffer);
  char *line = c->buffer;
  long length = -1;
  int chunked = 0;
  while (line < head_end) {
    line = strstr(line, "\r\n") + 2;
    if (!strncasecmp(line, "content-length:", 15)) length = atol(line + 15);
    if (!strncasecmp(line, "transfer-encoding:", 18)) chunked = 1;
  }
  if (chunked) {
    /* Joined in place; only done once the last chunk has come. */
    if (c->filled < 5 || memcmp(c->buffer + c->filled - 5, "0\r\n\r\n", 5)) return 0;
    char *from = *body, *to = *body;
    for (;;) {
      long size = strtol(from, &from, 16);
      from = strstr(from, "\r\n") + 2;
      if (!size) break;
      memmove(to, from, size);
      to += size;
      from += size + 2;
    }
    *to = 0;
    *body_length = to - *body;
    return c->filled;
  }
  if (length < 0) return -1;
  *body_length = length;
  return have >= (size_t)length ? (*body - c->buffer) + length : 0;
}

static void watch(Connection *c, int write_too) {
  struct epoll_event e = {.events = EPOLLIN | (write_too ? EPOLLOUT : 0), .data.ptr = c};
  epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &e);
  c->wants_write = write_too;
}

static void open_connection(Connection *c) {
  c->fd = socket(AF_INET, SOCK_STREAM, 0);
  if (c->fd < 0) die("socket");
  int one = 1;
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (connect(c->fd, (struct sockaddr *)&server, sizeof server) < 0) die("connect");
  fcntl(c->fd, F_SETFL, O_NONBLOCK);
  c->busy = 0;
  c->filled = 0;
  struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
  epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &e);
}

static void reopen(Connection *c) {
  broken += c->busy;
  close(c->fd);
  open_connection(c);
}

static void push(Connection *c) {
  while (c->sent < c->request->length) {
    ssize_t n = send(c->fd, c->request->bytes + c->sent, c->request->length - c->sent, MSG_NOSIGNAL);
    if (n < 0) {
      if (errno == EAGAIN) {
        if (!c->wants_write) watch(c, 1);
        return;
      }
      reopen(c);
      return;
    }
    c->sent += n;
  }
  if (c->wants_write) watch(c, 0);
}

static void ask(Connection *c, double due) {
  c->request = &requests[next_request++ % request_count];
  c->sent = 0;
  c->due = due;
  c->asked_at = now();
  c->busy = 1;
  asked++;
  push(c);
}

/* Reads; 1 when the answer is complete and was judged. */
static int take(Connection *c) {
  for (;;) {
    if (c->filled >= BUFFER - 1) die("an answer of over a megabyte");
    ssize_t n = recv(c->fd, c->buffer + c->filled, BUFFER - 1 - c->filled, 0);
    if (n == 0 || (n < 0 && errno != EAGAIN)) {
      int was_busy = c->busy;
      reopen(c);
      return was_busy;
    }
    if (n < 0) return 0;
    c->filled += n;
    int status;
    char *body;
    size_t length;
    long whole = complete(c, &status, &body, &length);
    if (whole < 0) die("an answer without a length");
    if (!whole) continue;
    if (!c->busy) {
      c->filled = 0;
      continue;
    }
    double moment = now();
    statuses[status > 0 && status < MOST_STATUSES ? status : 0]++;
    if (status == 200) {
      char kept = body[length];
      body[length] = 0;
      if (right(c->request, body, length)) {
        note(moment - c->due, moment - c->asked_at);
      } else {
        if (!wrong) snprintf(first_wrong, sizeof first_wrong, "%.300s", body);
        wrong++;
      }
      body[length] = kept;
    }
    c->filled = 0;
    c->busy = 0;
    return 1;
  }
}

static int compare(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return x < y ? -1 : x > y;
}

static double at(const uint32_t *sorted, double share) {
  if (!latency_count) return 0;
  size_t place = (size_t)(share * (latency_count - 1) + 0.5);
  return sorted[place] / 1000.0;
}

static void report(double seconds, long unanswered) {
  qsort(latencies, latency_count, sizeof(uint32_t), compare);
  qsort(from_asking, latency_count, sizeof(uint32_t), compare);
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  double cpu = usage.ru_utime.tv_sec + usage.ru_utime.tv_usec * 1e-6 + usage.ru_stime.tv_sec +
               usage.ru_stime.tv_usec * 1e-6;
  printf("{\"seconds\": %.4f, \"asked\": %ld, \"right\": %zu, \"wrong\": %ld, \"broken\": %ld, ", seconds,
         asked, latency_count, wrong, broken);
  printf("\"unanswered\": %ld, \"perSecond\": %.1f, ", unanswered, latency_count / seconds);
  printf("\"p50\": %.3f, \"p90\": %.3f, \"p99\": %.3f, \"max\": %.3f, \"p99FromAsking\": %.3f, \"cpuSeconds\": %.3f, \"statuses\": {",
         at(latencies, .5), at(latencies, .9), at(latencies, .99), at(latencies, 1), at(from_asking, .99), cpu);
  const char *comma = "";
  for (int i = 0; i < MOST_STATUSES; i++)
    if (statuses[i]) {
      printf("%s\"%d\": %ld", comma, i, statuses[i]);
      comma = ", ";
    }
  printf("}}\n");
  if (wrong) fprintf(stderr, "first wrong answer: %s\n", first_wrong);
}

static void serve(int port, long size) {
  int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (bind(listener, (struct sockaddr *)&a, sizeof a) < 0 || listen(listener, 1024) < 0) die("bind");
  char *answer = malloc(size + 200), *input = malloc(BUFFER);
  long head = sprintf(answer, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %ld\r\n\r\n", size);
  memset(answer + head, ' ', size);
  epoll_fd = epoll_create1(0);
  struct epoll_event e = {.events = EPOLLIN, .data.fd = listener}, events[256];
  epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &e);
  long *missing = calloc(65536, sizeof(long));
  for (;;) {
    int n = epoll_wait(epoll_fd, events, 256, -1);
    for (int i = 0; i < n; i++) {
      int fd = events[i].data.fd;
      if (fd == listener) {
        e.data.fd = accept(listener, 0, 0);
        setsockopt(e.data.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, e.data.fd, &e);
        missing[e.data.fd] = 0;
        continue;
      }
      ssize_t got = recv(fd, input, BUFFER - 1, 0);
      if (got <= 0) {
        close(fd);
        continue;
      }
      input[got] = 0;
      if (!missing[fd]) {
        char *length = strcasestr(input, "content-length:"), *end = strstr(input, "\r\n\r\n");
        if (!length || !end) continue;
        missing[fd] = atol(length + 15) + (end + 4 - input);
      }
      missing[fd] -= got;
      if (missing[fd] <= 0) {
        missing[fd] = 0;
        if (send(fd, answer, head + size, MSG_NOSIGNAL) < 0) close(fd);
      }
    }
  }
}

int main(int argc, char **argv) {
  if (argc == 4 && !strcmp(argv[1], "serve")) serve(atoi(argv[2]), atol(argv[3]));
  if (argc < 6) {
    fprintf(stderr, "load HOST PORT CONNECTIONS SECONDS PLAN [RATE]\n");
    return 2;
  }
  server.sin_family = AF_INET;
  server.sin_port = htons(atoi(argv[2]));
  inet_pton(AF_INET, argv[1], &server.sin_addr);
  int count = atoi(argv[3]);
  double duration = atof(argv[4]), rate = argc > 6 ? atof(argv[6]) : 0;
  read_plan(argv[5]);
  epoll_fd = epoll_create1(0);
  Connection *connections = calloc(count, sizeof(Connection));
  Connection **idle = malloc(count * sizeof(Connection *));
  int idle_count = 0;
  for (int i = 0; i < count; i++) {
    connections[i].buffer = malloc(BUFFER);
    open_connection(&connections[i]);
    idle[idle_count++] = &connections[i];
  }
  double start = now(), end = start + duration, give_up = end + 10;
  long due = 0, done = 0;
  struct epoll_event events[512];
  if (!rate)
    while (idle_count) ask(idle[--idle_count], now());
  for (;;) {
    double t = now();
    int wait = 100;
    if (rate) {
      long until_now = (long)((t < end ? t - start : duration) * rate);
      for (; due < until_now && idle_count; due++) ask(idle[--idle_count], start + due / rate);
      if (t < end) wait = 1;
      long all = (long)(duration * rate);
      if (t >= end && (done + 0 >= all || t >= give_up)) break;
    } else if (t >= end && (idle_count == count || t >= give_up)) {
      break;
    }
    int n = epoll_wait(epoll_fd, events, 512, wait);
    for (int i = 0; i < n; i++) {
      Connection *c = events[i].data.ptr;
      if (events[i].events & EPOLLOUT && c->busy) push(c);
      if (!(events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))) continue;
      if (!take(c)) continue;
      done++;
      if (!rate && now() < end)
        ask(c, now());
      else
        idle[idle_count++] = c;
    }
  }
  double took = rate ? duration : now() - start;
  report(took, rate ? (long)(duration * rate) - done : asked - done);
  return 0;
}
