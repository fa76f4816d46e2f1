/*
 * The load of the forwarding benchmark: sends frames of UDP as fast as a device takes them, and counts those of them that arrive where they are to, one
 * hop older and from whom they are to be. Prints packets a second.
 *
 *     packets 4|6 FROM-NAMESPACE FROM-DEVICE TO-NAMESPACE TO-DEVICE NEXT-HOP-MAC SOURCE LENGTH FLOWS SECONDS WARM-UP
 *
 * It sends from 10.1.0.2 or fd01::2 to 198.18.0.0/15 or 2001:db8::/32, each flow to an address and from a port of its own. SOURCE is whom they come from
 * on the other side: who is behind a translator has another address there. LENGTH is that of the frames, without the check sequence.
 */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sched.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "peer.h"

enum {
  HOPS = 64,
  UDP = 17,
  FIRST_PORT = 1024,
  MOST_FLOWS = 4096,
  LONGEST = 1514,
  BATCH = 64,
  PAUSE_US = 20,
};

/* Where things are in frames of a version. */
struct layout {
  int ether_type;
  int header;
  int protocol, hops, source, destination;
  int address;
};

static const struct layout IPV4 = {ETH_P_IP, 20, 9, 8, 12, 16, 4};
static const struct layout IPV6 = {ETH_P_IPV6, 40, 6, 7, 8, 24, 16};

static const struct layout *layout;
static unsigned char frames[MOST_FLOWS][LONGEST];

static void put16(unsigned char *at, unsigned value) {
  at[0] = (unsigned char)(value >> 8);
  at[1] = (unsigned char)value;
}

/* The sum of RFC 1071, not yet folded. */
static uint32_t sum(const unsigned char *at, int length) {
  uint32_t total = 0;
  for (int i = 0; i < length; i++) total += i % 2 == 0 ? (uint32_t)at[i] << 8 : at[i];
  return total;
}

static unsigned folded(uint32_t total) {
  while (total >> 16) total = (total & 0xffff) + (total >> 16);
  return ~total & 0xffff;
}

static void build(unsigned char *frame, int flow, int length, const unsigned char *next_hop) {
  unsigned char *const ip = frame + ETH_HLEN, *const udp = ip + layout->header;
  const int payload = length - ETH_HLEN - layout->header;
  memcpy(frame, next_hop, ETH_ALEN);
  memcpy(frame + ETH_ALEN, "\x02\0\0\0\0\x02", ETH_ALEN);
  put16(frame + 2 * ETH_ALEN, (unsigned)layout->ether_type);
  if (layout == &IPV4) {
    ip[0] = 0x45;
    put16(ip + 2, (unsigned)(payload + layout->header));
    inet_pton(AF_INET, "10.1.0.2", ip + layout->source);
    inet_pton(AF_INET, "198.18.0.0", ip + layout->destination);
  } else {
    ip[0] = 0x60;
    put16(ip + 4, (unsigned)payload);
    inet_pton(AF_INET6, "fd01::2", ip + layout->source);
    inet_pton(AF_INET6, "2001:db8::", ip + layout->destination);
  }
  ip[layout->hops] = HOPS;
  ip[layout->protocol] = UDP;
  put16(ip + layout->destination + layout->address - 2, (unsigned)flow + 1);
  if (layout == &IPV4) put16(ip + 10, folded(sum(ip, layout->header)));
  put16(udp, (unsigned)(FIRST_PORT + flow));
  put16(udp + 2, UDP_PORT);
  put16(udp + 4, (unsigned)payload);
  /* Length and protocol of the pseudo-header; the addresses are next to each other. */
  const uint32_t addresses = sum(ip + layout->source, 2 * layout->address);
  put16(udp + 6, folded(addresses + (uint32_t)payload + UDP + sum(udp, payload)));
}

/* A packet socket on a device of a namespace, where this process stays. */
static int open_in(const char *namespace, const char *device, int protocol) {
  char path[256];
  snprintf(path, sizeof path, "/run/netns/%s", namespace);
  const int there = check(open(path, O_RDONLY | O_CLOEXEC), path);
  check(setns(there, CLONE_NEWNET), "setns");
  close(there);
  const int fd = check(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), "socket");
  struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons((uint16_t)protocol)};
  address.sll_ifindex = (int)if_nametoindex(device);
  if (address.sll_ifindex == 0) die(device);
  check(bind(fd, (struct sockaddr *)&address, sizeof address), "bind");
  return fd;
}

