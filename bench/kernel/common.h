/* What the programs of `npm run bench -- shift` share: arguments as `name=value`, the clock, and the octets of files. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* A prime, so that no power of two shifts the stream onto itself. */
#define BLOCK 65521

static int argc_;
static char **argv_;

static inline const char *text(const char *name) {
  size_t length = strlen(name);
  for (int i = 1; i < argc_; i++)
    if (strncmp(argv_[i], name, length) == 0 && argv_[i][length] == '=') return argv_[i] + length + 1;
  fprintf(stderr, "%s= is missing\n", name);
  exit(2);
}

static inline long long number(const char *name) { return atoll(text(name)); }

static inline void die(const char *what) {
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  exit(1);
}

/* The same clock in every process of the machine, and the one of Node's process.hrtime. */
static inline int64_t now_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static inline void set(int fd, int level, int option, int value) {
  if (setsockopt(fd, level, option, &value, sizeof value) < 0) die("setsockopt");
}

static inline struct sockaddr_in address_of(const char *host, long long port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  if (inet_pton(AF_INET, host, &address.sin_addr) != 1) { errno = EINVAL; die(host); }
  return address;
}

static inline struct sockaddr_un path_of(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address.sun_path) { errno = ENAMETOOLONG; die(path); }
  strcpy(address.sun_path, path);
  return address;
}

/* Twice, so that a run of up to BLOCK octets from any position is one piece. As `octetBlock` of differential/octets.ts. */
static inline void fill(unsigned char *twice, uint32_t seed) {
  uint32_t state = seed;
  for (int i = 0; i < BLOCK; i++) {
    state = state * 1664525u + 1013904223u;
    twice[i] = twice[i + BLOCK] = state >> 24;
  }
}
