/*
 * HTTP/1.1 load over the kernel's sockets, open or closed loop, over a connection for each request or over kept ones, which are
 * as popular as Zipf's law says and pipelined. Latency counts from when a request was due: who stands still is charged for all who
 * wait meanwhile, and those that wait at the end count with the time that they have waited so far.
 *
 * Arguments are `name=value`: remote, port, prefix and objects (paths PREFIX0, PREFIX1 and so on), body (octets of each), slots
 * (connections at a time), closing (1: a connection for each request), slotAlpha and objectAlpha (Zipf's exponents, 0: all alike),
 * seed, core.
 *
 * Told on its standard input, with a line `begin` after the warm-up and one of JSON at the end:
 *
 *   run RATE WARM SECONDS   RATE requests a second; 0: as many as are answered; longer where none was in that time
 */
#define _GNU_SOURCE
#include "common.h"
#include <math.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/epoll.h>

enum {
  MAX_SLOTS = 4096,
  /* Requests of one connection that were sent and not answered: they fit its buffers. */
  MAX_UNDER_WAY = 64,
  /* And those that wait for them; what is due beyond that is shed. */
  MAX_QUEUED = 2048,
  /* Of one connection in the closed loop, so that none of the two ends waits for the other. */
  CLOSED_DEPTH = 2,
  MAX_SAMPLES = 4000000,
  MAX_OBJECTS = 100000,
  REQUEST_OCTETS = 128,
  HEAD_OCTETS = 12,
};
static const char HEAD[] = "HTTP/1.1 200", END[] = "\r\n\r\n";
/* Who is not answered for so long is not any more. */
static const int64_t GIVEN_UP_NS = 20000000000LL;

enum { FREE, CONNECTING, OPEN, ENDING };

typedef struct {
  int64_t due;
  uint32_t object;
} waiting_t;

/* Of its ring: answered up to `first`, sent up to `sent`, due up to `last`. */
typedef struct {
  waiting_t *ring;
  uint32_t first, sent, last;
  int fd, state;
  /* What came of the head, how much of its end, and what is left of the body. */
  int head, ends, left;
} slot_t;

static slot_t slots[MAX_SLOTS];
/* Popularity: sums of the weights by rank, and who has the rank. */
static double slot_sums[MAX_SLOTS], object_sums[MAX_OBJECTS];
static int slot_of_rank[MAX_SLOTS];
static int idle[MAX_SLOTS], idle_count, slot_count, object_count, body, poller;
static bool closing;
static const char *prefix;
static struct sockaddr_in remote;
static float *whole, *firsts;
static size_t whole_count, first_count;
static long long answered, failed, shed;
static int64_t window_from;
static uint32_t random_state;

static uint32_t random32(void) {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 17;
  random_state ^= random_state << 5;
  return random_state;
}

static void weigh(double *sums, int count, double alpha) {
  double sum = 0;
  for (int rank = 0; rank < count; rank++) sums[rank] = sum += 1 / pow(rank + 1, alpha);
}

static int rank_of(const double *sums, int count) {
  const double point = random32() / 4294967296.0 * sums[count - 1];
  int low = 0, high = count - 1;
  while (low < high) {
    int middle = (low + high) / 2;
    if (sums[middle] < point) low = middle + 1;
    else high = middle;
  }
  return low;
}

static void sample(float *samples, size_t *count, int64_t due, int64_t at) {
  if (due >= window_from && *count < MAX_SAMPLES) samples[(*count)++] = (float)(at - due) / 1000;
}

static waiting_t *waiting(slot_t *slot, uint32_t index) { return &slot->ring[index % MAX_QUEUED]; }

static void forget(slot_t *slot) {
  close(slot->fd);
  slot->state = FREE;
  slot->first = slot->sent = slot->last = 0;
  if (closing) idle[idle_count++] = (int)(slot - slots);
}

/* All that it was asked failed. */
static void give_up(slot_t *slot) {
  failed += slot->last > slot->first ? slot->last - slot->first : 1;
  forget(slot);
}

static void open_slot(slot_t *slot) {
  struct epoll_event event = {.events = EPOLLOUT, .data.u32 = (uint32_t)(slot - slots)};
  slot->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (slot->fd < 0) die("socket");
  set(slot->fd, IPPROTO_TCP, TCP_NODELAY, 1);
  slot->state = CONNECTING;
  slot->head = slot->ends = 0;
  slot->left = -1;
  if (connect(slot->fd, (const struct sockaddr *)&remote, sizeof remote) < 0 && errno != EINPROGRESS) die("connect");
  if (epoll_ctl(poller, EPOLL_CTL_ADD, slot->fd, &event) < 0) die("epoll_ctl");
}

