/*
 * An open-loop load generator: requests leave at a fixed rate whether or not the answers to earlier ones have come, and
 * latency counts from when a request was due, so that a server that stands still is charged for all who wait meanwhile.
 * One thread that spins on a core of its own; keep-alive connections, each with one request at a time. All responses of
 * a run have the length of the first.
 *
 *     paced ADDRESS PORT PATH CONNECTIONS RATE SECONDS
 *
 * Prints one line of JSON: requests, rate, microseconds at percentiles, and how often a request was due while
 * Prints one line of JSON: requests, rate, and microseconds at percentiles. `late` are requests that were due while all
 * all connections were busy: it waits for one, and the wait counts.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_CONNECTIONS = 4096, MAX_REQUEST_OCTETS = 1024, READ_OCTETS = 1 << 18, MAX_SAMPLES = 10000000 };

typedef struct {
  int fd;
  double due; /* of the request under way, in seconds */
  size_t received;
} connection_t;

static connection_t connections[MAX_CONNECTIONS];
static int idle[MAX_CONNECTIONS];
static int idle_count;
static char request[MAX_REQUEST_OCTETS];
static int request_octets;
static size_t response_octets; /* 0: not known yet */
static float *samples;
static size_t sample_count, late;
static char octets[READ_OCTETS];

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void give_up(const char *why) {
  fprintf(stderr, "paced: %s: %s\n", why, strerror(errno));
  exit(1);
}

/* Head and body of the first response, which must come in one piece up to the end of its head. */
static size_t length_of(const char *text, size_t length) {
  const char *end = memmem(text, length, "\r\n\r\n", 4);
  if (end == NULL || length < 12 || memcmp(text + 9, "200", 3) != 0) give_up("no response of 200");
  for (const char *line = text; line < end; line = strstr(line, "\r\n") + 2)
    if (strncasecmp(line, "content-length:", 15) == 0)
      return (size_t)(end + 4 - text) + strtoul(line + 15, NULL, 10);
  give_up("no Content-Length");
  return 0;
}

static void ask(int index, double due) {
  connections[index].due = due;
  connections[index].received = 0;
  if (send(connections[index].fd, request, (size_t)request_octets, MSG_NOSIGNAL) != request_octets) give_up("send");
}

static void answered(int index, double at, bool counted) {
  if (counted && sample_count < MAX_SAMPLES) samples[sample_count++] = (float)((at - connections[index].due) * 1e6);
  idle[idle_count++] = index;
}

static void receive(int index, bool counted) {
  connection_t *connection = &connections[index];
  for (;;) {
    ssize_t length = recv(connection->fd, octets, sizeof octets - 1, 0);
    if (length < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (length <= 0) give_up("the server closed a connection");
    octets[length] = 0;
    if (response_octets == 0) response_octets = length_of(octets, (size_t)length);
    connection->received += (size_t)length;
    if (connection->received > response_octets) give_up("a longer response than the first");
    if (connection->received == response_octets) {
      answered(index, now(), counted);
      return;
    }
  }
}

static void open_all(int poll, const struct sockaddr_in *to, int count) {
  for (int index = 0; index < count; index++) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    int on = 1;
    if (fd < 0 || connect(fd, (const struct sockaddr *)to, sizeof *to) != 0) give_up("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)index};
    if (epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event) != 0) give_up("epoll_ctl");
    connections[index].fd = fd;
    idle[idle_count++] = index;
  }
}

/* The first second warms up and is not counted. */
static double run(int poll, double rate, double seconds) {
  const double start = now(), counted_from = start + 1, end = counted_from + seconds;
  double due = start;
  for (double at = start; at < end; at = now()) {
    while (due <= at && idle_count > 0) {
      ask(idle[--idle_count], due);
      due += 1 / rate;
    }
    if (due <= at) late++;
    struct epoll_event events[256];
    int count = epoll_wait(poll, events, 256, 0);
    for (int index = 0; index < count; index++)
      receive((int)events[index].data.u32, connections[events[index].data.u32].due >= counted_from);
  }
  return now() - counted_from;
}

static int ascending(const void *a, const void *b) {
  const float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

static double percentile(double part) {
  return sample_count == 0 ? 0 : samples[(size_t)(part * (double)(sample_count - 1))];
}

int main(int argc, char **argv) {
  if (argc != 7) {
    fprintf(stderr, "usage: paced ADDRESS PORT PATH CONNECTIONS RATE SECONDS\n");
    return 2;
  }
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[2]))};
  const int count = atoi(argv[4]);
  if (inet_pton(AF_INET, argv[1], &to.sin_addr) != 1 || count < 1 || count > MAX_CONNECTIONS) return 2;
  request_octets = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", argv[3], argv[1]);
  if (request_octets >= (int)sizeof request) return 2;
  samples = malloc(MAX_SAMPLES * sizeof *samples);
  if (samples == NULL) give_up("malloc");
  int poll = epoll_create1(0);
  open_all(poll, &to, count);
  const double elapsed = run(poll, atof(argv[5]), atof(argv[6]));
  qsort(samples, sample_count, sizeof *samples, ascending);
  printf("{\"requests\":%zu,\"perSecond\":%.0f,\"p50\":%.1f,\"p90\":%.1f,\"p99\":%.1f,\"p999\":%.1f,\"late\":%zu}\n",
         sample_count, (double)sample_count / elapsed, percentile(0.5), percentile(0.9), percentile(0.99),
         percentile(0.999), late);
  return 0;
}
