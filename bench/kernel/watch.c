/*
 * The client of `npm run bench -- shift`: one connection of the kernel's TCP to a server whose owner changes, and what the
 * client sees of that. It has the server's two processes move the connection (orders over their Unix sockets, as in
 * `repair.c`), always to the other one, and compares a window of time with a move with one before it without. Every
 * octet of every response is checked.
 *
 * Prints a line for each move: OK, OWNED - BEGAN, DONE - BEGAN, control, pause, then CPU of source and target in the control
 * window and in that of the move (all ns), octets of state, octets in flight. In the scenario `full` a line for each
 * phase: moves, octets, ns, longest gap in ns.
 */
#define _GNU_SOURCE
#include "common.h"
#include <fcntl.h>
#include <linux/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>

enum { READ_OCTETS = 1 << 20, MAX_HEAD = 4096, MAX_LINE = 256, UPLOAD_OCTETS = 65536, SETTLE_NS = 500000, PAUSE_NS = 3000000, MAX_TRIES = 20 };
/* A client that hears nothing for so long is told of as a failure, not waited for. */
static const int64_t TIMEOUT_NS = 20000000000LL;

typedef struct {
  int fd;
  char line[MAX_LINE];
  size_t length;
  bool has_cpu, has_result, has_where, here;
  long long cpu, began, done, owned, octets, queued;
} agent_t;

static unsigned char twice[2 * BLOCK], octets[READ_OCTETS];
static agent_t agents[2];
static int owner, client, outstanding;
static bool begun, moved, refused, idled, is_paused, is_streaming;
static char head[MAX_HEAD + 1], port_text[8];
static size_t head_octets;
static uint64_t remaining, position, received;
static bool is_checked;
static long answered, asked;
static int64_t last_arrival, longest_gap;
static long long big, small;

static void fail(const char *why) {
  fprintf(stderr, "watch: %s\n", why);
  exit(1);
}

/* Of the one file, because both owners have read it then, and a request has no reason to be served elsewhere. */
static void ask(long long size) {
  char request[128];
  int length = snprintf(request, sizeof request, "GET /file.%lld HTTP/1.1\r\nHost: %s\r\nRange: bytes=0-%lld\r\n\r\n",
                        big, text("vip"), size - 1);
  if (send(client, request, (size_t)length, MSG_NOSIGNAL) != length) die("request");
  outstanding++;
}

static void take_body(const unsigned char *from, size_t length) {
  for (size_t at = 0; is_checked && at < length;) {
    size_t part = length - at < BLOCK ? length - at : BLOCK;
    if (memcmp(from + at, twice + (position + at) % BLOCK, part) != 0) fail("octets that are not the file's");
    at += part;
  }
  position += length;
  remaining -= length;
  if (remaining > 0) return;
  answered++;
  outstanding--;
}

static void take(const unsigned char *from, size_t length) {
  while (length > 0) {
    if (remaining > 0) {
      size_t part = length < remaining ? length : (size_t)remaining;
      take_body(from, part);
      from += part;
      length -= part;
      continue;
    }
    if (outstanding == 0 || head_octets == MAX_HEAD) fail("octets that nobody asked for");
    head[head_octets++] = (char)*from++;
    length--;
    if (head_octets < 4 || memcmp(head + head_octets - 4, "\r\n\r\n", 4) != 0) continue;
    head[head_octets] = 0;
    const char *size = strcasestr(head, "\r\ncontent-length: ");
    if (size == NULL) fail(head);
    is_checked = strncmp(head, "HTTP/1.1 206", 12) == 0;
    position = 0;
    remaining = strtoull(size + 18, NULL, 10);
    head_octets = 0;
    if (remaining == 0) take_body(from, 0);
  }
  /* The next response follows the last without a pause. */
  while (is_streaming && outstanding < 2) ask(big);
}