static void send_requests(slot_t *slot) {
  while (slot->state == OPEN && slot->sent != slot->last && slot->sent - slot->first < MAX_UNDER_WAY) {
    char request[REQUEST_OCTETS];
    const char *more = closing ? "Connection: close\r\n" : "";
    int length = snprintf(request, sizeof request, "GET %s%u HTTP/1.1\r\nHost: load\r\n%s\r\n", prefix,
                          waiting(slot, slot->sent)->object, more);
    if (send(slot->fd, request, (size_t)length, MSG_NOSIGNAL) != length) return give_up(slot);
    slot->sent++;
  }
}

static void ask(slot_t *slot, int64_t due) {
  *waiting(slot, slot->last++) = (waiting_t){.due = due, .object = (uint32_t)rank_of(object_sums, object_count)};
  if (slot->state == FREE) open_slot(slot);
  else send_requests(slot);
}

/* False: no connection is idle, and the request has to wait for one. */
static bool issue(int64_t due) {
  if (closing) {
    if (idle_count == 0) return false;
    ask(&slots[idle[--idle_count]], due);
    return true;
  }
  slot_t *slot = &slots[slot_of_rank[rank_of(slot_sums, slot_count)]];
  if (slot->last - slot->first == MAX_QUEUED) shed++;
  else ask(slot, due);
  return true;
}

static void complete(slot_t *slot, int64_t at) {
  sample(whole, &whole_count, waiting(slot, slot->first)->due, at);
  answered++;
  slot->first++;
  slot->head = slot->ends = 0;
  slot->left = -1;
  if (closing) slot->state = ENDING;
}

/* False where it is not what was asked for. */
static bool take(slot_t *slot, const char *octets, ssize_t count, int64_t at) {
  while (count > 0) {
    if (slot->first == slot->sent) return false;
    if (slot->head == 0) sample(firsts, &first_count, waiting(slot, slot->first)->due, at);
    if (slot->left < 0) {
      if (slot->head < HEAD_OCTETS && *octets != HEAD[slot->head]) return false;
      slot->head++;
      slot->ends = *octets == END[slot->ends] ? slot->ends + 1 : *octets == '\r';
      if (slot->ends == 4) slot->left = body;
      octets++;
      count--;
    } else {
      ssize_t part = count < slot->left ? count : slot->left;
      slot->left -= (int)part;
      octets += part;
      count -= part;
    }
    if (slot->left == 0) complete(slot, at);
  }
  return true;
}

static void readable(slot_t *slot) {
  static char octets[1 << 18];
  ssize_t count = recv(slot->fd, octets, sizeof octets, 0);
  if (count < 0 && errno == EAGAIN) return;
  if (slot->state == ENDING && count == 0) return forget(slot);
  if (slot->state != OPEN || count <= 0 || !take(slot, octets, count, now_ns())) return give_up(slot);
  send_requests(slot);
}

static void connected(slot_t *slot) {
  struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)(slot - slots)};
  int error = 0;
  socklen_t length = sizeof error;
  getsockopt(slot->fd, SOL_SOCKET, SO_ERROR, &error, &length);
  if (error != 0) return give_up(slot);
  if (epoll_ctl(poller, EPOLL_CTL_MOD, slot->fd, &event) < 0) die("epoll_ctl");
  slot->state = OPEN;
  send_requests(slot);
}

static void turn(int64_t wait_ns) {
  static struct epoll_event events[512];
  const struct timespec wait = {.tv_sec = wait_ns / 1000000000, .tv_nsec = wait_ns % 1000000000};
  int count = epoll_pwait2(poller, events, 512, &wait, NULL);
  for (int i = 0; i < count; i++) {
    slot_t *slot = &slots[events[i].data.u32];
    if (slot->state == CONNECTING) connected(slot);
    else if (slot->state != FREE) readable(slot);
  }
}

static void top_up(void) {
  if (closing) while (issue(now_ns())) {}
  else
    for (int i = 0; i < slot_count; i++)
      while (slots[i].last - slots[i].first < CLOSED_DEPTH) ask(&slots[i], now_ns());
}

/* Connections for one request each come to their end; who waits on a kept one counts with what it has waited. */
static void settle(void) {
  const int64_t at = now_ns();
  while (closing && idle_count < slot_count && now_ns() - at < GIVEN_UP_NS) turn(1000000);
  for (int i = 0; i < slot_count; i++) {
    slot_t *slot = &slots[i];
    if (closing && slot->state != FREE) give_up(slot);
    for (uint32_t index = slot->first; index != slot->last; index++)
      sample(whole, &whole_count, waiting(slot, index)->due, at);
  }
}

