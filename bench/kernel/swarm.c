/*
 * Very many HTTP/1.1 connections of the kernel in one process, told what to do by lines on its standard input; each is
 * answered by one line of JSON. Arguments are `name=value`: local (first source address), sources (how many, one after
 * the other), remote, port, path, body (octets of the response's body).
 *
 *   open N RATE        opens N connections, RATE a second, makes one request on each, and keeps them
 *   churn RATE SECONDS opens RATE a second; each makes one request and is closed, by turns from here and from there
 *   check              makes one request on each kept connection
 *   close RATE         closes the kept ones, RATE a second
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_FDS 100000
/* Requests under way at once when all are asked anew: the server's queue is not what is measured. */
#define MAX_CHECKING 16
#define TIMEOUT_MS 30000.0

enum { FREE, CONNECTING, WAITING, KEPT, CLOSING };

/* One byte of state a descriptor, and what is left of its response. */
static unsigned char state[MAX_FDS], kept[MAX_FDS], closes[MAX_FDS];
static int left_of[MAX_FDS];
static double since[MAX_FDS];
static int poller, busy, argc_;
static char **argv_;
static long long answered, failed, opened, refused, timed_out;
static int *keepers, keeper_count;
static double worst_ms;

static const char *text(const char *name, const char *otherwise) {
  size_t length = strlen(name);
  for (int i = 1; i < argc_; i++)
    if (strncmp(argv_[i], name, length) == 0 && argv_[i][length] == '=') return argv_[i] + length + 1;
  return otherwise;
}

static void die(const char *what) {
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  exit(1);
}

static double now_ms(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1e3 + time.tv_nsec / 1e6;
}

static void watch(int fd, int operation, uint32_t events) {
  struct epoll_event event = {.events = events, .data.fd = fd};
  if (epoll_ctl(poller, operation, fd, &event) < 0) die("epoll_ctl");
}

static void end(int fd, int ok) {
  double took = now_ms() - since[fd];
  if (ok && took > worst_ms) worst_ms = took;
  if (state[fd] == CONNECTING || state[fd] == WAITING) busy--;
  if (ok) answered++; else failed++;
  if (ok && kept[fd]) { state[fd] = KEPT; return; }
  if (ok && closes[fd] == 2) { state[fd] = CLOSING; return; }
  state[fd] = FREE;
  close(fd);
}

static void request(int fd) {
  static char with_close[512], without[512];
  if (with_close[0] == 0) {
    const char *form = "GET %s HTTP/1.1\r\nHost: swarm\r\n%s\r\n";
    snprintf(with_close, sizeof with_close, form, text("path", "/"), "Connection: close\r\n");
    snprintf(without, sizeof without, form, text("path", "/"), "");
  }
  const char *message = closes[fd] == 2 ? with_close : without;
  state[fd] = WAITING;
  left_of[fd] = -1;
  if (send(fd, message, strlen(message), MSG_NOSIGNAL) != (ssize_t)strlen(message)) end(fd, 0);
}

/* closing: 0 kept, 1 from here, 2 from the server. */
static void start(int index, int closing) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (fd < 0 || fd >= MAX_FDS) die("socket");
  int one = 1;
  setsockopt(fd, IPPROTO_IP, 24 /* IP_BIND_ADDRESS_NO_PORT */, &one, sizeof one);
  struct sockaddr_in local = {.sin_family = AF_INET}, remote = {.sin_family = AF_INET};
  if (inet_pton(AF_INET, text("local", ""), &local.sin_addr) != 1) die("local");
  local.sin_addr.s_addr = htonl(ntohl(local.sin_addr.s_addr) + (uint32_t)(index % atoi(text("sources", "1"))));
  if (bind(fd, (struct sockaddr *)&local, sizeof local) < 0) die("bind");
  inet_pton(AF_INET, text("remote", ""), &remote.sin_addr);
  remote.sin_port = htons((uint16_t)atoi(text("port", "80")));
  state[fd] = CONNECTING;
  kept[fd] = closing == 0;
  closes[fd] = (unsigned char)closing;
  since[fd] = now_ms();
  busy++;
  if (connect(fd, (struct sockaddr *)&remote, sizeof remote) < 0 && errno != EINPROGRESS) die("connect");
  watch(fd, EPOLL_CTL_ADD, EPOLLOUT | EPOLLIN);
  opened++;
}

