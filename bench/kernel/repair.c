/*
 * A server whose one connection of the kernel's TCP moves between two processes, in two namespaces, by TCP_REPAIR: what
 * `npm run bench -- shift` measures beside us. As CRIU does it, but with everything prepared that can be: both processes
 * run, the link between them stands, and the gateway is told by a route over a netlink socket that is open already. The
 * connection is frozen by a filter on its socket, one system call where CRIU writes a rule for netfilter; packets that
 * come meanwhile are dropped.
 *
 * It speaks as much HTTP as the client of the benchmark asks: GET of the first octets of a file, and POST, kept alive,
 * pipelined.
 * Orders come over a Unix socket, a line each:
 *
 *     where PORT      -> here | away      whether the connection from that port is here
 *     shift PORT      -> moved | refused  moves it to the other process; answered when it is gone
 *     announced PORT  -> begun, then as shift
 *     idle            -> idle             nothing, for comparison
 *     cpu             -> cpu NS           of this process so far
 *     result          -> result BEGAN DONE OWNED OCTETS QUEUED   of the last move from here, and (OWNED, OCTETS) to here
 */
#define _GNU_SOURCE
#include "common.h"
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/ioctl.h>

/* Kinds of TCP's options (RFC 9293 §3.2, RFC 7323, RFC 2018); glibc's header has them, and conflicts with the kernel's. */
enum { TCPOPT_MAXSEG = 2, TCPOPT_WINDOW = 3, TCPOPT_SACK_PERMITTED = 4, TCPOPT_TIMESTAMP = 8 };
enum { MAX_QUEUE = 8 << 20, MAX_HEAD = 4096, MAX_LINE = 128, SEND_BUFFER = 4 << 20, LINGER_MS = 2 };

/* What travels; `unsent` and `queued` octets of the send queue, and `unread` ones, follow. */
typedef struct {
  struct sockaddr_in local, remote;
  uint32_t send_seq, receive_seq, queued, unsent, unread, mss, timestamp, options, send_scale, receive_scale;
  struct tcp_repair_window window;
  /* The application's: the response under way, the body that is read, and a half request. */
  uint64_t position, end, body;
  uint32_t head_octets, file_octets;
} state_t;

static unsigned char twice[2 * BLOCK];
static unsigned char queue[MAX_QUEUE];
static char head[MAX_HEAD + 1];
static size_t head_octets;
static uint64_t position, end, body;
static char response[256];
static size_t response_octets, response_at;
static int ahead, listener = -1, connection = -1, left = -1, orders_listener, orders = -1, peer, routes;
static uint32_t gateway_hop;
static struct in_addr service;
static int64_t began, done, owned;
static long moved_octets, moved_queued;

static void write_all(int fd, const void *octets, size_t length) {
  for (size_t at = 0; at < length;) {
    ssize_t count = send(fd, (const char *)octets + at, length - at, MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) die("send to the other process");
    at += (size_t)count;
  }
}

static void read_all(int fd, void *octets, size_t length) {
  if (length > 0 && recv(fd, octets, length, MSG_WAITALL) != (ssize_t)length) die("the other process is gone");
}

static void answer(const char *line) {
  if (send(orders, line, strlen(line), MSG_NOSIGNAL) < 0) die("answer");
}

/* Points the service's route in the gateway's namespace at this process. */
static void steer(void) {
  struct {
    struct nlmsghdr header;
    struct rtmsg route;
    char attributes[64];
  } request = {.header = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct rtmsg)),
                          .nlmsg_type = RTM_NEWROUTE,
                          .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE},
               .route = {.rtm_family = AF_INET,
                         .rtm_dst_len = 32,
                         .rtm_table = RT_TABLE_MAIN,
                         .rtm_protocol = RTPROT_STATIC,
                         .rtm_type = RTN_UNICAST}};
  const uint32_t values[] = {service.s_addr, gateway_hop};
  const unsigned short types[] = {RTA_DST, RTA_GATEWAY};
  for (int i = 0; i < 2; i++) {
    struct rtattr *attribute = (struct rtattr *)((char *)&request + NLMSG_ALIGN(request.header.nlmsg_len));
    attribute->rta_type = types[i];
    attribute->rta_len = RTA_LENGTH(4);
    memcpy(RTA_DATA(attribute), &values[i], 4);
    request.header.nlmsg_len += RTA_SPACE(4);
  }
  if (send(routes, &request, request.header.nlmsg_len, 0) < 0) die("netlink");
  char reply[1024];
  if (recv(routes, reply, sizeof reply, 0) < (ssize_t)NLMSG_LENGTH(sizeof(struct nlmsgerr))) die("netlink");
  const struct nlmsgerr *error = NLMSG_DATA((struct nlmsghdr *)reply);
  if (error->error != 0) { errno = -error->error; die("route"); }
}