static bool receive(void) {
  ssize_t count = recv(client, octets, sizeof octets, MSG_DONTWAIT);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  if (count == 0) fail("the server ended the connection");
  if (count < 0) die("recv");
  const int64_t at = now_ns();
  if (at - last_arrival > longest_gap) longest_gap = at - last_arrival;
  last_arrival = at;
  received += (uint64_t)count;
  take(octets, (size_t)count);
  return true;
}

static void line_from(agent_t *agent, const char *line) {
  if (strcmp(line, "begun") == 0) begun = true;
  else if (strcmp(line, "moved") == 0) moved = true;
  else if (strncmp(line, "refused", 7) == 0) refused = true;
  else if (strcmp(line, "idle") == 0) idled = true;
  else if (sscanf(line, "cpu %lld", &agent->cpu) == 1) agent->has_cpu = true;
  else if (sscanf(line, "result %lld %lld %lld %lld %lld", &agent->began, &agent->done, &agent->owned, &agent->octets,
                  &agent->queued) == 5)
    agent->has_result = true;
  else if (strcmp(line, "here") == 0 || strcmp(line, "away") == 0) {
    agent->has_where = true;
    agent->here = line[0] == 'h';
  } else fail(line);
}

static void listen_to(agent_t *agent) {
  ssize_t count = recv(agent->fd, agent->line + agent->length, MAX_LINE - 1 - agent->length, MSG_DONTWAIT);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count <= 0) fail("an owner is gone");
  agent->length += (size_t)count;
  agent->line[agent->length] = 0;
  for (char *feed = strchr(agent->line, '\n'); feed != NULL; feed = strchr(agent->line, '\n')) {
    *feed = 0;
    line_from(agent, agent->line);
    agent->length -= (size_t)(feed + 1 - agent->line);
    memmove(agent->line, feed + 1, agent->length + 1);
  }
}

/* One wait for whatever comes, at most until `until`. */
static void once(int64_t until) {
  const int64_t left = until - now_ns();
  const struct timespec wait = {left > 0 ? left / 1000000000 : 0, left > 0 ? left % 1000000000 : 0};
  struct pollfd fds[] = {{.fd = is_paused ? -1 : client, .events = POLLIN},
                         {.fd = agents[0].fd, .events = POLLIN},
                         {.fd = agents[1].fd, .events = POLLIN}};
  if (ppoll(fds, 3, &wait, NULL) < 0 && errno != EINTR) die("poll");
  if (fds[0].revents) receive();
  for (int i = 0; i < 2; i++)
    if (fds[1 + i].revents) listen_to(&agents[i]);
}

static void pass(int64_t until) {
  while (now_ns() < until) once(until);
}

