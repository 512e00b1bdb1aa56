/*
 * One TCP connection of the kernel, as an application would use it: connects or accepts one, sends and reads a number of
 * octets at a given pace, ends its side, and prints one line of JSON about what it saw. Arguments are `name=value`.
 * Octets are a block of BLOCK pseudo-random ones over and over, so that a repeated, lost or shifted octet shows.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <linux/sockios.h>
#include <time.h>
#include <unistd.h>

/* A prime, so that no power of two shifts the stream onto itself. */
#define BLOCK 65521
#define MAX_CHUNK 65536

static int argc_;
static char **argv_;

static const char *text(const char *name, const char *otherwise) {
  size_t length = strlen(name);
  for (int i = 1; i < argc_; i++)
    if (strncmp(argv_[i], name, length) == 0 && argv_[i][length] == '=') return argv_[i] + length + 1;
  return otherwise;
}

static long long number(const char *name, long long otherwise) {
  const char *value = text(name, NULL);
  return value == NULL ? otherwise : atoll(value);
}

static double now_ms(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1e3 + time.tv_nsec / 1e6;
}

static void die(const char *what) {
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  exit(1);
}

/* The same as `octetBlock` of bench/differential/octets.ts. */
static void fill(unsigned char *block, uint32_t seed) {
  uint32_t state = seed;
  for (int i = 0; i < BLOCK; i++) {
    state = state * 1664525u + 1013904223u;
    block[i] = state >> 24;
  }
}

static void set(int fd, int level, int option, long long value) {
  int number = (int)value;
  if (value > 0 && setsockopt(fd, level, option, &number, sizeof number) < 0) die("setsockopt");
}

static struct sockaddr_in address_of(const char *host, long long port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  if (inet_pton(AF_INET, host, &address.sin_addr) != 1) { errno = EINVAL; die(host); }
  return address;
}

static int open_socket(void) {
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0) die("socket");
  set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  set(fd, SOL_SOCKET, SO_RCVBUF, number("rcvbuf", 0));
  set(fd, SOL_SOCKET, SO_SNDBUF, number("sndbuf", 0));
  set(fd, IPPROTO_TCP, TCP_MAXSEG, number("mss", 0));
  set(fd, IPPROTO_TCP, TCP_NODELAY, number("nodelay", 1));
  const char *congestion = text("congestion", "cubic");
  if (setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, congestion, strlen(congestion)) < 0) die("TCP_CONGESTION");
  struct sockaddr_in local = address_of(text("local", "0.0.0.0"), number("localPort", 0));
  if (bind(fd, (struct sockaddr *)&local, sizeof local) < 0) die("bind");
  return fd;
}

/* The time from which gaps count: the SYN goes out, or the connection is there. */
static double began;
static double deadline;

static int await(int fd, short events) {
  struct pollfd wait = {.fd = fd, .events = events};
  double left = deadline - now_ms();
  return left > 0 && poll(&wait, 1, (int)left + 1) > 0;
}

static int establish(void) {
  int fd = open_socket();
  if (strcmp(text("role", ""), "listen") == 0) {
    if (listen(fd, 8) < 0) die("listen");
    puts("ready");
    fflush(stdout);
    if (!await(fd, POLLIN)) { errno = ETIMEDOUT; die("accept"); }
    int accepted = accept4(fd, NULL, NULL, SOCK_NONBLOCK);
    if (accepted < 0) die("accept");
    close(fd);
    began = now_ms();
    return accepted;
  }
  struct sockaddr_in remote = address_of(text("remote", ""), number("port", 0));
  fcntl(fd, F_SETFL, O_NONBLOCK);
  began = now_ms();
  if (connect(fd, (struct sockaddr *)&remote, sizeof remote) < 0 && errno != EINPROGRESS) die("connect");
  if (!await(fd, POLLOUT)) { errno = ETIMEDOUT; die("connect"); }
  int error = 0;
  socklen_t length = sizeof error;
  getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
  if (error != 0) { errno = error; die("connect"); }
  return fd;
}

static unsigned char to_send[BLOCK], expected[BLOCK], buffer[MAX_CHUNK];
static long long sent, received, wrong_at = -1;
static int eof, shut, error_number;
static double longest_gap, waiting_since, finished_at;

/* Reads once; 0: nothing there. */
static int read_once(int fd, size_t chunk) {
  ssize_t got = recv(fd, buffer, chunk, 0);
  if (got < 0) {
    if (errno == EAGAIN) return 0;
    error_number = errno;
    return 0;
  }
  double now = now_ms();
  if (now - waiting_since > longest_gap) longest_gap = now - waiting_since;
  waiting_since = now;
  if (got == 0) { eof = 1; return 0; }
  for (ssize_t at = 0; at < got;) {
    size_t from = (size_t)((received + at) % BLOCK);
    size_t run = (size_t)(got - at) < BLOCK - from ? (size_t)(got - at) : BLOCK - from;
    if (wrong_at < 0 && memcmp(buffer + at, expected + from, run) != 0) wrong_at = received + at;
    at += (ssize_t)run;
  }
  received += got;
  return 1;
}