/* A netlink socket of another namespace stays its. */
static int open_routes(const char *namespace) {
  int own = open("/proc/self/ns/net", O_RDONLY), other = open(namespace, O_RDONLY);
  if (own < 0 || other < 0 || setns(other, CLONE_NEWNET) < 0) die(namespace);
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (fd < 0 || setns(own, CLONE_NEWNET) < 0) die("netlink");
  close(own);
  close(other);
  return fd;
}

static int value_of(int option) {
  int value;
  socklen_t length = sizeof value;
  if (getsockopt(connection, IPPROTO_TCP, option, &value, &length) < 0) die("getsockopt");
  return value;
}

static uint32_t dump_queue(int which, uint32_t length, unsigned char *into) {
  set(connection, IPPROTO_TCP, TCP_REPAIR_QUEUE, which);
  if (length > 0 && recv(connection, into, length, MSG_PEEK | MSG_DONTWAIT) != (ssize_t)length) die("peek");
  return (uint32_t)value_of(TCP_QUEUE_SEQ);
}

static void move_away(void) {
  static struct sock_filter drop_all[] = {{BPF_RET | BPF_K, 0, 0, 0}};
  const struct sock_fprog filter = {1, drop_all};
  state_t state = {.position = position, .end = end, .body = body, .head_octets = (uint32_t)head_octets};
  struct tcp_info info;
  socklen_t length = sizeof info;
  int queued, unsent, unread;
  if (setsockopt(connection, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) < 0) die("SO_ATTACH_FILTER");
  set(connection, IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_ON);
  if (getsockopt(connection, IPPROTO_TCP, TCP_INFO, &info, &length) < 0) die("TCP_INFO");
  state.options = info.tcpi_options;
  state.send_scale = info.tcpi_snd_wscale;
  state.receive_scale = info.tcpi_rcv_wscale;
  state.mss = (uint32_t)value_of(TCP_MAXSEG);
  state.timestamp = (uint32_t)value_of(TCP_TIMESTAMP);
  length = sizeof state.window;
  if (getsockopt(connection, IPPROTO_TCP, TCP_REPAIR_WINDOW, &state.window, &length) < 0) die("TCP_REPAIR_WINDOW");
  /* A queue that drains has even a socket in repair mode send on, behind the count of what is unsent; not into no window. */
  struct tcp_repair_window none = state.window;
  none.snd_wnd = 0;
  if (setsockopt(connection, IPPROTO_TCP, TCP_REPAIR_WINDOW, &none, sizeof none) < 0) die("TCP_REPAIR_WINDOW");
  length = sizeof state.local;
  if (getsockname(connection, (struct sockaddr *)&state.local, &length) < 0) die("getsockname");
  if (getpeername(connection, (struct sockaddr *)&state.remote, &length) < 0) die("getpeername");
  if (ioctl(connection, SIOCOUTQ, &queued) < 0 || ioctl(connection, SIOCOUTQNSD, &unsent) < 0) die("SIOCOUTQ");
  if (ioctl(connection, SIOCINQ, &unread) < 0) die("SIOCINQ");
  if (queued > MAX_QUEUE - unread) { errno = ENOBUFS; die("queue"); }
  state.queued = (uint32_t)queued;
  state.unsent = (uint32_t)unsent;
  state.unread = (uint32_t)unread;
  state.send_seq = dump_queue(TCP_SEND_QUEUE, state.queued, queue) - state.queued;
  state.receive_seq = dump_queue(TCP_RECV_QUEUE, state.unread, queue + state.queued) - state.unread;
  write_all(peer, &state, sizeof state);
  write_all(peer, head, head_octets);
  write_all(peer, queue, state.queued + state.unread);
  char told;
  read_all(peer, &told, 1);
  left = connection;
  connection = -1;
  moved_queued = queued;
  done = now_ns();
}

