/* The application of the TAP benchmark on the kernel's sockets: discard, source and echo, and UDP echo, by one thread on epoll. */

#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "peer.h"

enum { EVENTS = 64, BACKLOG = 4096, BATCH = 64, DATAGRAM = 2048 };

/* What a descriptor is for; in an event's data it stands above the descriptor. */
enum role { LISTENER, DISCARD, SOURCE, ECHO, DATAGRAMS };

static int epoll;
static char block[2 * BLOCK];

static void watch(int fd, uint32_t events, uint64_t data) {
  struct epoll_event event = {.events = events, .data.u64 = data << 32 | (uint32_t)fd};
  check(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
}

static int bound(int type, int port) {
  const int fd = check(socket(AF_INET, type | SOCK_NONBLOCK, 0), "socket");
  const int yes = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  const struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  check(bind(fd, (const struct sockaddr *)&address, sizeof address), "bind");
  return fd;
}

/* What the listener accepts has `role`. */
static void listen_for(enum role role, int port) {
  const int fd = bound(SOCK_STREAM, port);
  const int yes = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  check(listen(fd, BACKLOG), "listen");
  watch(fd, EPOLLIN, (uint64_t)role << 8 | LISTENER);
}

static void accept_all(int listener, enum role role) {
  for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0;)
    watch(fd, role == SOURCE ? EPOLLOUT : EPOLLIN, role);
}

/* False if the connection is over. */
static int serve(int fd, enum role role) {
  if (role == SOURCE) return send(fd, block, BLOCK, MSG_NOSIGNAL) >= 0 || errno == EAGAIN;
  const ssize_t got = recv(fd, block, sizeof block, 0);
  if (got <= 0) return got < 0 && errno == EAGAIN;
  return role == DISCARD || send(fd, block, (size_t)got, MSG_NOSIGNAL) == got;
}

static void echo_datagrams(int fd) {
  static struct mmsghdr messages[BATCH];
  static struct iovec parts[BATCH];
  static struct sockaddr_in sources[BATCH];
  static char bytes[BATCH][DATAGRAM];
  for (int i = 0; i < BATCH; i++) {
    parts[i] = (struct iovec){.iov_base = bytes[i], .iov_len = DATAGRAM};
    messages[i].msg_hdr = (struct msghdr){
        .msg_name = &sources[i], .msg_namelen = sizeof sources[i], .msg_iov = &parts[i], .msg_iovlen = 1};
  }
  const int got = recvmmsg(fd, messages, BATCH, 0, NULL);
  for (int i = 0; i < got; i++) parts[i].iov_len = messages[i].msg_len;
  for (int done = 0; done < got;) {
    const int sent = sendmmsg(fd, messages + done, (unsigned)(got - done), 0);
    done += sent > 0 ? sent : 1;
  }
}

int main(void) {
  epoll = check(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
  listen_for(DISCARD, DISCARD_PORT);
  listen_for(SOURCE, SOURCE_PORT);
  listen_for(ECHO, ECHO_PORT);
  watch(bound(SOCK_DGRAM, UDP_PORT), EPOLLIN, DATAGRAMS);
  say_ready();
  for (struct epoll_event events[EVENTS];;) {
    const int ready = epoll_wait(epoll, events, EVENTS, -1);
    for (int i = 0; i < ready; i++) {
      const int fd = (int)(uint32_t)events[i].data.u64;
      const uint64_t data = events[i].data.u64 >> 32;
      const enum role role = (enum role)(data & 0xff);
      if (role == LISTENER) accept_all(fd, (enum role)(data >> 8));
      else if (role == DATAGRAMS) echo_datagrams(fd);
      else if (!serve(fd, role)) close(fd);
    }
  }
}