static void readable(int fd) {
  static char buffer[65536];
  ssize_t got = recv(fd, buffer, sizeof buffer - 1, 0);
  if (got < 0 && errno == EAGAIN) return;
  if (state[fd] == CLOSING) {
    if (got != 0) failed++;
    state[fd] = FREE;
    close(fd);
    return;
  }
  if (state[fd] == KEPT) { failed++; state[fd] = FREE; close(fd); return; }
  if (got <= 0) { end(fd, 0); return; }
  if (left_of[fd] < 0) {
    buffer[got] = 0;
    char *body = strstr(buffer, "\r\n\r\n");
    if (body == NULL || strncmp(buffer, "HTTP/1.1 200", 12) != 0) { end(fd, 0); return; }
    left_of[fd] = atoi(text("body", "0")) + (int)(body + 4 - buffer);
  }
  left_of[fd] -= (int)got;
  if (left_of[fd] == 0) end(fd, 1);
  else if (left_of[fd] < 0) end(fd, 0);
}

static void turn(int wait_ms) {
  static struct epoll_event events[512];
  int count = epoll_wait(poller, events, 512, wait_ms);
  for (int i = 0; i < count; i++) {
    int fd = events[i].data.fd;
    if (state[fd] == CONNECTING && (events[i].events & (EPOLLOUT | EPOLLERR | EPOLLHUP))) {
      int error = 0;
      socklen_t length = sizeof error;
      getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
      if (error != 0) { refused++; end(fd, 0); continue; }
      watch(fd, EPOLL_CTL_MOD, EPOLLIN);
      request(fd);
    } else if (state[fd] != FREE && (events[i].events & (EPOLLIN | EPOLLERR | EPOLLHUP))) readable(fd);
  }
}

static void settle(void) {
  double until = now_ms() + TIMEOUT_MS;
  while (busy > 0 && now_ms() < until) turn(5);
  for (int fd = 0; fd < MAX_FDS && busy > 0; fd++)
    if (state[fd] == CONNECTING || state[fd] == WAITING) { timed_out++; end(fd, 0); }
}

static void paced(long long total, double rate, int closing) {
  double began = now_ms();
  for (long long done = 0; done < total;) {
    long long due = (long long)((now_ms() - began) * rate / 1e3) + 1;
    for (int burst = 0; done < total && done < due && burst < 64; burst++, done++)
      start((int)done, closing == 0 ? 0 : 1 + (int)(done & 1));
    turn(done < due ? 0 : 1);
  }
  settle();
}

static void find_keepers(void) {
  keeper_count = 0;
  for (int fd = 0; fd < MAX_FDS; fd++)
    if (state[fd] == KEPT) keepers[keeper_count++] = fd;
}

static void check(void) {
  find_keepers();
  for (int i = 0; i < keeper_count;) {
    for (; i < keeper_count && busy < MAX_CHECKING; i++) {
      busy++;
      since[keepers[i]] = now_ms();
      request(keepers[i]);
    }
    turn(1);
  }
  settle();
}

int main(int argc, char **argv) {
  argc_ = argc;
  argv_ = argv;
  struct rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) < 0) die("RLIMIT_NOFILE");
  poller = epoll_create1(0);
  keepers = malloc(sizeof(int) * MAX_FDS);
  char line[256];
  while (fgets(line, sizeof line, stdin) != NULL) {
    double rate = 0, seconds = 0, began = now_ms();
    long long count = 0;
    answered = failed = opened = refused = timed_out = 0;
    worst_ms = 0;
    if (sscanf(line, "open %lld %lf", &count, &rate) == 2) paced(count, rate, 0);
    else if (sscanf(line, "churn %lf %lf", &rate, &seconds) == 2) paced((long long)(rate * seconds), rate, 1);
    else if (strncmp(line, "check", 5) == 0) check();
    else if (sscanf(line, "close %lf", &rate) == 1) {
      find_keepers();
      for (int i = 0; i < keeper_count; i++) {
        while (now_ms() - began < i * 1e3 / rate) usleep(1000);
        state[keepers[i]] = FREE;
        close(keepers[i]);
      }
    } else continue;
    find_keepers();
    printf("{\"opened\":%lld,\"answered\":%lld,\"failed\":%lld,\"refused\":%lld,\"timedOut\":%lld,\"kept\":%d,"
           "\"worstMs\":%.1f,\"tookMs\":%.0f}\n",
           opened, answered, failed, refused, timed_out, keeper_count, worst_ms, now_ms() - began);
    fflush(stdout);
  }
  return 0;
}