static int ascending(const void *a, const void *b) {
  const float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

static double percentile(float *samples, size_t count, double part) {
  return count == 0 ? 0 : samples[(size_t)(part * (double)(count - 1))];
}

static void report(long long in_time, double seconds) {
  qsort(whole, whole_count, sizeof *whole, ascending);
  qsort(firsts, first_count, sizeof *firsts, ascending);
  printf("{\"answered\":%lld,\"perSecond\":%.2f,\"failed\":%lld,\"shed\":%lld,\"p50\":%.1f,\"p99\":%.1f,"
         "\"firstP50\":%.1f,\"firstP99\":%.1f}\n",
         in_time, (double)in_time / seconds, failed, shed, percentile(whole, whole_count, 0.5),
         percentile(whole, whole_count, 0.99), percentile(firsts, first_count, 0.5),
         percentile(firsts, first_count, 0.99));
  fflush(stdout);
}

static void begin(void) {
  whole_count = first_count = 0;
  answered = failed = shed = 0;
  puts("begin");
  fflush(stdout);
}

static void run(double rate, double warm, double seconds) {
  const int64_t start = now_ns(), step = rate > 0 ? (int64_t)(1e9 / rate) : 0;
  const int64_t end = start + (int64_t)((warm + seconds) * 1e9);
  int64_t due = start;
  bool begun = false;
  window_from = start + (int64_t)(warm * 1e9);
  for (int i = 0; i < slot_count && !closing; i++) {
    /* What an earlier run left over is not this one's; and all connections are there before the popular ones are asked. */
    slots[i].last = slots[i].sent;
    if (slots[i].state == FREE) ask(&slots[i], start);
  }
  for (int64_t at = start; !begun || at < end || (answered == 0 && at < end + GIVEN_UP_NS); at = now_ns()) {
    if (!begun && at >= window_from) {
      begun = true;
      begin();
    }
    if (rate > 0)
      while (due <= at && issue(due)) due += step;
    else top_up();
    const int64_t next = rate > 0 && due > at && due < at + 1000000 ? due : at + 1000000;
    turn(next - at);
  }
  const long long in_time = answered;
  const double took = (double)(now_ns() - window_from) / 1e9;
  settle();
  report(in_time, took);
}

static void prepare(void) {
  remote = address_of(text("remote"), number("port"));
  closing = number("closing") == 1;
  prefix = text("prefix");
  body = (int)number("body");
  slot_count = (int)number("slots");
  object_count = (int)number("objects");
  random_state = (uint32_t)number("seed") * 2654435761u | 1;
  if (strlen(prefix) > 32 || slot_count < 1 || slot_count > MAX_SLOTS || object_count < 1 || object_count > MAX_OBJECTS || body < 1) {
    errno = ERANGE;
    die("prefix, slots, objects or body");
  }
  weigh(slot_sums, slot_count, atof(text("slotAlpha")));
  weigh(object_sums, object_count, atof(text("objectAlpha")));
  for (int i = 0; i < slot_count; i++) {
    slots[i].ring = malloc((closing ? 1 : MAX_QUEUED) * sizeof(waiting_t));
    if (slots[i].ring == NULL) die("malloc");
    slot_of_rank[i] = i;
    if (closing) idle[idle_count++] = i;
  }
  for (int i = slot_count - 1; i > 0; i--) {
    int other = (int)(random32() % (uint32_t)(i + 1)), kept = slot_of_rank[i];
    slot_of_rank[i] = slot_of_rank[other];
    slot_of_rank[other] = kept;
  }
  whole = malloc(MAX_SAMPLES * sizeof *whole);
  firsts = malloc(MAX_SAMPLES * sizeof *firsts);
  poller = epoll_create1(0);
  if (whole == NULL || firsts == NULL || poller < 0) die("prepare");
}

int main(int argc, char **argv) {
  argc_ = argc;
  argv_ = argv;
  cpu_set_t cores;
  CPU_ZERO(&cores);
  CPU_SET((size_t)number("core"), &cores);
  if (sched_setaffinity(0, sizeof cores, &cores) < 0) die("core");
  prepare();
  char line[256];
  double rate, warm, seconds;
  while (fgets(line, sizeof line, stdin) != NULL)
    if (sscanf(line, "run %lf %lf %lf", &rate, &warm, &seconds) == 3) run(rate, warm, seconds);
  return 0;
}