static int open_sender(const char *namespace, const char *device) {
  const int fd = open_in(namespace, device, 0), yes = 1;
  check(setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &yes, sizeof yes), "PACKET_QDISC_BYPASS");
  return fd;
}

/*
 * Has the kernel count what arrives. Nobody reads: once the queue is full, what the filter takes is counted and goes no further, which costs next to nothing.
 */
static int open_counter(const char *namespace, const char *device, const char *source) {
  unsigned char from[sizeof(struct in6_addr)];
  if (inet_pton(layout == &IPV4 ? AF_INET : AF_INET6, source, from) != 1) die(source);
  const unsigned char *const last = from + layout->address - 4;
  const uint32_t word = (uint32_t)last[0] << 24 | (uint32_t)last[1] << 16 | (uint32_t)last[2] << 8 | last[3];
  const uint32_t ip = ETH_HLEN;
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 2 * ETH_ALEN),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)layout->ether_type, 0, 9),
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, ip + (uint32_t)layout->protocol),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, UDP, 0, 7),
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, ip + (uint32_t)layout->hops),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, HOPS - 1, 0, 5),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ip + (uint32_t)(layout->source + layout->address - 4)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, word, 0, 3),
      BPF_STMT(BPF_LD | BPF_H | BPF_ABS, ip + (uint32_t)layout->header + 2),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, UDP_PORT, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, 1),
      BPF_STMT(BPF_RET | BPF_K, 0),
  };
  const struct sock_fprog program = {.len = sizeof code / sizeof *code, .filter = code};
  const int fd = open_in(namespace, device, layout->ether_type), least = 1;
  check(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program), "SO_ATTACH_FILTER");
  check(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &least, sizeof least), "SO_RCVBUF");
  return fd;
}

/* What arrived since it was asked last. */
static double counted(int fd) {
  struct tpacket_stats stats;
  socklen_t length = sizeof stats;
  check(getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &stats, &length), "PACKET_STATISTICS");
  return stats.tp_packets;
}

/* Sends all flows in turn for so many seconds; pauses when the queue of the device is full. */
static void run(int fd, int flows, int length, double seconds) {
  static struct mmsghdr messages[BATCH];
  static struct iovec parts[BATCH];
  static int next;
  for (const double end = now() + seconds; now() < end;) {
    for (int i = 0; i < BATCH; i++) {
      parts[i] = (struct iovec){.iov_base = frames[(next + i) % flows], .iov_len = (size_t)length};
      messages[i].msg_hdr = (struct msghdr){.msg_iov = &parts[i], .msg_iovlen = 1};
    }
    const int sent = sendmmsg(fd, messages, BATCH, MSG_DONTWAIT);
    if (sent < 0 && errno != ENOBUFS && errno != EAGAIN) die("sendmmsg");
    if (sent < BATCH) usleep(PAUSE_US);
    if (sent > 0) next = (next + sent) % flows;
  }
}

int main(int argc, char **argv) {
  if (argc != 12) {
    fprintf(stderr, "usage: packets 4|6 FROM-NAMESPACE FROM-DEVICE TO-NAMESPACE TO-DEVICE NEXT-HOP-MAC SOURCE LENGTH FLOWS SECONDS WARM-UP\n");
    return 2;
  }
  layout = strcmp(argv[1], "6") == 0 ? &IPV6 : &IPV4;
  const int length = atoi(argv[8]), flows = atoi(argv[9]);
  unsigned char mac[ETH_ALEN];
  const int parts = sscanf(argv[6], "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", mac, mac + 1, mac + 2, mac + 3, mac + 4, mac + 5);
  if (parts != ETH_ALEN || flows < 1 || flows > MOST_FLOWS || length > LONGEST || length < ETH_HLEN + layout->header + 8) {
    fprintf(stderr, "packets: not that\n");
    return 2;
  }
  const int counter = open_counter(argv[4], argv[5], argv[7]);
  const int sender = open_sender(argv[2], argv[3]);
  for (int flow = 0; flow < flows; flow++) build(frames[flow], flow, length, mac);
  run(sender, flows, length, atof(argv[11]));
  counted(counter);
  const double begun = now();
  run(sender, flows, length, atof(argv[10]));
  printf("%.1f\n", counted(counter) / (now() - begun));
  return 0;
}
