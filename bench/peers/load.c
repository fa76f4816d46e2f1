/*
 * The load of the TAP benchmark: one measurement on the kernel's sockets, by one thread on epoll. Prints one number: bits a second for `send` and
 * `receive`, events a second for the others.
 *
 *     load send|receive|roundTrips|connections|datagrams ADDRESS PARALLEL SECONDS WARM-UP [CONGESTION]
 *
 * CONGESTION is the kernel's name of the congestion control that its TCP uses; without it, that of the machine.
 */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "peer.h"

enum { SMALL = 64, MOST = 1024, EVENTS = 64, REVIVE_MS = 50, MOST_FAILURES = 1000 };

struct connection {
  int fd;
  /* Bytes of the answer that have not come. */
  int missing;
};

struct kind {
  const char *name;
  int port;
  int type;
  /* Opens one of the sockets, and starts what it does. */
  void (*start)(struct connection *one);
  void (*event)(struct connection *one, uint32_t events);
  /* What was done so far. */
  double (*count)(void);
  /* Nothing happened for a while. */
  void (*silence)(void);
};

static struct sockaddr_storage peer;
static socklen_t peer_length;
static const struct kind *kind;
static struct connection connections[MOST];
static int parallel;
static const char *congestion;
static int epoll;
static double counted;
static int failures;
static char block[2 * BLOCK];

static int open_socket(struct connection *one, uint32_t events, int flags) {
  const int fd = check(socket(peer.ss_family, kind->type | flags, 0), "socket");
  const int yes = 1;
  if (kind->type == SOCK_STREAM) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  if (congestion != NULL)
    check(setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, congestion, (socklen_t)strlen(congestion)), "TCP_CONGESTION");
  if (connect(fd, (struct sockaddr *)&peer, peer_length) < 0 && errno != EINPROGRESS) die("connect");
  struct epoll_event event = {.events = events, .data.ptr = one};
  check(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
  one->fd = fd;
  return fd;
}

static double events_counted(void) { return counted; }

/* --- bulk --- */

static void start_send(struct connection *one) { open_socket(one, EPOLLOUT, 0); }

static void on_room(struct connection *one, uint32_t events) {
  (void)events;
  const ssize_t sent = send(one->fd, block, BLOCK, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent > 0) counted += (double)sent;
  else if (errno != EAGAIN) die("send");
}

/* What the peer has acknowledged. */
static double bits_sent(void) {
  double bytes = counted;
  for (int i = 0; i < parallel; i++) {
    int queued = 0;
    check(ioctl(connections[i].fd, SIOCOUTQ, &queued), "SIOCOUTQ");
    bytes -= queued;
  }
  return bytes * 8;
}

static void start_receive(struct connection *one) { open_socket(one, EPOLLIN, 0); }

static void on_data(struct connection *one, uint32_t events) {
  (void)events;
  const ssize_t got = recv(one->fd, block, sizeof block, MSG_DONTWAIT);
  if (got > 0) counted += (double)got;
  else if (got == 0 || errno != EAGAIN) die("recv");
}

static double bits_received(void) { return counted * 8; }

/* --- round trips of 64 bytes --- */

static void ask(struct connection *one) {
  one->missing = SMALL;
  if (send(one->fd, block, SMALL, MSG_NOSIGNAL) != SMALL) die("send");
}

static void start_round_trips(struct connection *one) {
  open_socket(one, EPOLLIN, 0);
  ask(one);
}

static void on_answer(struct connection *one, uint32_t events) {
  (void)events;
  const ssize_t got = recv(one->fd, block, SMALL, MSG_DONTWAIT);
  if (got <= 0) die("recv");
  one->missing -= (int)got;
  if (one->missing > 0) return;
  counted++;
  ask(one);
}

/* --- connections: open, a byte there and back, close --- */

static void start_connection(struct connection *one) {
  one->missing = 0;
  open_socket(one, EPOLLIN | EPOLLOUT | EPOLLET, SOCK_NONBLOCK);
}

static void on_connection(struct connection *one, uint32_t events) {
  char byte = 'x';
  if (!(events & (EPOLLERR | EPOLLHUP))) {
    if (one->missing == 0 && events & EPOLLOUT) {
      one->missing = 1;
      if (send(one->fd, &byte, 1, MSG_NOSIGNAL) == 1) return;
    }
    if (one->missing == 1 && !(events & EPOLLIN)) return;
    const ssize_t got = recv(one->fd, &byte, 1, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) return;
    if (got == 1) {
      counted++;
      one->missing = 0;
    }
  }
  if (one->missing != 0 || events & EPOLLERR) {
    if (++failures > MOST_FAILURES) die("connections keep failing");
  }
  close(one->fd);
  start_connection(one);
}

/* --- datagrams of 64 bytes, each with its number, so that lost ones are known and replaced --- */

static uint64_t sent_datagrams, passed_datagrams;