#define AWAIT(condition)                                             \
  for (const int64_t give_up = now_ns() + TIMEOUT_NS; !(condition);) { \
    if (now_ns() > give_up) fail("time-out: " #condition);           \
    once(give_up);                                                   \
  }

static void order(int index, const char *word, bool with_port) {
  char line[64];
  int length = snprintf(line, sizeof line, with_port ? "%s %s\n" : "%s\n", word, port_text);
  if (send(agents[index].fd, line, (size_t)length, MSG_NOSIGNAL) != length) die("order");
}

static void read_cpu(long long *source, long long *target) {
  for (int i = 0; i < 2; i++) {
    agents[i].has_cpu = false;
    order(i, "cpu", false);
  }
  AWAIT(agents[0].has_cpu && agents[1].has_cpu);
  *source = agents[owner].cpu;
  *target = agents[1 - owner].cpu;
}

/* CPU in the middle of a window of an idle connection: the request behind it is served by another owner, at its cost. */
static long long middle[2];

static void begin(bool shift, bool is_announced) {
  begun = moved = refused = idled = false;
  longest_gap = 0;
  order(owner, shift ? (is_announced ? "announced" : "shift") : "idle", shift);
}

static bool over(bool shift) { return shift ? moved || refused : idled; }

/* What the client has received is acknowledged now, as it long is where nothing has happened for a while. */
static void acknowledge(void) { set(client, IPPROTO_TCP, TCP_QUICKACK, 1); }

/* Half of an upload, then the other half with a request behind it: its response says that all of the body was read. */
static void post(bool first) {
  static char request[UPLOAD_OCTETS + 256];
  static size_t length;
  if (first) {
    length = (size_t)sprintf(request, "POST /file.%lld HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n", big,
                             text("vip"), UPLOAD_OCTETS);
    memset(request + length, 'x', UPLOAD_OCTETS);
    length += UPLOAD_OCTETS;
    asked = answered + 2;
  }
  const size_t half = length / 2, from = first ? 0 : half, to = first ? half : length;
  if (send(client, request + from, to - from, MSG_NOSIGNAL) != (ssize_t)(to - from)) die("POST");
  if (first) outstanding++;
  else ask(small);
}

/* ns that the client waited in one window, with or without a move in it. */
static int64_t window(const char *scenario, bool shift, int64_t ns) {
  int64_t pause = 0;
  const bool is_upload = strcmp(scenario, "upload") == 0, is_request = strcmp(scenario, "request") == 0;
  const int64_t end = now_ns() + ns;
  begin(shift, is_upload || is_request);
  if (strcmp(scenario, "stream") == 0) {
    pass(end);
    AWAIT(over(shift));
    const int64_t open = now_ns() - last_arrival;
    return open > longest_gap ? open : longest_gap;
  }
  if (strcmp(scenario, "paused") == 0) {
    pass(end - ns / 2);
    AWAIT(over(shift));
    const int64_t resumed = now_ns();
    while (receive()) continue;
    is_paused = false;
    const uint64_t before = received;
    AWAIT(received > before);
    pause = last_arrival - resumed;
  } else {
    if (!is_upload && !is_request) {
      pass(end - ns / 2);
      AWAIT(over(shift));
      read_cpu(&middle[0], &middle[1]);
    } else AWAIT(begun || over(shift));
    const int64_t from = now_ns();
    if (is_upload) post(false);
    else {
      asked = answered + 1;
      ask(small);
    }
    AWAIT(answered == asked);
    pause = last_arrival - from;
  }
  pass(end);
  AWAIT(over(shift));
  return pause;
}

static void prepare(const char *scenario) {
  if (strcmp(scenario, "upload") == 0) {
    post(true);
    pass(now_ns() + SETTLE_NS);
  } else if (strcmp(scenario, "paused") == 0) {
    is_paused = true;
    pass(now_ns() + PAUSE_NS);
  }
  if (strcmp(scenario, "stream") == 0) return;
  acknowledge();
  pass(now_ns() + SETTLE_NS);
}

static void one_move(const char *scenario, int64_t ns, bool counted) {
  long long cpu[3][2];
  prepare(scenario);
  read_cpu(&cpu[0][0], &cpu[0][1]);
  const bool is_idle = strcmp(scenario, "idle") == 0;
  const int64_t control = window(scenario, false, ns);
  read_cpu(&cpu[1][0], &cpu[1][1]);
  if (is_idle) memcpy(cpu[1], middle, sizeof middle);
  prepare(scenario);
  long long again[2];
  read_cpu(&again[0], &again[1]);
  const int64_t pause = window(scenario, true, ns);
  read_cpu(&cpu[2][0], &cpu[2][1]);
  if (is_idle) memcpy(cpu[2], middle, sizeof middle);
  agent_t *source = &agents[owner], *target = &agents[1 - owner];
  source->has_result = target->has_result = false;
  order(0, "result", false);
  order(1, "result", false);
  AWAIT(source->has_result && target->has_result);
  if (moved) owner = 1 - owner;
  if (!counted) return;
  printf("%d %lld %lld %lld %lld %lld %lld %lld %lld %lld %lld\n", moved, target->owned - source->began,
         source->done - source->began, (long long)control, (long long)pause, cpu[1][0] - cpu[0][0], cpu[1][1] - cpu[0][1],
         cpu[2][0] - again[0], cpu[2][1] - again[1], target->octets, source->queued);
}

/* As fast as it goes, a move each `period`, beside phases without; a move that is not over when the next is due is let be. */
static void full(long count, int64_t period, long per_phase) {
  long moves = 0;
  for (int phase = 0; moves < count || phase % 2 != 0; phase++) {
    if (phase > 16 + 8 * count / per_phase) fail("most moves are refused");
    const bool shift = phase % 2 != 0;
    const int64_t start = now_ns();
    const uint64_t before = received;
    long moved_here = 0;
    longest_gap = 0;
    int64_t gap = 0;
    for (long turn = 0; turn < per_phase; turn++) {
      if (longest_gap > gap) gap = longest_gap;
      begin(shift, false);
      pass(start + (turn + 1) * period);
      AWAIT(over(shift));
      if (!shift || !moved) continue;
      owner = 1 - owner;
      moved_here++;
    }
    if (longest_gap > gap) gap = longest_gap;
    moves += moved_here;
    printf("%ld %llu %lld %lld\n", moved_here, (unsigned long long)(received - before), (long long)(now_ns() - start),
           (long long)gap);
  }
}

static void open_agents(void) {
  const char *names[] = {"orders0", "orders1"};
  for (int i = 0; i < 2; i++) {
    struct sockaddr_un path = path_of(text(names[i]));
    agents[i].fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (connect(agents[i].fd, (struct sockaddr *)&path, sizeof path) < 0) die(names[i]);
  }
}

static void open_client(void) {
  struct sockaddr_in to = address_of(text("vip"), number("port")), own;
  socklen_t length = sizeof own;
  client = socket(AF_INET, SOCK_STREAM, 0);
  if (number("rcvbuf") > 0) set(client, SOL_SOCKET, SO_RCVBUF, (int)number("rcvbuf"));
  set(client, IPPROTO_TCP, TCP_NODELAY, 1);
  if (connect(client, (struct sockaddr *)&to, sizeof to) < 0) die("connect");
  if (getsockname(client, (struct sockaddr *)&own, &length) < 0) die("getsockname");
  snprintf(port_text, sizeof port_text, "%d", ntohs(own.sin_port));
  last_arrival = now_ns();
}

/* The dispatcher hands the connection over behind the first response. */
static void find_owner(void) {
  ask(small);
  AWAIT(answered == 1);
  for (const int64_t give_up = now_ns() + TIMEOUT_NS;;) {
    for (int i = 0; i < 2; i++) {
      agents[i].has_where = false;
      order(i, "where", true);
    }
    AWAIT(agents[0].has_where && agents[1].has_where);
    for (int i = 0; i < 2; i++) if (agents[i].here) { owner = i; return; }
    if (now_ns() > give_up) fail("nobody has the connection");
    pass(now_ns() + SETTLE_NS);
  }
}

/* Each owner has read the file when the connection has moved to it in the middle of a response. */
static void visit_both(void) {
  for (int visits = 0, tries = 0; visits < 2; tries++) {
    if (tries == MAX_TRIES) fail("the connection does not move");
    ask(big);
    begin(true, false);
    AWAIT(over(true));
    if (moved) {
      owner = 1 - owner;
      visits++;
    }
    AWAIT(outstanding == 0);
  }
}

int main(int argc, char **argv) {
  argc_ = argc;
  argv_ = argv;
  signal(SIGPIPE, SIG_IGN);
  prctl(PR_SET_TIMERSLACK, 1);
  fill(twice, 1);
  big = number("big");
  small = number("small");
  const char *scenario = text("scenario");
  const long count = (long)number("count"), warm = (long)number("warm");
  const int64_t ns = number("windowUs") * 1000;
  open_agents();
  open_client();
  find_owner();
  visit_both();
  is_streaming = strcmp(scenario, "stream") == 0 || strcmp(scenario, "paused") == 0 || strcmp(scenario, "full") == 0;
  if (is_streaming) ask(big);
  for (long move = 0; move < warm + (strcmp(scenario, "full") == 0 ? 0 : count); move++)
    one_move(strcmp(scenario, "full") == 0 ? "stream" : scenario, ns, move >= warm);
  if (strcmp(scenario, "full") == 0) full(count, ns, (long)number("phase"));
  return 0;
}