static void restore_queue(int which, uint32_t seq) {
  set(connection, IPPROTO_TCP, TCP_REPAIR_QUEUE, which);
  set(connection, IPPROTO_TCP, TCP_QUEUE_SEQ, (int)seq);
}

static void restore_octets(int which, const unsigned char *octets, uint32_t length) {
  if (which >= 0) set(connection, IPPROTO_TCP, TCP_REPAIR_QUEUE, which);
  for (uint32_t at = 0; at < length;) {
    ssize_t count = send(connection, octets + at, length - at, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count <= 0) die("restore");
    at += (uint32_t)count;
  }
}

/*
 * In the kernel's favour: a congestion control without pacing, because the timer of BBR sends on from a socket in repair
 * mode, behind the dump; and the MSS before `connect`, because TCP_REPAIR_OPTIONS comes too late for it (536 stays).
 */
static void favour(int fd, int mss) {
  if (setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5) < 0) die("TCP_CONGESTION");
  if (mss > 0) set(fd, IPPROTO_TCP, TCP_MAXSEG, mss);
}

static void settle(void) {
  fcntl(connection, F_SETFL, O_NONBLOCK);
  set(connection, IPPROTO_TCP, TCP_NODELAY, 1);
  set(connection, IPPROTO_TCP, TCP_NOTSENT_LOWAT, ahead);
}

/* What was on its way here when the gateway was told would be answered by a reset if nothing were left of the connection. */
static void forget(void) {
  /* In repair mode it goes without a word to the client. */
  if (left >= 0) close(left);
  left = -1;
}

static void restore(void) {
  state_t state;
  forget();
  read_all(peer, &state, sizeof state);
  position = state.position;
  end = state.end;
  body = state.body;
  head_octets = state.head_octets;
  read_all(peer, head, head_octets);
  read_all(peer, queue, state.queued + state.unread);
  const uint32_t sent = state.queued - state.unsent;
  connection = socket(AF_INET, SOCK_STREAM, 0);
  if (connection < 0) die("socket");
  set(connection, IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_ON);
  set(connection, SOL_SOCKET, SO_SNDBUFFORCE, SEND_BUFFER);
  favour(connection, (int)state.mss);
  restore_queue(TCP_SEND_QUEUE, state.send_seq);
  restore_queue(TCP_RECV_QUEUE, state.receive_seq);
  if (bind(connection, (struct sockaddr *)&state.local, sizeof state.local) < 0) die("bind");
  if (connect(connection, (struct sockaddr *)&state.remote, sizeof state.remote) < 0) die("connect");
  struct tcp_repair_opt options[4] = {{TCPOPT_MAXSEG, state.mss}};
  int count = 1;
  if (state.options & TCPI_OPT_WSCALE)
    options[count++] = (struct tcp_repair_opt){TCPOPT_WINDOW, state.send_scale | state.receive_scale << 16};
  if (state.options & TCPI_OPT_SACK) options[count++] = (struct tcp_repair_opt){TCPOPT_SACK_PERMITTED, 0};
  if (state.options & TCPI_OPT_TIMESTAMPS) options[count++] = (struct tcp_repair_opt){TCPOPT_TIMESTAMP, 0};
  if (setsockopt(connection, IPPROTO_TCP, TCP_REPAIR_OPTIONS, options, count * sizeof *options) < 0) die("options");
  set(connection, IPPROTO_TCP, TCP_TIMESTAMP, (int)state.timestamp);
  restore_octets(TCP_RECV_QUEUE, queue + state.queued, state.unread);
  restore_octets(TCP_SEND_QUEUE, queue, sent);
  if (setsockopt(connection, IPPROTO_TCP, TCP_REPAIR_WINDOW, &state.window, sizeof state.window) < 0) die("window");
  steer();
  set(connection, IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_OFF);
  restore_octets(-1, queue + sent, state.unsent);
  settle();
  owned = now_ns();
  moved_octets = (long)(sizeof state + head_octets + state.queued + state.unread);
  write_all(peer, "", 1);
}