static void send_once(int fd, long long total, size_t chunk) {
  size_t from = (size_t)(sent % BLOCK);
  size_t run = chunk < BLOCK - from ? chunk : BLOCK - from;
  if ((long long)run > total - sent) run = (size_t)(total - sent);
  ssize_t put = send(fd, to_send + from, run, MSG_NOSIGNAL);
  if (put >= 0) sent += put;
  else if (errno != EAGAIN) error_number = errno;
}

static void transfer(int fd) {
  long long total = number("send", 0);
  size_t read_chunk = (size_t)number("readChunk", MAX_CHUNK), send_chunk = (size_t)number("sendChunk", MAX_CHUNK);
  double read_pause = (double)number("readPauseMs", 0), send_pause = (double)number("sendPauseMs", 0);
  double stop = number("seconds", 0) > 0 ? began + 1e3 * (double)number("seconds", 0) : 1e300;
  int after_eof = (int)number("afterEof", 0);
  double read_at = 0, send_at = 0;
  waiting_since = began;
  while (error_number == 0 && !(eof && shut)) {
    double now = now_ms();
    if (now >= deadline) { error_number = ETIMEDOUT; break; }
    if (now >= stop) break;
    int may_send = !shut && (!after_eof || eof);
    if (may_send && sent >= total) { shutdown(fd, SHUT_WR); shut = 1; continue; }
    struct pollfd wait = {.fd = fd, .events = 0};
    double until = deadline < stop ? deadline : stop;
    if (!eof) { if (now >= read_at) wait.events |= POLLIN; else if (read_at < until) until = read_at; }
    if (may_send) { if (now >= send_at) wait.events |= POLLOUT; else if (send_at < until) until = send_at; }
    poll(&wait, 1, until > now ? (int)(until - now) + 1 : 0);
    if ((wait.events & POLLIN) && (wait.revents & (POLLIN | POLLHUP | POLLERR)) && read_once(fd, read_chunk) && read_pause > 0) {
      read_at = now_ms() + read_pause;
      waiting_since = read_at;
    }
    if ((wait.events & POLLOUT) && (wait.revents & POLLOUT)) {
      send_once(fd, total, send_chunk);
      if (send_pause > 0) send_at = now_ms() + send_pause;
    }
  }
  finished_at = now_ms();
}

/* Until the peer has everything, our FIN too: what the kernel does after close() nobody could tell us of. */
static int drained(int fd) {
  for (;;) {
    struct tcp_info info;
    socklen_t length = sizeof info;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) < 0) return 0;
    if (info.tcpi_state == TCP_FIN_WAIT2 || info.tcpi_state == TCP_TIME_WAIT || info.tcpi_state == TCP_CLOSE) return 1;
    if (now_ms() >= deadline) return 0;
    usleep(1000);
  }
}

int main(int argc, char **argv) {
  argc_ = argc;
  argv_ = argv;
  deadline = now_ms() + (double)number("timeoutMs", 30000);
  fill(to_send, (uint32_t)number("sendSeed", 1));
  fill(expected, (uint32_t)number("readSeed", 2));
  int fd = establish();
  transfer(fd);
  struct tcp_info info;
  socklen_t length = sizeof info;
  memset(&info, 0, sizeof info);
  getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length);
  int orderly = error_number == 0 && eof && shut && drained(fd);
  printf("{\"sent\":%lld,\"received\":%lld,\"wrongAt\":%lld,\"eof\":%s,\"orderly\":%s,\"error\":\"%s\","
         "\"longestGapMs\":%.3f,\"elapsedMs\":%.3f,\"retransmitted\":%u,\"timestamps\":%d,\"sack\":%d,\"scaled\":%d,\"ecn\":%d}\n",
         sent, received, wrong_at, eof ? "true" : "false", orderly ? "true" : "false",
         error_number == 0 ? "" : strerror(error_number), longest_gap, finished_at - began, info.tcpi_total_retrans,
         (info.tcpi_options & TCPI_OPT_TIMESTAMPS) != 0, (info.tcpi_options & TCPI_OPT_SACK) != 0,
         (info.tcpi_options & TCPI_OPT_WSCALE) != 0, (info.tcpi_options & TCPI_OPT_ECN) != 0);
  close(fd);
  return 0;
}