static void fill(struct connection *one) {
  static struct mmsghdr messages[MOST];
  static struct iovec parts[MOST];
  static char bytes[MOST][SMALL];
  const int room = (int)((uint64_t)parallel - (sent_datagrams - passed_datagrams));
  for (int i = 0; i < room; i++) {
    const uint64_t number = sent_datagrams + (uint64_t)i;
    memcpy(bytes[i], &number, sizeof number);
    parts[i] = (struct iovec){.iov_base = bytes[i], .iov_len = SMALL};
    messages[i].msg_hdr = (struct msghdr){.msg_iov = &parts[i], .msg_iovlen = 1};
  }
  for (int done = 0; done < room;) {
    const int sent = sendmmsg(one->fd, messages + done, (unsigned)(room - done), 0);
    if (sent < 0 && errno != ECONNREFUSED && errno != ENOBUFS) die("sendmmsg");
    if (sent > 0) done += sent;
  }
  if (room > 0) sent_datagrams += (uint64_t)room;
}

static void start_datagrams(struct connection *one) {
  if (one != connections) return;
  open_socket(one, EPOLLIN, 0);
  fill(one);
}

static void on_datagrams(struct connection *one, uint32_t events) {
  (void)events;
  static struct mmsghdr messages[MOST];
  static struct iovec parts[MOST];
  static char bytes[MOST][SMALL];
  for (int i = 0; i < parallel; i++) {
    parts[i] = (struct iovec){.iov_base = bytes[i], .iov_len = SMALL};
    messages[i].msg_hdr = (struct msghdr){.msg_iov = &parts[i], .msg_iovlen = 1};
  }
  const int got = recvmmsg(one->fd, messages, (unsigned)parallel, MSG_DONTWAIT, NULL);
  if (got < 0) {
    if (errno == EAGAIN || errno == ECONNREFUSED) return;
    die("recvmmsg");
  }
  for (int i = 0; i < got; i++) {
    uint64_t number;
    memcpy(&number, bytes[i], sizeof number);
    if (number >= passed_datagrams) passed_datagrams = number + 1;
  }
  counted += got;
  fill(one);
}

static void revive_datagrams(void) {
  passed_datagrams = sent_datagrams;
  fill(connections);
}

/* --- */

static void nothing(void) {}

static const struct kind KINDS[] = {
    {"send", DISCARD_PORT, SOCK_STREAM, start_send, on_room, bits_sent, nothing},
    {"receive", SOURCE_PORT, SOCK_STREAM, start_receive, on_data, bits_received, nothing},
    {"roundTrips", ECHO_PORT, SOCK_STREAM, start_round_trips, on_answer, events_counted, nothing},
    {"connections", ECHO_PORT, SOCK_STREAM, start_connection, on_connection, events_counted, nothing},
    {"datagrams", UDP_PORT, SOCK_DGRAM, start_datagrams, on_datagrams, events_counted, revive_datagrams},
};

static const struct kind *kind_of(const char *name) {
  for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++)
    if (strcmp(KINDS[i].name, name) == 0) return &KINDS[i];
  return NULL;
}

static int set_peer(const char *address) {
  struct sockaddr_in *const v4 = (struct sockaddr_in *)&peer;
  struct sockaddr_in6 *const v6 = (struct sockaddr_in6 *)&peer;
  if (inet_pton(AF_INET, address, &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons((uint16_t)kind->port);
    peer_length = sizeof *v4;
    return 1;
  }
  v6->sin6_family = AF_INET6;
  v6->sin6_port = htons((uint16_t)kind->port);
  peer_length = sizeof *v6;
  return inet_pton(AF_INET6, address, &v6->sin6_addr) == 1;
}

/* Serves events for so many seconds. */
static void run(double seconds) {
  const double end = now() + seconds;
  struct epoll_event events[EVENTS];
  for (double time = now(); time < end; time = now()) {
    const int left = (int)((end - time) * 1000) + 1;
    const int ready = epoll_wait(epoll, events, EVENTS, left < REVIVE_MS ? left : REVIVE_MS);
    if (ready == 0) kind->silence();
    for (int i = 0; i < ready; i++) kind->event(events[i].data.ptr, events[i].events);
  }
}

int main(int argc, char **argv) {
  if (argc == 6 || argc == 7) kind = kind_of(argv[1]);
  if (argc == 7) congestion = argv[6];
  if (kind == NULL || !set_peer(argv[2]) || (parallel = atoi(argv[3])) < 1 || parallel > MOST) {
    fprintf(stderr, "usage: load KIND ADDRESS PARALLEL SECONDS WARM-UP [CONGESTION]\n");
    return 2;
  }
  epoll = check(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
  for (int i = 0; i < parallel; i++) kind->start(&connections[i]);
  run(atof(argv[5]));
  const double before = kind->count(), begun = now();
  run(atof(argv[4]));
  printf("%.1f\n", (kind->count() - before) / (now() - begun));
  return 0;
}