static void refuse(const char *what) {
  fprintf(stderr, "repair: %s\n", what);
  exit(1);
}

/* A whole head, if there is one and the response before it is sent. */
static void next_request(void) {
  if (body > 0 || end > 0 || response_at < response_octets) return;
  head[head_octets] = 0;
  char *last = strstr(head, "\r\n\r\n");
  if (last == NULL) return;
  size_t used = (size_t)(last + 4 - head);
  if (strncmp(head, "POST ", 5) == 0) {
    const char *length = strcasestr(head, "content-length: ");
    if (length == NULL || length > last) refuse("POST without a length");
    body = strtoull(length + 16, NULL, 10);
    size_t here = head_octets - used < body ? head_octets - used : (size_t)body;
    used += here;
    body -= here;
    /* Answered when all of it is here. */
    position = end = 0;
    response_octets = body > 0 ? 0 : (size_t)sprintf(response, "HTTP/1.1 405 -\r\nContent-Length: 0\r\n\r\n");
  } else {
    const char *range = strcasestr(head, "range: bytes=0-");
    if (strncmp(head, "GET ", 4) != 0 || range == NULL || range > last) refuse("no request");
    position = 0;
    end = strtoull(range + 15, NULL, 10) + 1;
    response_octets = (size_t)sprintf(response, "HTTP/1.1 206 -\r\nContent-Length: %llu\r\n\r\n", (unsigned long long)end);
  }
  response_at = 0;
  head_octets -= used;
  memmove(head, head + used, head_octets);
}

static void receive(void) {
  static char thrown_away[65536];
  ssize_t count = body > 0 ? recv(connection, thrown_away, body < sizeof thrown_away ? body : sizeof thrown_away, 0)
                           : recv(connection, head + head_octets, MAX_HEAD - head_octets, 0);
  if (count < 0 && errno == EAGAIN) return;
  if (count <= 0) {
    close(connection);
    connection = -1;
    head_octets = response_octets = response_at = 0;
    position = end = body = 0;
    return;
  }
  if (body == 0) head_octets += (size_t)count;
  else if ((body -= (uint64_t)count) == 0) {
    response_octets = (size_t)sprintf(response, "HTTP/1.1 405 -\r\nContent-Length: 0\r\n\r\n");
    response_at = 0;
  }
  next_request();
}

/* Response head, then the file, as far as the kernel takes them. */
static void transmit(void) {
  while (response_at < response_octets) {
    const int more = end > position ? MSG_MORE : 0;
    ssize_t count = send(connection, response + response_at, response_octets - response_at, MSG_NOSIGNAL | more);
    if (count <= 0) return;
    response_at += (size_t)count;
  }
  while (position < end) {
    size_t length = end - position;
    if (length > (size_t)ahead) length = (size_t)ahead;
    if (length > BLOCK) length = BLOCK;
    ssize_t count = send(connection, twice + position % BLOCK, length, MSG_NOSIGNAL);
    if (count <= 0) return;
    position += (uint64_t)count;
    if (position == end) break;
    struct pollfd room = {.fd = connection, .events = POLLOUT};
    if (poll(&room, 1, 0) == 0) return;
  }
  position = end = 0;
  next_request();
}

static bool is_busy(void) { return response_at < response_octets || position < end; }

static bool is_here(const char *port) {
  struct sockaddr_in remote;
  socklen_t length = sizeof remote;
  return connection >= 0 && getpeername(connection, (struct sockaddr *)&remote, &length) == 0 &&
         ntohs(remote.sin_port) == atoi(port);
}

static void order(char *line) {
  char text[MAX_LINE];
  if (strncmp(line, "where ", 6) == 0) return answer(is_here(line + 6) ? "here\n" : "away\n");
  if (strcmp(line, "idle") == 0) return answer("idle\n");
  if (strcmp(line, "cpu") == 0) {
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    snprintf(text, sizeof text, "cpu %lld\n", time.tv_sec * 1000000000LL + time.tv_nsec);
    return answer(text);
  }
  if (strcmp(line, "result") == 0) {
    snprintf(text, sizeof text, "result %lld %lld %lld %ld %ld\n", (long long)began, (long long)done, (long long)owned,
             moved_octets, moved_queued);
    return answer(text);
  }
  const bool announced = strncmp(line, "announced ", 10) == 0;
  if (!announced && strncmp(line, "shift ", 6) != 0) refuse(line);
  /* A half sent head is not worth a field of the state; it happens at the client's first octets alone. */
  if (!is_here(strchr(line, ' ') + 1) || response_at < response_octets) return answer("refused\n");
  began = now_ns();
  if (announced) answer("begun\n");
  move_away();
  answer("moved\n");
}

static void take_orders(void) {
  static char line[MAX_LINE];
  static size_t length;
  ssize_t count = recv(orders, line + length, sizeof line - 1 - length, 0);
  if (count <= 0) exit(0);
  length += (size_t)count;
  line[length] = 0;
  for (char *feed = strchr(line, '\n'); feed != NULL; feed = strchr(line, '\n')) {
    *feed = 0;
    order(line);
    length -= (size_t)(feed + 1 - line);
    memmove(line, feed + 1, length + 1);
  }
}

static void open_all(void) {
  struct sockaddr_in at = address_of(text("vip"), number("port"));
  struct sockaddr_in link = address_of(text("link"), number("linkPort"));
  service = at.sin_addr;
  gateway_hop = address_of(text("address"), 0).sin_addr.s_addr;
  routes = open_routes(text("gateway"));
  ahead = (int)number("ahead");
  struct sockaddr_un path = path_of(text("orders"));
  orders_listener = socket(AF_UNIX, SOCK_STREAM, 0);
  if (bind(orders_listener, (struct sockaddr *)&path, sizeof path) < 0 || listen(orders_listener, 1) < 0) die("orders");
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  if (number("first") == 1) {
    listener = socket(AF_INET, SOCK_STREAM, 0);
    set(listener, SOL_SOCKET, SO_REUSEADDR, 1);
    favour(listener, 0);
    if (bind(listener, (struct sockaddr *)&at, sizeof at) < 0 || listen(listener, 8) < 0) die("listen");
    if (bind(fd, (struct sockaddr *)&link, sizeof link) < 0 || listen(fd, 1) < 0) die("link");
    steer();
    puts("ready");
    fflush(stdout);
    peer = accept(fd, NULL, NULL);
    close(fd);
  } else {
    if (connect(fd, (struct sockaddr *)&link, sizeof link) < 0) die("link");
    peer = fd;
    puts("ready");
    fflush(stdout);
  }
  if (peer < 0) die("link");
  set(peer, IPPROTO_TCP, TCP_NODELAY, 1);
  orders = accept(orders_listener, NULL, NULL);
  if (orders < 0) die("orders");
}

int main(int argc, char **argv) {
  argc_ = argc;
  argv_ = argv;
  signal(SIGPIPE, SIG_IGN);
  fill(twice, 1);
  open_all();
  for (;;) {
    struct pollfd wait[] = {{.fd = orders, .events = POLLIN},
                            {.fd = peer, .events = POLLIN},
                            {.fd = connection, .events = POLLIN | (is_busy() ? POLLOUT : 0)},
                            {.fd = connection < 0 ? listener : -1, .events = POLLIN}};
    const int events = poll(wait, 4, left < 0 ? -1 : LINGER_MS);
    if (events < 0 && errno != EINTR) die("poll");
    if (events == 0) forget();
    if (wait[1].revents) {
      if (wait[1].revents & (POLLHUP | POLLERR)) exit(0);
      restore();
      continue;
    }
    if (wait[2].revents & (POLLIN | POLLHUP | POLLERR)) receive();
    if (connection >= 0 && is_busy() && (wait[2].revents & POLLOUT || response_at < response_octets)) transmit();
    if (wait[3].revents) {
      connection = accept(listener, NULL, NULL);
      if (connection < 0) die("accept");
      set(connection, SOL_SOCKET, SO_SNDBUFFORCE, SEND_BUFFER);
      settle();
    }
    if (wait[0].revents) take_orders();
  }
}
